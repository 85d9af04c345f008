//! How long to wait after a failure.

use std::time::Duration;

use rand::Rng;

/// client-go's reflector waits the same way (client-go `tools/cache/reflector.go`).
const FIRST: Duration = Duration::from_millis(800);
const LONGEST: Duration = Duration::from_secs(30);

/// Exponential back-off with jitter. It resets on progress only, so a list that fails again and
/// again is asked less and less often.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { next: FIRST }
    }

    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }

    /// The next delay: doubled each time up to 30 s, then spread over one to two times that, so
    /// that many reflectors do not return in step.
    pub(super) fn next_delay(&mut self) -> Duration {
        let base = self.next;
        self.next = (base * 2).min(LONGEST);
        base.mul_f64(rand::rng().random_range(1.0..2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_cap_and_starts_over_after_progress() {
        let mut backoff = Backoff::new();
        let first = backoff.next_delay();
        assert!((FIRST..FIRST * 2).contains(&first), "{first:?}");
        let late = (0..10).map(|_| backoff.next_delay()).last();
        assert!(late.is_some_and(|late| (LONGEST..LONGEST * 2).contains(&late)), "{late:?}");
        backoff.reset();
        assert!(backoff.next_delay() < FIRST * 2);
    }
}
