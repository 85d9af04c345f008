//! What a reconcile is given.

use std::fmt;
use std::ops::Deref;

use crate::Key;
use crate::sync::Arc;

/// What is to be reconciled: a key, and the newest state of its object.
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
