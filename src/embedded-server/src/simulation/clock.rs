//! The virtual clock: simulated time.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// 2026-01-01T00:00:00Z in Unix seconds, when every simulation starts.
const START: i64 = 1_767_225_600;

/// Simulated time. It moves only when told to, so a history never depends on the wall clock.
#[derive(Debug)]
pub(super) struct Clock {
    millis: i64,
}

impl Clock {
    /// A clock standing at the start of every simulation.
    pub(super) fn new() -> Self {
        Clock { millis: START * 1_000 }
    }

    /// Moves on by the small random amount that passes between two changes.
    pub(super) fn advance(&mut self, rng: &mut ChaCha8Rng) {
        self.millis += rng.random_range(5..200);
    }

    /// The present, in Unix seconds: Kubernetes writes most timestamps no finer.
    pub(super) fn now(&self) -> i64 {
        self.millis / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_where_it_says() {
        assert_eq!(crate::time::rfc3339(START), "2026-01-01T00:00:00Z");
    }
}
