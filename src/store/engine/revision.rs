//! One published revision: what a reader takes hold of to see a whole state.

use super::index::Indexes;
use crate::ResourceVersion;
use crate::sync::Arc;
use crate::sync::atomic::AtomicUsize;

/// Everything that is not found by way of the table. Immutable once published, but for the count.
pub(super) struct Revision<T> {
    pub(super) number: u64,
    pub(super) resource_version: Option<ResourceVersion>,
    pub(super) len: usize,
    pub(super) indexes: Arc<Indexes<T>>,
    /// Snapshots of it. Raised from zero only by a pinned reader that found the revision published.
    pub(super) holders: AtomicUsize,
}
