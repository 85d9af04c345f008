//! Delays: after failures and between relists, with jitter.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

/// client-go's reflector waits the same way (client-go `tools/cache/reflector.go`).
pub(super) const FIRST: Duration = Duration::from_millis(800);
pub(super) const LONGEST: Duration = Duration::from_secs(30);

/// A watch that lasted this long justifies the list before it: the next need not wait.
const SETTLED: Duration = Duration::from_secs(30);

/// Spreads what is timed, so that many reflectors do not act in step.
#[derive(Debug)]
pub(super) struct Jitter(StdRng);

impl Jitter {
    /// The same seed gives the same durations.
    pub(super) fn new(seed: Option<u64>) -> Self {
        Self(StdRng::seed_from_u64(seed.unwrap_or_else(|| rand::rng().random())))
    }

    /// A duration between one and two times `base`.
    pub(super) fn spread(&mut self, base: Duration) -> Duration {
        base.mul_f64(self.0.random_range(1.0..2.0))
    }

    /// A duration within the range.
    pub(super) fn within(&mut self, range: std::ops::Range<Duration>) -> Duration {
        self.0.random_range(range)
    }
}

/// A delay that doubles from `first` to `longest` until something resets it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest: longest.max(first), next: first }
    }

    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }

    /// The next delay, spread over one to two times its length.
    pub(super) fn next_delay(&mut self, jitter: &mut Jitter) -> Duration {
        let base = self.next;
        self.next = (base * 2).min(self.longest);
        jitter.spread(base)
    }
}

/// When the next relist may begin. Without this, a source that reports its history as gone after each
/// list would be asked for lists as fast as it answers.
#[derive(Debug)]
pub(super) struct Pace {
    backoff: Backoff,
    next: Option<Instant>,
}

impl Pace {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self { backoff: Backoff::new(first.max(FIRST), longest), next: None }
    }

    /// A list is complete.
    pub(super) fn listed(&mut self, now: Instant, jitter: &mut Jitter) {
        self.next = Some(now + self.backoff.next_delay(jitter));
    }

    /// A watch ended.
    pub(super) fn watched(&mut self, lasted: Duration) {
        if lasted >= SETTLED {
            self.backoff.reset();
            self.next = None;
        }
    }

    /// When the next list may begin, if that is not now.
    pub(super) fn not_before(&self, now: Instant) -> Option<Instant> {
        self.next.filter(|next| *next > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_the_cap_and_starts_over_after_progress() {
        let mut jitter = Jitter::new(None);
        let mut backoff = Backoff::new(FIRST, LONGEST);
        let first = backoff.next_delay(&mut jitter);
        assert!((FIRST..FIRST * 2).contains(&first), "{first:?}");
        let late = (0..10).map(|_| backoff.next_delay(&mut jitter)).last();
        assert!(late.is_some_and(|late| (LONGEST..LONGEST * 2).contains(&late)), "{late:?}");
        backoff.reset();
        assert!(backoff.next_delay(&mut jitter) < FIRST * 2);
    }

    #[test]
    fn a_seed_repeats_the_delays() {
        let delays = |seed| {
            let mut jitter = Jitter::new(Some(seed));
            let mut backoff = Backoff::new(FIRST, LONGEST);
            [(); 5].map(|()| backoff.next_delay(&mut jitter))
        };
        assert_eq!(delays(7), delays(7));
        assert_ne!(delays(7), delays(8));
    }

    #[test]
    fn lists_in_quick_succession_are_spaced_and_a_late_one_is_not() {
        let (mut jitter, mut pace) = (Jitter::new(Some(1)), Pace::new(FIRST, LONGEST));
        let mut now = Instant::now();
        assert_eq!(pace.not_before(now), None, "nothing was listed yet");
        let mut waits = Vec::new();
        for _ in 0..8 {
            pace.listed(now, &mut jitter);
            let next = pace.not_before(now).expect("too early");
            waits.push(next - now);
            now = next;
        }
        assert!(waits[0] >= FIRST && waits[5] >= FIRST * 32, "{waits:?}");
        pace.watched(SETTLED);
        assert_eq!(pace.not_before(now), None);
        pace.listed(now, &mut jitter);
        let next = pace.not_before(now).expect("too early");
        assert!(next - now < FIRST * 2, "it starts over");
    }
}
