//! What the library's `sync` module is to the shipped sources, made of loom's types.

pub(crate) use loom::sync::{Mutex, MutexGuard};
// Plain shared ownership; its count is not what the models are about.
pub(crate) use std::sync::{Arc, PoisonError, TryLockError};

mod map;
mod once;
mod park;
mod queue;
mod swap;

pub(crate) use map::{DashMap, RwLockWriteGuard, SharedValue};
pub(crate) use once::OnceLock;
pub(crate) use park::{Parker, join_spawned, spawn};
pub(crate) use queue::SegQueue;
pub(crate) use swap::{ArcSwapOption, Guard};

pub(crate) mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

    /// An access, too: loom tries threads in another order only where both access one thing.
    pub(crate) fn fence(ordering: Ordering) {
        super::FENCES.fetch_add(1, Ordering::Relaxed);
        loom::sync::atomic::fence(ordering);
    }

    /// Only the symmetric side of the barrier is modelled.
    pub(crate) fn compiler_fence(_: Ordering) {}
}

loom::lazy_static! {
    static ref FENCES: atomic::AtomicUsize = atomic::AtomicUsize::new(0);
}

/// Call first: who makes a `static` is ordered before who uses it.
pub(crate) fn begin() {
    let _ = &*FENCES;
}

#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(loom::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::cell::UnsafeCell::new(value))
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        self.0.with(f)
    }

    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        self.0.with_mut(f)
    }
}

/// A number that whoever holds a certain lock may touch: an access that no lock orders is a race.
#[derive(Debug)]
pub(crate) struct Counter(loom::cell::UnsafeCell<u64>);

// SAFETY: loom fails the model at an access that is not ordered with the others.
unsafe impl Sync for Counter {}

impl Default for Counter {
    fn default() -> Self {
        Self(loom::cell::UnsafeCell::new(0))
    }
}

impl Counter {
    pub(crate) fn get(&self) -> u64 {
        // SAFETY: as for `Sync`.
        self.0.with(|value| unsafe { *value })
    }

    pub(crate) fn set(&self, value: u64) {
        // SAFETY: as for `Sync`.
        self.0.with_mut(|place| unsafe { *place = value });
    }

    pub(crate) fn add(&self, n: u64) {
        self.set(self.get() + n);
    }

    pub(crate) fn sub(&self, n: u64) {
        self.set(self.get() - n);
    }
}

/// A shared allocation's life: who visits it must come after its beginning and before its end.
#[derive(Debug)]
pub(crate) struct Lifetime {
    cell: loom::cell::UnsafeCell<()>,
    ended: std::sync::atomic::AtomicBool,
}

impl Lifetime {
    pub(crate) fn new() -> Self {
        let this = Self { cell: loom::cell::UnsafeCell::new(()), ended: false.into() };
        // A visit that the making is not ordered before is a race with this.
        this.cell.with_mut(|_| ());
        this
    }

    pub(crate) fn visit(&self) {
        assert!(
            !self.ended.load(std::sync::atomic::Ordering::Relaxed),
            "visited after it was freed"
        );
        self.cell.with(|_| ());
    }

    /// After an end, where what was freed is used again.
    pub(crate) fn begin(&self) {
        self.cell.with_mut(|_| ());
        self.ended.store(false, std::sync::atomic::Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        let ended = self.ended.swap(true, std::sync::atomic::Ordering::Relaxed);
        assert!(!ended, "freed twice");
        self.cell.with_mut(|_| ());
    }
}

#[derive(Debug)]
pub(crate) struct ThreadName;

impl ThreadName {
    pub(crate) const fn new() -> Self {
        Self
    }

    pub(crate) fn set(&self) {}

    pub(crate) fn clear(&self) {}

    pub(crate) fn get(&self) -> Option<String> {
        None
    }
}

/// Freed memory is kept, so that a visit after the end is seen.
pub(crate) const FREES: bool = false;
pub(crate) const MEMBARRIER: bool = false;

/// One look around is as good as many: the model has every interleaving of it.
pub(crate) const SPINS: usize = 1;

pub(crate) fn relax(_: usize) {}

pub(crate) fn random_hasher() -> foldhash::fast::SeedableRandomState {
    foldhash::fast::SeedableRandomState::with_seed(7, foldhash::SharedSeed::global_fixed())
}

macro_rules! global {
    ($(#[$doc:meta])* static $name:ident: $type:ty = $value:expr;) => {
        loom::lazy_static! {
            $(#[$doc])*
            static ref $name: $type = $value;
        }
    };
}

macro_rules! local {
    ($(#[$doc:meta])* static $name:ident: $type:ty = $value:expr;) => {
        loom::thread_local! {
            $(#[$doc])*
            static $name: $type = $value;
        }
    };
}

pub(crate) use {global, local};
