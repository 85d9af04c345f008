//! What a reconcile is given.

use std::fmt;
use std::ops::Deref;

use crate::Key;
use crate::sync::Arc;

/// What is to be reconciled: a key, and the newest state of its object. (What a queue holds under a key of another
/// type is [`fifo::Request`](crate::fifo::Request).)
///
/// ```
/// use std::convert::Infallible;
/// use std::sync::Arc;
/// use watchcache::reconcile::{Action, Controller, Request};
/// use watchcache::{Key, Store};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = Arc::new(Store::<Key>::new());
/// store.add("a/web".parse::<Key>()?)?;
/// store.mark_synced();
/// let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
/// let controller = Controller::new(&store).deletions().reconcile(move |web: Request<Key>| {
///     let tell = tell.clone();
///     async move {
///         let what = if web.is_deleted() { "clean up after" } else { "see to" };
///         let _ = tell.send(format!("{what} {}", web.object().name()));
///         Ok::<_, Infallible>(Action::await_change())
///     }
/// });
/// controller
///     .run(async {
///         assert_eq!(told.recv().await.as_deref(), Some("see to web"));
///         store.delete("a/web");
///         assert_eq!(told.recv().await.as_deref(), Some("clean up after web"));
///     })
///     .await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Request<K> {
    key: Key,
    object: Arc<K>,
    is_deleted: bool,
    failures: u32,
}

impl<K> Request<K> {
    pub(super) fn new(key: Key, object: Arc<K>, is_deleted: bool, failures: u32) -> Self {
        Self { key, object, is_deleted, failures }
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The object, as the store had it when this reconcile began, by an [assumption](crate::Store::assume), it may
    /// be: one that turns out wrong is a change. Of what [is deleted](Self::is_deleted), the last state that was told
    /// or reconciled.
    #[must_use]
    pub fn object(&self) -> &Arc<K> {
        &self.object
    }

    /// Whether the object is gone, or no longer one that the controller is about. So it is only for a
    /// controller that is to be told ([`Controller::deletions`](super::Controller::deletions)); an object that
    /// waits for its finalizers is there.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.is_deleted
    }

    /// How many reconciles of the key have failed, or [backed off](super::Action::back_off), in a row before this one.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

impl<K> Deref for Request<K> {
    type Target = K;

    fn deref(&self) -> &K {
        &self.object
    }
}

// Not derived, so that `K` need not be `Clone`.
impl<K> Clone for Request<K> {
    fn clone(&self) -> Self {
        let Self { key, object, is_deleted, failures } = self;
        Self::new(key.clone(), Arc::clone(object), *is_deleted, *failures)
    }
}

impl<K> fmt::Debug for Request<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("key", &self.key)
            .field("is_deleted", &self.is_deleted)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}
