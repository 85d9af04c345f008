//! How often functions that a controller was given have failed.

use std::fmt;

use crate::sync::Arc;
use crate::sync::atomic::{AtomicU64, Ordering};

/// How often functions that a controller was given have failed, reconciles aside; from
/// [`Controller::faults`](super::Controller::faults). Each has taken something out of the controller's sight, so a
/// number that grows is worth an alarm. Cheap to clone; it outlives the controller, and keeps nothing of it.
///
/// ```
/// use std::convert::Infallible;
/// use std::sync::Arc;
/// use watchcache::reconcile::{Action, Controller, Request};
/// use watchcache::{Key, Store};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (webs, pods) = (Arc::new(Store::<Key>::new()), Store::<Key>::new());
/// webs.add("a/web".parse::<Key>()?)?;
/// pods.add("stray".parse::<Key>()?)?;
/// # webs.mark_synced();
/// # pods.mark_synced();
/// let (done, mut told) = tokio::sync::mpsc::unbounded_channel();
/// let controller = Controller::new(&webs).watches(pods.subscribe(), |pod: &Key| {
///     let namespace = pod.namespace().expect("each Pod has a namespace");
///     Key::namespaced(namespace, "web").ok()
/// });
/// // To be looked at while it runs, by whatever raises alarms.
/// let faults = controller.faults();
/// let reconcile = async |_: Request<Key>| Ok::<_, Infallible>(Action::await_change());
/// let controller = controller.reconcile(reconcile).on_outcome(move |_| _ = done.send(()));
/// controller.run(async { told.recv().await.unwrap_or_default() }).await?;
/// assert_eq!((faults.mappings(), faults.filters()), (1, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
