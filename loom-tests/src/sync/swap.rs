use std::ops::Deref;
use std::sync::Arc;

use loom::sync::Mutex;

/// The contract of `arc_swap::ArcSwapOption`: each access is a step, and who loads a pointer is ordered
/// behind who stored it.
#[derive(Debug)]
pub(crate) struct ArcSwapOption<T>(Mutex<Option<Arc<T>>>);

impl<T> ArcSwapOption<T> {
    pub(crate) fn empty() -> Self {
        Self(Mutex::new(None))
    }

    pub(crate) fn load(&self) -> Guard<Option<Arc<T>>> {
        Guard(self.load_full())
    }

    pub(crate) fn load_full(&self) -> Option<Arc<T>> {
        self.0.lock().expect("not poisoned").clone()
    }

    pub(crate) fn store(&self, value: Option<Arc<T>>) {
        drop(self.swap(value));
    }

    pub(crate) fn swap(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
        std::mem::replace(&mut *self.0.lock().expect("not poisoned"), value)
    }

    pub(crate) fn compare_and_swap(
        &self,
        current: &Arc<T>,
        new: Option<Arc<T>>,
    ) -> Guard<Option<Arc<T>>> {
        let mut held = self.0.lock().expect("not poisoned");
        let before = held.clone();
        if before.as_ref().is_some_and(|before| Arc::ptr_eq(before, current)) {
            *held = new;
        }
        Guard(before)
    }
}

/// What was loaded.
#[derive(Debug)]
pub(crate) struct Guard<P>(P);

impl<P> Guard<P> {
    pub(crate) fn from_inner(inner: P) -> Self {
        Self(inner)
    }

    pub(crate) fn into_inner(this: Self) -> P {
        this.0
    }
}

impl<P> Deref for Guard<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.0
    }
}
