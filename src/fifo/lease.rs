//! Leases: a key and its object, for one worker at a time.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::Backoff;
use super::shared::Shared;
use super::state::outgoing::{LeaseEnd, Leasing};
use crate::{ArcRef, Change, Key, Object};

/// A key and its object, leased to a worker: no other consumer gets the key until the lease ends.
///
/// End it with [`done`](Lease::done), [`after`](Lease::after), [`retry`](Lease::retry) or
/// [`retry_after`](Lease::retry_after). If it is dropped instead, for example by a panic, its key is put back as by `retry`, and it is counted as
/// abandoned. If it is forgotten (`std::mem::forget`), no consumer ever gets its key again.
///
/// Whatever happens to the key in the meantime takes effect when the lease ends, however it ends. After
/// a change the key is handed out once more, with the newest value and in the place of the change. After
/// a delete it is not handed out again, unless the queue hands out
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
/// assert!(fifo.try_lease().is_err(), "the key is leased");
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

    /// The object that was handed out. It stays the same, whatever arrives in the meantime.
    #[must_use]
    pub fn object(&self) -> ArcRef<'_, T> {
        ArcRef::from(&self.leasing.object)
    }

    /// Returns whether the object was deleted, and this is its last known state. Only a queue that hands out
    /// [deletions](super::FifoBuilder::deletions) has such leases. It stays the same, whatever arrives in
    /// the meantime.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.leasing.deletion
    }

    /// How many of the key's leases have failed in a row before this one: ended with
    /// [`retry`](Lease::retry) or [`retry_after`](Lease::retry_after), or dropped. A worker can use it to
    /// give up.
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

    /// Ends the lease: the work is done, and the key's back-off starts over. Never waits for other leases.
    pub fn done(mut self) {
        self.end(LeaseEnd::Done);
    }

    /// Ends the lease as [`done`](Lease::done) does, and returns what was handed out: this is how to pop
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
        let object = self.object().to_arc();
        let change = match self.is_deleted() {
            true => Change::Delete(Some(object)),
            false => Change::Add(object),
        };
        self.done();
        change
    }

    /// Ends the lease as [`done`](Lease::done) does, and queues the same object again after a delay. A
    /// newer value of the key comes first; of two delays the one that ends earlier counts. If the key
    /// was deleted in the meantime, it stays deleted.
    ///
    /// On a closed queue it is the same as `done`: otherwise the queue would never be empty.
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

    /// Ends the lease: the work failed. The key goes to the back of the queue with this object, after
    /// its back-off if the queue has [limiters](super::FifoBuilder::limiter). If a newer object has
    /// arrived, that one stays, and keeps its place; if the key was deleted, it stays deleted.
    ///
    /// Works on a closed queue, too.
    pub fn retry(mut self) {
        self.end(LeaseEnd::Retry);
    }

    /// As [`retry`](Lease::retry), and never at once for want of a limiter: on a queue without one the key comes
    /// back after this back-off.
    #[cfg(feature = "reconcile")]
    pub(crate) fn retry_or_after(mut self, unlimited: Backoff) {
        self.end_or_after(LeaseEnd::Retry, Some(unlimited));
    }

    /// Ends the lease as [`retry`](Lease::retry) does, but the object comes back after this delay: no limiter
    /// is asked. A newer value of the key comes first.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use watchcache::fifo::{Backoff, ManualClock};
    /// # use watchcache::{Fifo, KeyRef, Object};
    /// # #[derive(Debug)]
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let clock = ManualClock::new();
    /// let fifo = Fifo::builder().backoff(Backoff::default()).clock(&clock).build()?;
    /// fifo.add(Pod("a"))?;
    /// // The server has said when to ask again.
    /// fifo.lease()?.retry_after(Duration::from_secs(30));
    /// clock.advance(Duration::from_secs(29));
    /// assert!(fifo.try_lease().is_err());
    /// clock.advance(Duration::from_secs(1));
    /// assert_eq!(fifo.lease()?.failures(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retry_after(mut self, delay: Duration) {
        self.end(LeaseEnd::RetryAfter(delay));
    }

    fn end(&mut self, end: LeaseEnd) {
        self.end_or_after(end, None);
    }

    fn end_or_after(&mut self, end: LeaseEnd, unlimited: Option<Backoff>) {
        if !std::mem::replace(&mut self.ended, true) {
            self.shared.end(&self.leasing, end, unlimited);
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
