//! The only place that names std's atomics, locks and cells, the lock-free queue and shared pointer, the sharded map, and parking.
//!
//! The models in `loom-tests` compile the same sources against a `sync` of their own, made of
//! loom's types. What std has no need for ([`UnsafeCell`]'s closures, [`Lifetime`]) costs nothing here.

pub(crate) use arc_swap::{ArcSwapOption, Guard};
pub(crate) use crossbeam_queue::SegQueue;
pub(crate) use dashmap::{DashMap, RwLockWriteGuard, SharedValue};
pub(crate) use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, compiler_fence, fence,
    };
}

/// A cell that is reached through closures, as loom's is, so that the models see each access.
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

/// Marks a shared allocation's life for the models: a visit after the end, or one that the end is
/// not ordered behind, fails there. Here it is nothing.
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

    /// After an end, where what was freed is used again.
    #[inline]
    pub(crate) fn begin(&self) {}
}

/// A thread's name, for reports by others. The models have none.
#[derive(Debug)]
pub(crate) struct ThreadName(Mutex<Option<std::thread::Thread>>);

impl ThreadName {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Takes the calling thread's. Waits for nobody: beside a report it is left out.
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

/// A number that whoever holds a certain lock may touch, and nobody else; the models check that. Here
/// it is a word of which no access is a locked instruction.
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

/// A thread that parks, until somebody who has a clone unparks it. That may also happen for no reason.
#[derive(Clone, Debug)]
pub(crate) struct Parker(std::thread::Thread);

impl Parker {
    pub(crate) fn current() -> Self {
        Self(std::thread::current())
    }

    /// Parks the thread that this is.
    pub(crate) fn park(&self) {
        std::thread::park();
    }

    /// As [`Parker::park`], for at most so long.
    pub(crate) fn park_timeout(&self, timeout: std::time::Duration) {
        std::thread::park_timeout(timeout);
    }

    pub(crate) fn unpark(&self) {
        self.0.unpark();
    }
}

/// How often a thread looks around before it sleeps: some microseconds, then some turns for others.
pub(crate) const SPINS: usize = 16;

/// What a thread does between two looks, longer and longer.
#[inline]
pub(crate) fn relax(step: usize) {
    if step < 8 {
        (0..1_usize << step).for_each(|_| std::hint::spin_loop());
    } else {
        std::thread::yield_now();
    }
}

/// Whether the system may have a `membarrier` call. The models and Miri have none.
pub(crate) const MEMBARRIER: bool = cfg!(all(target_os = "linux", not(miri)));

/// Whether freed memory is really freed. The models keep it, so that a visit after the end is seen.
pub(crate) const FREES: bool = true;

/// A `static`; the models make it anew for each execution.
macro_rules! global {
    ($(#[$doc:meta])* static $name:ident: $type:ty = $value:expr;) => {
        $(#[$doc])*
        static $name: $type = $value;
    };
}

/// A `thread_local!`; likewise.
macro_rules! local {
    ($(#[$doc:meta])* static $name:ident: $type:ty = $value:expr;) => {
        std::thread_local! {
            $(#[$doc])*
            static $name: $type = const { $value };
        }
    };
}

pub(crate) use {global, local};
