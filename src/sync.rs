//! The concurrency primitives of store, queue and waiters: they name std's atomics, locks and cells, and the
//! types of arc-swap, crossbeam-queue and dashmap, through this module alone.
//!
//! The models in `loom-tests` compile the same sources against a `sync` of their own, made of
//! loom's types. What only the models need ([`UnsafeCell`]'s closures, [`Lifetime`]) costs nothing here.

pub(crate) use arc_swap::{ArcSwapOption, Guard};
pub(crate) use crossbeam_queue::SegQueue;
pub(crate) use dashmap::{DashMap, RwLockWriteGuard, SharedValue};
pub(crate) use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, compiler_fence, fence,
    };
}

/// A cell accessed through closures, as loom's is, so that the models see each access.
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    #[inline]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// Tracks an allocation's lifetime for the models: an access after its end, or one that is not ordered
/// before it, fails there. Here it is nothing.
#[derive(Debug)]
pub(crate) struct Lifetime;

impl Lifetime {
    pub(crate) const fn new() -> Self {
        Self
    }

    #[inline]
    pub(crate) fn visit(&self) {}

    #[inline]
    pub(crate) fn end(&self) {}

    /// Begins a new lifetime in the same memory.
    #[inline]
    pub(crate) fn begin(&self) {}
}

/// A thread's name, for other threads to report. The models have none.
#[derive(Debug)]
pub(crate) struct ThreadName(Mutex<Option<std::thread::Thread>>);

impl ThreadName {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Notes the calling thread. Never waits: it does nothing while another thread reads the name.
    pub(crate) fn set(&self) {
        if let Ok(mut name) = self.0.try_lock() {
            *name = Some(std::thread::current());
        }
    }

    pub(crate) fn clear(&self) {
        if let Ok(mut name) = self.0.try_lock() {
            *name = None;
        }
    }

    /// The name, or the thread's id where it has none.
    pub(crate) fn get(&self) -> Option<String> {
        let thread = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let thread = thread.as_ref()?;
        Some(thread.name().map_or_else(|| format!("{:?}", thread.id()), str::to_owned))
    }
}

/// A number that only the holder of a certain lock accesses, which the models check. No access is a
/// locked instruction.
#[derive(Debug, Default)]
pub(crate) struct Counter(atomic::AtomicU64);

impl Counter {
    #[inline]
    pub(crate) fn get(&self) -> u64 {
        // ORDERING: Relaxed, as the lock orders it.
        self.0.load(atomic::Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn set(&self, value: u64) {
        // ORDERING: Relaxed, as the lock orders it.
        self.0.store(value, atomic::Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.set(self.get().wrapping_add(n));
    }

    #[inline]
    pub(crate) fn sub(&self, n: u64) {
        self.set(self.get().wrapping_sub(n));
    }
}

/// A handle to a thread that parks until a clone of the handle unparks it. It may wake spuriously.
#[derive(Clone, Debug)]
pub(crate) struct Parker(std::thread::Thread);

impl Parker {
    pub(crate) fn current() -> Self {
        Self(std::thread::current())
    }

    /// Parks the current thread, whose handle this must be.
    pub(crate) fn park(&self) {
        std::thread::park();
    }

    /// As [`Parker::park`], for at most this time.
    pub(crate) fn park_timeout(&self, timeout: std::time::Duration) {
        std::thread::park_timeout(timeout);
    }

    pub(crate) fn unpark(&self) {
        self.0.unpark();
    }
}

/// Starts a thread, which is given its handle, if the system has one to give.
pub(crate) fn spawn(name: &str, run: impl FnOnce(Parker) + Send + 'static) -> Option<Parker> {
    let thread = std::thread::Builder::new().name(name.into());
    let handle = thread.spawn(|| run(Parker::current())).ok()?;
    Some(Parker(handle.thread().clone()))
}

/// How often a thread spins before it parks: a few microseconds, then a few yields.
pub(crate) const SPINS: usize = 16;

/// Backs off between two spins, longer each time.
#[inline]
pub(crate) fn relax(step: usize) {
    if step < 8 {
        (0..1_usize << step).for_each(|_| std::hint::spin_loop());
    } else {
        std::thread::yield_now();
    }
}

/// Hashes by secrets of the process and of the cache: if either were known, keys could be made that all lie in one place.
/// The models always take the same.
pub(crate) fn random_hasher() -> foldhash::fast::SeedableRandomState {
    foldhash::fast::SeedableRandomState::random()
}

/// Hashes alike throughout the process, for marks that stand for a content, and by a secret of its own: whoever writes
/// objects cannot give two contents one mark.
#[cfg(feature = "reflector")]
pub(crate) fn mark_hasher() -> foldhash::fast::SeedableRandomState {
    foldhash::fast::SeedableRandomState::with_seed(0, foldhash::SharedSeed::global_random())
}

/// Whether the system may have a `membarrier` call. The models and Miri have none.
pub(crate) const MEMBARRIER: bool = cfg!(all(target_os = "linux", not(miri)));

/// Whether freed memory is really freed. The models keep it, to catch an access after its end.
pub(crate) const FREES: bool = true;

/// A `static`. In the models each execution has its own.
macro_rules! global {
    ($(#[$doc:meta])* static $name:ident: $type:ty = $value:expr;) => {
        $(#[$doc])*
        static $name: $type = $value;
    };
}

/// A `thread_local!`, likewise.
macro_rules! local {
    ($(#[$doc:meta])* static $name:ident: $type:ty = $value:expr;) => {
        std::thread_local! {
            $(#[$doc])*
            static $name: $type = const { $value };
        }
    };
}

pub(crate) use {global, local};

#[cfg(all(test, feature = "reflector"))]
mod tests {
    use std::hash::BuildHasher;

    #[test]
    fn marks_are_the_same_throughout_the_process_and_hashed_by_a_secret() {
        let mark = super::mark_hasher().hash_one("content");
        assert_eq!(super::mark_hasher().hash_one("content"), mark);
        let public = foldhash::SharedSeed::global_fixed();
        let public = foldhash::fast::SeedableRandomState::with_seed(0, public);
        assert_ne!(public.hash_one("content"), mark);
    }
}
