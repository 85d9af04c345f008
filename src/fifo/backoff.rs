//! How long a key stays away after a failure.

use std::time::Duration;

use super::clock::Moment;

/// Exponential back-off of each key for itself: the first failure in a row costs `base`, each further
/// one twice as much, up to `cap`. A success starts over.
///
/// ```
/// use std::time::Duration;
/// use watchcache::fifo::Backoff;
///
/// let backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));
/// assert_eq!(backoff.delay(1), Duration::from_millis(10));
/// assert_eq!(backoff.delay(4), Duration::from_millis(80));
/// assert_eq!(backoff.delay(40), Duration::from_secs(1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    jitter: f64,
}

impl Backoff {
    /// From `base` up to `cap`, without jitter.
    #[must_use]
    pub const fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, jitter: 0.0 }
    }

    /// Shortens each delay by a random part of at most this fraction, so that keys that failed
    /// together do not return together. What is not within 0 to 1 counts as the nearer of the two.
    #[must_use]
    pub const fn jitter(mut self, fraction: f64) -> Self {
        // `clamp` would let a NaN through.
        self.jitter = if fraction >= 1.0 {
            1.0
        } else if fraction > 0.0 {
            fraction
        } else {
            0.0
        };
        self
    }

    /// The delay after this many failures in a row, jitter aside; zero after none.
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// The delay as it is waited; `chance` is random, from 0 to 1.
    pub(super) fn spread(&self, failures: u32, chance: f64) -> Duration {
        self.delay(failures).mul_f64(1.0 - self.jitter * chance)
    }
}

/// client-go's: 5 ms to 1,000 s (`DefaultTypedControllerRateLimiter`), here with a tenth of jitter.
impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_millis(5), Duration::from_secs(1000)).jitter(0.1)
    }
}

/// How many retries of all keys together may start per second: a token bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    interval: Duration,
    burst: u32,
}

impl Rate {
    /// `None` if nothing would ever pass.
    pub(super) fn new(per_second: f64, burst: u32) -> Option<Self> {
        let interval = Duration::try_from_secs_f64(per_second.recip()).ok()?;
        (per_second > 0.0 && burst > 0).then_some(Self { interval, burst })
    }
}

/// The bucket, as the moment at which it would be full again.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    full: Moment,
}

impl Bucket {
    /// Takes a token, perhaps one of the future; how long until that one is there.
    pub(super) fn take(&mut self, rate: Rate, now: Moment) -> Duration {
        self.full = self.full.max(now).after(rate.interval);
        let lead = rate.interval.saturating_mul(rate.burst);
        self.full.since(now).saturating_sub(lead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_shortens_within_its_fraction() {
        let backoff = Backoff::new(Duration::from_secs(8), Duration::MAX).jitter(0.25);
        assert_eq!(backoff.spread(1, 0.0), Duration::from_secs(8));
        assert_eq!(backoff.spread(1, 1.0), Duration::from_secs(6));
        assert_eq!(backoff.jitter(f64::NAN).spread(1, 1.0), Duration::from_secs(8));
        assert_eq!(backoff.delay(u32::MAX), Duration::from_secs(8 * u64::from(u32::MAX)));
    }

    #[test]
    fn a_bucket_passes_its_burst_and_then_its_rate() {
        let rate = Rate::new(10.0, 3).unwrap();
        let mut bucket = Bucket::default();
        let mut take = |ms: u64| bucket.take(rate, Moment(ms * 1_000_000)).as_millis();
        assert_eq!([take(0), take(0), take(0), take(0), take(0)], [0, 0, 0, 100, 200]);
        assert_eq!([take(1000), take(1000), take(1000), take(1000)], [0, 0, 0, 100]);
        assert!(Rate::new(0.0, 1).is_none() && Rate::new(f64::NAN, 1).is_none());
        assert!(Rate::new(1.0, 0).is_none() && Rate::new(-1.0, 1).is_none());
    }
}
