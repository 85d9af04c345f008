//! A published revision: the root from which a reader sees one consistent state.

use std::ptr::NonNull;

use super::index::Indexes;
use crate::ResourceVersion;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Lifetime};

/// Everything that is not found through the table. Immutable once published, except for the count.
pub(super) struct Revision<T> {
    pub(super) number: u64,
    /// How many publications there were before: several may leave the same number.
    pub(super) sequence: u64,
    pub(super) resource_version: Option<ResourceVersion>,
    /// Whether the whole content was delivered before this revision, or with it.
    pub(super) synced: bool,
    pub(super) len: usize,
    pub(super) indexes: Arc<Indexes<T>>,
    /// Snapshots of it. Raised from zero only by a pinned reader that found the revision published.
    /// It cannot wrap: each snapshot also counts on the engine's `Arc`, which aborts before.
    pub(super) holders: AtomicUsize,
    life: Lifetime,
}

impl<T> Revision<T> {
    pub(super) fn new(
        number: u64,
        sequence: u64,
        resource_version: Option<ResourceVersion>,
        synced: bool,
        len: usize,
        indexes: Arc<Indexes<T>>,
    ) -> Self {
        let holders = AtomicUsize::new(0);
        let life = Lifetime::new();
        Self { number, sequence, resource_version, synced, len, indexes, holders, life }
    }

    /// Ends its life. What it has is dropped later.
    pub(super) fn end(&self) {
        self.life.end();
    }

    /// # Safety
    /// The revision outlives `'a`.
    #[inline]
    pub(super) unsafe fn get<'a>(this: NonNull<Self>) -> &'a Self {
        // SAFETY: alive for `'a`.
        let revision = unsafe { this.as_ref() };
        revision.life.visit();
        revision
    }

    /// Snapshots that hold it.
    ///
    /// # Safety
    /// The revision is alive.
    pub(super) unsafe fn held_by(this: NonNull<Self>) -> usize {
        // ORDERING: Acquire pairs with the Release in `Hold::drop`: what the last holder read comes
        // before what the writer frees.
        // SAFETY: alive.
        unsafe { Self::get(this) }.holders.load(Ordering::Acquire)
    }
}
