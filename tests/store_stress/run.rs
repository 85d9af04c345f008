//! For how long, from which seed, and how large.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::watchdog::patience;

/// Keys of each store, but for the hot one.
pub(crate) const KEYS: u64 = if cfg!(miri) { 40 } else { 6_000 };

/// Changes that a store's log keeps at most, for those who follow.
pub(crate) const LOG: usize = if cfg!(miri) { 16 } else { 2_000 };

/// Snapshots that a reader keeps at most.
pub(crate) const KEPT: usize = if cfg!(miri) { 4 } else { 48 };

/// Far longer than a sleeper waits while there are writers.
const NEVER: Duration = Duration::from_secs(600);

pub(crate) struct Run {
    pub(crate) seed: u64,
    pub(crate) length: Duration,
    stop: AtomicBool,
}

impl Run {
    pub(crate) fn from_environment() -> Self {
        let number = |name: &str, default: u64| {
            std::env::var(name).map_or(default, |text| text.parse().expect("a whole number"))
        };
        let seed = number("WATCHCACHE_SEED", 20_141_106);
        let length = number("WATCHCACHE_STRESS_SECONDS", 2);
        println!("WATCHCACHE_SEED={seed} WATCHCACHE_STRESS_SECONDS={length}");
        Self { seed, length: Duration::from_secs(length), stop: AtomicBool::new(false) }
    }

    /// A generator of a thread's own.
    pub(crate) fn random(&self, thread: u64) -> Random {
        Random((self.seed ^ (thread << 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Whether a thread is to make another step. Under Miri, which has no time to lose, it is steps
    /// that count.
    pub(crate) fn goes_on(&self, step: u64) -> bool {
        if cfg!(miri) { step < 12 } else { !self.stop.load(Ordering::Relaxed) }
    }

    /// For how long one may be asleep at most.
    pub(crate) fn limit(&self) -> Duration {
        self.length + NEVER * patience()
    }

    pub(crate) fn end(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A small generator of our own: the seed is all there is to know about a run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    pub(crate) fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }
}
