//! Keeping a revision alive: for a short read of one thread, or for a snapshot.

use std::ptr::NonNull;

use super::Engine;
use super::pin::Pin;
use super::revision::Revision;
use super::view::View;
use crate::sync::Arc;
use crate::sync::atomic::Ordering;
use crate::{ArcRef, KeyRef};

/// A thread's short hold on the revision that was published when it pinned.
pub(crate) struct PinnedRevision<'e, T> {
    engine: &'e Engine<T>,
    revision: NonNull<Revision<T>>,
    pin: Pin,
}

impl<'e, T> PinnedRevision<'e, T> {
    #[inline]
    pub(crate) fn new(engine: &'e Engine<T>) -> Self {
        let pin = Pin::new();
        Self { engine, revision: engine.published(&pin), pin }
    }

    #[inline]
    pub(crate) fn view(&self) -> View<'_, T> {
        // SAFETY: pinned since before the revision was learnt.
        View { engine: self.engine, revision: unsafe { Revision::get(self.revision) } }
    }

    /// The object under a key.
    #[inline]
    pub(crate) fn get(&self, key: KeyRef<'_>) -> Option<ArcRef<'_, T>> {
        self.view().get(key, &self.pin)
    }

    /// As [`get`](Self::get), to share.
    #[inline]
    pub(crate) fn share(&self, key: KeyRef<'_>) -> Option<Arc<T>> {
        self.view().share(key, &self.pin)
    }

    /// The objects under several keys, in the keys' order, to share.
    pub(crate) fn get_each<'a>(
        &'a self,
        keys: &[KeyRef<'_>],
        each: impl FnMut(Option<ArcRef<'a, T>>),
    ) {
        self.view().get_each(keys, &self.pin, each);
    }
}

/// A snapshot's hold on a revision.
pub(crate) struct Hold<T> {
    engine: Arc<Engine<T>>,
    revision: NonNull<Revision<T>>,
}

// SAFETY: a revision is immutable but for its count, which is atomic.
unsafe impl<T: Send + Sync> Send for Hold<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Hold<T> {}

impl<T> Hold<T> {
    /// Takes hold of the published revision.
    pub(crate) fn new(engine: &Arc<Engine<T>>) -> Self {
        // Counted before the revision is, so that the revision's count cannot wrap.
        let engine = Arc::clone(engine);
        let pin = Pin::new();
        let revision = engine.published(&pin);
        // ORDERING: Relaxed. While this thread is pinned the writer frees nothing by this count; when it
        // has seen the thread unpin (Release in `Pin::drop`), it sees this increment too.
        // SAFETY: pinned since before the revision was learnt.
        unsafe { Revision::get(revision) }.holders.fetch_add(1, Ordering::Relaxed);
        drop(pin);
        Self { engine, revision }
    }

    #[inline]
    pub(crate) fn view(&self) -> View<'_, T> {
        // SAFETY: held.
        View { engine: &self.engine, revision: unsafe { Revision::get(self.revision) } }
    }
}

impl<T> Clone for Hold<T> {
    fn clone(&self) -> Self {
        let engine = Arc::clone(&self.engine);
        // ORDERING: Relaxed: this hold keeps the count above zero meanwhile.
        // SAFETY: held.
        unsafe { Revision::get(self.revision) }.holders.fetch_add(1, Ordering::Relaxed);
        Self { engine, revision: self.revision }
    }
}

impl<T> Drop for Hold<T> {
    fn drop(&mut self) {
        // ORDERING: Release pairs with the Acquire in `Revision::held_by`.
        // SAFETY: held until here.
        unsafe { Revision::get(self.revision) }.holders.fetch_sub(1, Ordering::Release);
    }
}
