//! A key in one worker's hands.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::shared::Shared;
use super::state::outgoing::{LeaseEnd, Leasing};
use crate::{Change, Key, Object};

/// A key and its object in this worker's hands; nobody else gets the key until the lease ends.
///
/// End it with [`done`](Lease::done), [`after`](Lease::after) or [`retry`](Lease::retry); each takes the
/// lease, so none can be ended twice. A lease that is dropped without, as by a panic, puts its key back
/// as `retry` does and is counted as abandoned. One that is forgotten (`std::mem::forget`) keeps its key
/// from everybody for good.
///
/// Whatever happens to the key meanwhile applies when the lease ends, however it ends: after a change
/// the key is handed out once more, with the newest value and at the place of the change; after a
/// delete it is not handed out again, unless the queue hands out
/// [deletions](super::FifoBuilder::deletions).
///
/// ```
/// use watchcache::{Fifo, KeyRef, Object};
/// # struct Pod(&'static str, u32);
/// # impl Object for Pod {
/// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
/// # }
/// let fifo = Fifo::new();
/// fifo.add(Pod("default/web-0", 1))?;
/// let lease = fifo.lease()?;
/// assert_eq!(lease.key().name(), "web-0");
///
/// fifo.add(Pod("default/web-0", 2))?;
/// assert!(fifo.try_lease().is_err(), "the key is in our hands");
/// lease.done();
/// assert_eq!(fifo.lease()?.1, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a lease that is dropped puts its key back"]
pub struct Lease<T: Object> {
    shared: Arc<Shared<T>>,
    leasing: Leasing<T>,
    ended: bool,
}

impl<T: Object> Lease<T> {
    pub(super) fn new(shared: &Arc<Shared<T>>, leasing: Leasing<T>) -> Self {
        Self { shared: Arc::clone(shared), leasing, ended: false }
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.leasing.key
    }

    /// The object that was handed out. It stays the same, whatever arrives meanwhile.
    #[must_use]
    pub fn object(&self) -> &Arc<T> {
        &self.leasing.object
    }

    /// Whether the object is gone, so that this is its last known state. Only a queue that hands out
    /// [deletions](super::FifoBuilder::deletions) has such leases. It stays the same, whatever arrives
    /// meanwhile.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.leasing.deletion
    }

    /// How often in a row the key's leases have failed before this one: ended in [`retry`](Lease::retry),
    /// or dropped. So a worker can give up.
    ///
    /// ```
    /// # use watchcache::{Fifo, KeyRef, Object};
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let fifo = Fifo::new();
    /// fifo.add(Pod("default/web-0"))?;
    /// let mut tries = 0;
    /// while let Ok(lease) = fifo.try_lease() {
    ///     tries += 1;
    ///     if lease.failures() < 4 { lease.retry() } else { lease.done() }
    /// }
    /// assert_eq!(tries, 5);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.leasing.failures
    }

    /// Ends the lease: the work is done, and the key's back-off starts over. Never waits for other
    /// workers' leases.
    pub fn done(mut self) {
        self.end(LeaseEnd::Done);
    }

    /// Ends the lease as [`done`](Lease::done) does, and gives what was handed out: how to consume for good
    /// from a queue that hands out [deletions](super::FifoBuilder::deletions). A deletion always has its
    /// last state.
    ///
    /// ```
    /// # use watchcache::{Fifo, KeyRef, Object};
    /// use watchcache::Change;
    /// # #[derive(Debug)]
    /// # struct Pod(&'static str, u32);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let fifo = Fifo::builder().deletions().build()?;
    /// fifo.add(Pod("a", 1))?;
    /// assert!(matches!(fifo.lease()?.into_change(), Change::Add(pod) if pod.1 == 1));
    /// fifo.delete("a");
    /// assert!(matches!(fifo.lease()?.into_change(), Change::Delete(Some(pod)) if pod.1 == 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "nobody else gets it; `done` ends the lease without it"]
    pub fn into_change(self) -> Change<T> {
        let object = Arc::clone(self.object());
        let change = match self.is_deleted() {
            true => Change::Delete(Some(object)),
            false => Change::Add(object),
        };
        self.done();
        change
    }

    /// Ends the lease as [`done`](Lease::done) does, and has the key come back after this time with the
    /// same object. Whatever arrives for the key in between comes first; of two times the earlier one
    /// counts. If the key was deleted meanwhile, it stays deleted.
    ///
    /// On a closed queue it is as `done`: a queue to which keys come back by themselves would not end.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use watchcache::fifo::ManualClock;
    /// # use watchcache::{Fifo, KeyRef, Object};
    /// # #[derive(Debug)]
    /// # struct Pod(&'static str, u32);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let clock = ManualClock::new();
    /// let fifo = Fifo::builder().clock(&clock).build()?;
    /// fifo.add(Pod("a", 1))?;
    /// fifo.lease()?.after(Duration::from_secs(600));
    /// assert!(fifo.try_lease().is_err());
    /// clock.advance(Duration::from_secs(600));
    /// fifo.lease()?.after(Duration::from_secs(600));
    ///
    /// fifo.add(Pod("a", 2))?;
    /// assert_eq!(fifo.lease()?.1, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn after(mut self, delay: Duration) {
        self.end(LeaseEnd::After(delay));
    }

    /// Ends the lease: the work failed. Puts the key back at the tail with this object, once its
    /// back-off is over, if the queue has [limiters](super::FifoBuilder::limiter). If a newer object arrived
    /// meanwhile, that one stays, and keeps its place; if the key was deleted meanwhile, it stays
    /// deleted.
    ///
    /// Works on a closed queue too.
    pub fn retry(mut self) {
        self.end(LeaseEnd::Retry);
    }

    fn end(&mut self, end: LeaseEnd) {
        if !std::mem::replace(&mut self.ended, true) {
            self.shared.end(&self.leasing, end);
        }
    }
}

impl<T: Object> Drop for Lease<T> {
    fn drop(&mut self) {
        self.end(LeaseEnd::Abandoned);
    }
}

impl<T: Object> Deref for Lease<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.leasing.object
    }
}

impl<T: Object> fmt::Debug for Lease<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("key", &self.leasing.key).finish_non_exhaustive()
    }
}
