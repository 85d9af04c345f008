//! What the library's `sync` module is to the shipped sources, made of loom's types.

pub(crate) use loom::sync::{Mutex, MutexGuard};
// Plain shared ownership; its count is not what the models are about.
pub(crate) use std::sync::{Arc, OnceLock, PoisonError, TryLockError};

mod event;
mod queue;

pub(crate) use event::{Event, EventListener, IntoNotification, Listener};
pub(crate) use queue::SegQueue;

pub(crate) mod atomic {
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence,
    };

    /// Only the symmetric side of the barrier is modelled.
    pub(crate) fn compiler_fence(_: Ordering) {}
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
