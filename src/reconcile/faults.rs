//! How often functions that a controller was given have failed.

use std::fmt;

use crate::sync::Arc;
use crate::sync::atomic::{AtomicU64, Ordering};

/// How often functions that a controller was given have failed, reconciles aside; from
/// [`Controller::faults`](super::Controller::faults). Each has taken something out of the controller's sight, so a
/// number that grows is worth an alarm. Cheap to clone; it outlives the controller, and keeps nothing of it.
#[derive(Clone, Default)]
pub struct Faults {
    pub(super) filters: Arc<AtomicU64>,
    mappings: Arc<AtomicU64>,
}

impl Faults {
    /// How often a filter, a label or a part failed, the controller's own, or that of a subscription to others. The
    /// object counts as one that it is not about, which looks like a deletion; the update as one that it is about.
    /// An object may be looked at, and counted, more than once.
    #[must_use]
    pub fn filters(&self) -> u64 {
        // ORDERING: Relaxed: a figure orders nothing.
        self.filters.load(Ordering::Relaxed)
    }

    /// How often what others [lead to](super::Controller::watches) was not to be known, because the function panicked.
    #[must_use]
    pub fn mappings(&self) -> u64 {
        // ORDERING: Relaxed, as above.
        self.mappings.load(Ordering::Relaxed)
    }

    pub(super) fn count_filter(&self) {
        // ORDERING: Relaxed, as above.
        self.filters.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_mapping(&self) {
        // ORDERING: Relaxed, as above.
        self.mappings.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("filters", &self.filters())
            .field("mappings", &self.mappings())
            .finish()
    }
}
