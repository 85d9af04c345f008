//! Limiters: how long a key stays away after a failure.

use std::time::Duration;

use super::BuildError;
use super::state::clock::Moment;
use crate::Key;
use crate::sync::{Mutex, PoisonError};

/// Decides how long a key stays away after its lease has failed; see [`FifoBuilder::limiter`]. A closure that
/// takes a [`Failure`] and returns a [`Duration`] is a limiter.
///
/// The thread that ends the lease calls it, under no lock. If it panics, the panic is contained, and
/// [`Backoff::default`] decides.
///
/// [`FifoBuilder::limiter`]: super::FifoBuilder::limiter
///
/// ```
/// use std::time::Duration;
/// use watchcache::fifo::Failure;
/// use watchcache::{Fifo, Key};
///
/// let patient = |failure: &Failure<'_>| Duration::from_secs(60) * failure.failures();
/// let fifo = Fifo::<Key>::builder().limiter(patient).build()?;
/// fifo.add("a/web".parse::<Key>()?)?;
/// fifo.lease()?.retry();
/// assert!(fifo.try_pop().is_err(), "it stays away for a minute");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Limiter: Send + Sync {
    /// How long the key is not to be handed out.
    fn delay(&self, failure: &Failure<'_>) -> Duration;
}

impl<F: Fn(&Failure<'_>) -> Duration + Send + Sync> Limiter for F {
    fn delay(&self, failure: &Failure<'_>) -> Duration {
        self(failure)
    }
}

/// A lease that failed, as a [`Limiter`] sees it.
///
/// ```
/// use std::time::Duration;
/// use watchcache::fifo::{Failure, ManualClock};
/// use watchcache::{Fifo, Key};
///
/// // What is in `kube-system` is tried again sooner.
/// let by_namespace = |failure: &Failure<'_>| match failure.key().namespace() {
///     Some("kube-system") => Duration::from_secs(1),
///     _ => Duration::from_secs(30),
/// };
/// let clock = ManualClock::new();
/// let fifo = Fifo::<Key>::builder().limiter(by_namespace).clock(&clock).build()?;
/// for key in ["default/web", "kube-system/dns"] {
///     fifo.add(key.parse::<Key>()?)?;
///     fifo.lease()?.retry();
/// }
/// clock.advance(Duration::from_secs(1));
/// let lease = fifo.lease()?;
/// assert_eq!(lease.name(), "dns");
/// assert!(fifo.try_lease().is_err(), "the other stays away");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Failure<'a> {
    key: &'a Key,
    failures: u32,
    now: Moment,
    chance: f64,
}

impl<'a> Failure<'a> {
    pub(super) fn new(key: &'a Key, failures: u32, now: Moment, chance: f64) -> Self {
        Self { key, failures, now, chance }
    }

    /// The key of the lease.
    #[must_use]
    pub fn key(&self) -> &Key {
        self.key
    }

    /// How many leases of the key have failed in a row, including this one.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The time since the queue's clock began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now.since(Moment::default())
    }

    /// A random number from 0 to 1.
    #[must_use]
    pub fn chance(&self) -> f64 {
        self.chance
    }
}

/// The longer delay of two limiters (client-go's `MaxOfRateLimiter`). Both are called.
///
/// ```
/// use std::time::Duration;
/// use watchcache::fifo::{Backoff, Failure, ManualClock, max_of};
/// use watchcache::{Fifo, Key};
///
/// let at_least = |_: &Failure<'_>| Duration::from_secs(5);
/// let clock = ManualClock::new();
/// let limiter = max_of(Backoff::default(), at_least);
/// let fifo = Fifo::<Key>::builder().limiter(limiter).clock(&clock).build()?;
/// fifo.add("a/web".parse::<Key>()?)?;
/// fifo.lease()?.retry();
/// clock.advance(Duration::from_secs(4));
/// assert!(fifo.try_lease().is_err());
/// clock.advance(Duration::from_secs(1));
/// assert!(fifo.try_lease().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn max_of(one: impl Limiter, other: impl Limiter) -> impl Limiter {
    move |failure: &Failure<'_>| one.delay(failure).max(other.delay(failure))
}

/// `fast` for the first so many failures in a row, then `slow` (client-go's `ItemFastSlowRateLimiter`).
///
/// ```
/// use std::time::Duration;
/// use watchcache::fifo::{ManualClock, fast_slow};
/// use watchcache::{Fifo, KeyRef, Object};
/// # #[derive(Debug)]
/// # struct Pod(&'static str);
/// # impl Object for Pod {
/// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
/// # }
/// let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
/// let clock = ManualClock::new();
/// let fifo = Fifo::builder().limiter(fast_slow(second, 2, minute)).clock(&clock).build()?;
/// fifo.add(Pod("a"))?;
/// for wait in [second, second, minute] {
///     fifo.try_lease()?.retry();
///     assert!(fifo.try_lease().is_err());
///     clock.advance(wait);
/// }
/// assert!(fifo.try_lease().is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn fast_slow(fast: Duration, tries: u32, slow: Duration) -> impl Limiter {
    move |failure: &Failure<'_>| if failure.failures <= tries { fast } else { slow }
}

/// Exponential back-off for each key: the first failure in a row costs `base`, and each further one twice as
/// much, up to `cap`. A success starts over.
///
/// ```
/// use std::time::Duration;
/// use watchcache::fifo::Backoff;
///
/// let backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));
/// assert_eq!(backoff.after(1), Duration::from_millis(10));
/// assert_eq!(backoff.after(4), Duration::from_millis(80));
/// assert_eq!(backoff.after(40), Duration::from_secs(1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    jitter: f64,
}

impl Backoff {
    /// A back-off from `base` up to `cap`, without jitter.
    #[must_use]
    pub const fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, jitter: 0.0 }
    }

    /// Shortens each delay at random by up to this fraction, so that keys that failed together do not
    /// come back together. It is clamped to 0 to 1.
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
    pub fn after(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
        // More doublings than that lead out of the range of any duration.
        let doublings = doublings.min(u128::BITS);
        let longest = (0..doublings).fold(self.base, |delay, _| delay.saturating_mul(2));
        longest.min(self.cap)
    }
}

impl Limiter for Backoff {
    fn delay(&self, failure: &Failure<'_>) -> Duration {
        let longest = self.after(failure.failures);
        let part = 1.0 - self.jitter * failure.chance;
        // Near the longest duration, rounding may exceed its range.
        let shortened = Duration::try_from_secs_f64(longest.as_secs_f64() * part);
        shortened.unwrap_or(longest).min(longest)
    }
}

/// client-go's default, 5 ms to 1,000 s (`DefaultTypedControllerRateLimiter`), with a jitter of one tenth.
impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_millis(5), Duration::from_secs(1000)).jitter(0.1)
    }
}

/// Limits how many retries of all keys together start per second, after a burst (client-go's
/// `BucketRateLimiter`).
///
/// ```
/// use watchcache::fifo::TokenBucket;
/// use watchcache::{Fifo, Key};
///
/// let two = TokenBucket::new(0.1, 2)?;
/// let fifo = Fifo::<Key>::builder().limiter(two).build()?;
/// for key in ["a", "b", "c"] {
///     fifo.add(key.parse::<Key>()?)?;
/// }
/// let leases = (0..3).map(|_| fifo.lease()).collect::<Result<Vec<_>, _>>()?;
/// leases.into_iter().for_each(|lease| lease.retry());
/// assert!(fifo.pop().is_ok() && fifo.pop().is_ok());
/// assert!(fifo.try_pop().is_err(), "the third waits for ten seconds");
/// assert!(TokenBucket::new(0.0, 2).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TokenBucket {
    interval: Duration,
    burst: u32,
    /// When the bucket will be full again, on the queue's clock.
    full: Mutex<Duration>,
}

impl TokenBucket {
    /// A full bucket.
    ///
    /// # Errors
    /// If nothing would ever get through: rate and burst must be above zero.
    pub fn new(per_second: f64, burst: u32) -> Result<Self, BuildError> {
        let interval = Duration::try_from_secs_f64(per_second.recip());
        match interval {
            Ok(interval) if per_second > 0.0 && burst > 0 => {
                Ok(Self { interval, burst, full: Mutex::new(Duration::ZERO) })
            }
            _ => Err(BuildError::ZeroRate),
        }
    }
}

impl Limiter for TokenBucket {
    /// Takes a token, perhaps a future one. Returns how long until it is there.
    fn delay(&self, failure: &Failure<'_>) -> Duration {
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        *full = (*full).max(failure.now()).saturating_add(self.interval);
        let lead = self.interval.saturating_mul(self.burst);
        full.saturating_sub(failure.now()).saturating_sub(lead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay(limiter: &impl Limiter, failures: u32, millis: u64, chance: f64) -> Duration {
        let key = "a".parse().unwrap();
        limiter.delay(&Failure::new(&key, failures, Moment(millis * 1_000_000), chance))
    }

    #[test]
    fn jitter_shortens_within_its_fraction() {
        let backoff = Backoff::new(Duration::from_secs(8), Duration::MAX).jitter(0.25);
        assert_eq!(delay(&backoff, 1, 0, 0.0), Duration::from_secs(8));
        assert_eq!(delay(&backoff, 1, 0, 1.0), Duration::from_secs(6));
        assert_eq!(delay(&backoff.jitter(f64::NAN), 1, 0, 1.0), Duration::from_secs(8));
    }

    #[test]
    fn a_small_base_gets_to_the_highest_cap() {
        let micro = Duration::from_micros(1);
        let hours = Backoff::new(micro, Duration::from_secs(10_000));
        assert_eq!(hours.after(34), micro * (1 << 31) * 4);
        assert_eq!(hours.after(35), Duration::from_secs(10_000));
        let endless = Backoff::new(Duration::from_nanos(1), Duration::MAX);
        assert_eq!([endless.after(200), endless.after(u32::MAX)], [Duration::MAX; 2]);
        assert_eq!(Backoff::new(Duration::ZERO, micro).after(u32::MAX), Duration::ZERO);
    }

    #[test]
    fn the_longest_back_off_is_no_overflow() {
        let backoff = Backoff::new(Duration::MAX, Duration::MAX);
        for jitter in [0.0, 1e-20, 0.5, 1.0] {
            for chance in [0.0, 0.5, 1.0] {
                assert!(delay(&backoff.jitter(jitter), 7, 0, chance) <= Duration::MAX);
            }
        }
        assert_eq!(delay(&backoff, 1, 0, 0.0), Duration::MAX);
    }

    #[test]
    fn a_bucket_passes_its_burst_and_then_its_rate() {
        let bucket = TokenBucket::new(10.0, 3).unwrap();
        let take = |millis| delay(&bucket, 1, millis, 0.0).as_millis();
        assert_eq!([take(0), take(0), take(0), take(0), take(0)], [0, 0, 0, 100, 200]);
        assert_eq!([take(1000), take(1000), take(1000), take(1000)], [0, 0, 0, 100]);
        assert!(TokenBucket::new(0.0, 1).is_err() && TokenBucket::new(f64::NAN, 1).is_err());
        assert!(TokenBucket::new(1.0, 0).is_err() && TokenBucket::new(-1.0, 1).is_err());
        let glacial = TokenBucket::new(1e-18, 1).unwrap();
        assert_eq!(delay(&glacial, 1, 0, 0.0), Duration::ZERO);
        assert!(delay(&glacial, 1, 0, 0.0) > Duration::from_secs(1 << 30));
    }

    #[test]
    fn the_longer_of_two_counts() {
        let second = Duration::from_secs(1);
        let both = max_of(Backoff::new(second, second * 60), fast_slow(second * 2, 1, second * 3));
        let seconds = |failures| delay(&both, failures, 0, 0.0).as_secs();
        assert_eq!([seconds(1), seconds(2), seconds(3)], [2, 3, 4]);
    }
}
