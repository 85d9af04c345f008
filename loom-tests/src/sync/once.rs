//! A cell that is set once, by the contract of std's.

use loom::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug)]
pub(crate) struct OnceLock<T> {
    value: std::sync::OnceLock<T>,
    /// Whether a thread that looks may know of the value.
    is_set: AtomicBool,
}

impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        Self { value: std::sync::OnceLock::new(), is_set: AtomicBool::new(false) }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        // ORDERING: Acquire pairs with the Release in `tell`.
        if self.is_set.load(Ordering::Acquire) { self.value.get() } else { None }
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        let outcome = self.value.set(value);
        self.tell();
        outcome
    }

    pub(crate) fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        let value = self.value.get_or_init(init);
        self.tell();
        value
    }

    pub(crate) fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    fn tell(&self) {
        // ORDERING: Release pairs with the Acquire in `get`.
        self.is_set.store(true, Ordering::Release);
    }
}
