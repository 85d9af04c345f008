//! How long to wait: delays after failures, and the jitter of everything that is timed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// client-go's reflector waits the same way (client-go `tools/cache/reflector.go`).
const FIRST: Duration = Duration::from_millis(800);
const LONGEST: Duration = Duration::from_secs(30);

/// Exponential back-off with jitter. It resets on progress only, so a list that fails again and
/// again is asked less and less often.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    random: StdRng,
}

impl Backoff {
    /// The same seed gives the same delays.
    pub(super) fn new(seed: Option<u64>) -> Self {
        let seed = seed.unwrap_or_else(|| rand::rng().random());
        Self { next: FIRST, random: StdRng::seed_from_u64(seed) }
    }

    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }

    /// The next delay: doubled each time up to 30 s, then spread over one to two times that, so
    /// that many reflectors do not return in step.
    pub(super) fn next_delay(&mut self) -> Duration {
        let base = self.next;
        self.next = (base * 2).min(LONGEST);
        self.spread(base)
    }

    /// A duration between one and two times `base`.
    pub(super) fn spread(&mut self, base: Duration) -> Duration {
        base.mul_f64(self.random.random_range(1.0..2.0))
    }

    /// A duration within the range.
    pub(super) fn within(&mut self, range: std::ops::Range<Duration>) -> Duration {
        self.random.random_range(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_cap_and_starts_over_after_progress() {
        let mut backoff = Backoff::new(None);
        let first = backoff.next_delay();
        assert!((FIRST..FIRST * 2).contains(&first), "{first:?}");
        let late = (0..10).map(|_| backoff.next_delay()).last();
        assert!(late.is_some_and(|late| (LONGEST..LONGEST * 2).contains(&late)), "{late:?}");
        backoff.reset();
        assert!(backoff.next_delay() < FIRST * 2);
    }

    #[test]
    fn a_seed_repeats_the_delays() {
        let delays = |seed| {
            let mut backoff = Backoff::new(Some(seed));
            [(); 5].map(|()| backoff.next_delay())
        };
        assert_eq!(delays(7), delays(7));
        assert_ne!(delays(7), delays(8));
    }
}
