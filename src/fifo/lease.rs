//! A key in one worker's hands.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::shared::Shared;
use super::state::Outcome;
use crate::Key;

/// A key and its object in this worker's hands; nobody else gets the key until the lease ends.
///
/// End it with [`done`](Lease::done) or [`retry`](Lease::retry). A lease that is dropped without
/// either, as by a panic, puts its key back as `retry` does and is counted as abandoned.
///
/// Whatever happens to the key meanwhile applies when the lease ends, however it ends: after a change
/// the key is handed out once more, with the newest value and at the place of the change; after a
/// delete it is not handed out again.
///
/// ```
/// use watchcache::{Fifo, Key, KeyError, Object};
/// # struct Pod(&'static str, u32);
/// # impl Object for Pod {
/// #     fn key(&self) -> Result<Key, KeyError> { self.0.parse() }
/// # }
/// let fifo = Fifo::new();
/// fifo.add(Pod("default/web-0", 1))?;
/// let lease = fifo.take()?;
/// assert_eq!(lease.key().name(), "web-0");
///
/// fifo.add(Pod("default/web-0", 2))?;
/// assert!(fifo.try_take().is_err(), "the key is in our hands");
/// lease.done();
/// assert_eq!(fifo.take()?.1, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a lease that is dropped puts its key back"]
pub struct Lease<T> {
    shared: Arc<Shared<T>>,
    key: Key,
    object: Arc<T>,
    ended: bool,
}

impl<T> Lease<T> {
    pub(super) fn new(shared: Arc<Shared<T>>, key: Key, object: Arc<T>) -> Self {
        Self { shared, key, object, ended: false }
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The object that was handed out. It stays the same, whatever arrives meanwhile.
    #[must_use]
    pub fn object(&self) -> &Arc<T> {
        &self.object
    }

    /// Ends the lease: the work is done. Never waits for other workers' leases.
    pub fn done(mut self) {
        self.end(Outcome::Done);
    }

    /// Ends the lease and puts the key back at the tail with this object. If a newer object arrived
    /// meanwhile, that one stays, and keeps its place; if the key was deleted meanwhile, it stays
    /// deleted.
    ///
    /// Works on a closed queue too.
    pub fn retry(mut self) {
        self.end(Outcome::Retry);
    }

    fn end(&mut self, outcome: Outcome) {
        if !std::mem::replace(&mut self.ended, true) {
            self.shared.update(|state| state.end(&self.key, &self.object, outcome));
        }
    }
}

impl<T> Drop for Lease<T> {
    fn drop(&mut self) {
        self.end(Outcome::Abandoned);
    }
}

impl<T> Deref for Lease<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.object
    }
}

impl<T> fmt::Debug for Lease<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("key", &self.key).finish_non_exhaustive()
    }
}
