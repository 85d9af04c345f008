//! Waiting until a store has reached a revision, or a version of its source.

use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::{Feed, WAITER, WaitError};
use crate::store::Store;
use crate::store::engine::PinnedRevision;
use crate::sync::Arc;
use crate::waiters::alarm::Alarm;
use crate::waiters::{Wait, Waiters};
use crate::{Object, ResourceVersion, Revision};

/// The goal of a wait.
#[derive(Clone)]
enum Goal {
    Revision(u64),
    /// With how often the source had been set back when the wait began.
    Version(ResourceVersion, u64),
}

/// A registered interest in publications.
pub(super) struct Joined<T>(Arc<Feed<T>>);

impl<T> Joined<T> {
    pub(super) fn new(feed: &Arc<Feed<T>>) -> Self {
        feed.join(WAITER);
        Self(Arc::clone(feed))
    }
}

impl<T> Drop for Joined<T> {
    fn drop(&mut self) {
        self.0.leave(WAITER);
    }
}

impl Goal {
    /// The waiters for goals of this kind, and this one's rank among them.
    fn waiters<T>(&self, feed: &Feed<T>) -> Result<(Arc<Waiters>, u64), WaitError> {
        match self {
            Self::Revision(revision) => Ok((Arc::clone(&feed.revisions), *revision)),
            Self::Version(version, _) => match version.number() {
                Some(number) if !feed.is_unordered() => Ok((Arc::clone(&feed.versions), number)),
                _ => Err(WaitError::Unordered(version.clone())),
            },
        }
    }

    fn is_reached<T>(&self, feed: &Feed<T>) -> bool {
        // Versions that had no order for a while in between are told by the number of turns.
        let turns = feed.turns();
        let pinned = PinnedRevision::new(&feed.engine);
        match self {
            Self::Revision(revision) => pinned.view().number() >= *revision,
            Self::Version(version, set_backs) => {
                let is_reached = |held: &ResourceVersion| {
                    held == version
                        || held.compare(version).is_some_and(|order| order.is_ge())
                            && turns.is_multiple_of(2)
                            && turns == feed.turns()
                };
                // Asked last: a view of a later history comes with the number that tells so.
                pinned.view().resource_version().is_some_and(is_reached)
                    && feed.set_backs() == *set_backs
            }
        }
    }

    /// The result, if there is nothing more to wait for. Looked at anew after each time that one was woken:
    /// what woke it may hold no longer.
    fn outcome<T>(&self, feed: &Feed<T>) -> Option<Result<(), WaitError>> {
        // Asked first: once there is an end, nothing more is reached.
        let closed = feed.is_closed();
        match self {
            _ if self.is_reached(feed) => Some(Ok(())),
            Self::Version(version, set_backs) if feed.set_backs() != *set_backs => {
                Some(Err(WaitError::StartedOver(version.clone())))
            }
            Self::Version(version, _) if feed.is_unordered() => {
                Some(Err(WaitError::Unordered(version.clone())))
            }
            _ if closed => Some(Err(WaitError::Ended)),
            _ => None,
        }
    }

    fn wait<T>(self, feed: &Arc<Feed<T>>, deadline: Option<Instant>) -> Result<(), WaitError> {
        if self.is_reached(feed) {
            return Ok(());
        }
        let (waiters, rank) = self.waiters(feed)?;
        let _joined = Joined::new(feed);
        loop {
            if let Some(outcome) = self.outcome(feed) {
                return outcome;
            }
            let ready = || self.outcome(feed).is_some();
            if !waiters.wait_for_news(rank, deadline, ready) {
                return self.outcome(feed).unwrap_or(Err(WaitError::Timeout));
            }
        }
    }

    async fn wait_async<T>(
        self,
        feed: Arc<Feed<T>>,
        deadline: Option<Instant>,
    ) -> Result<(), WaitError> {
        if self.is_reached(&feed) {
            return Ok(());
        }
        let (waiters, rank) = self.waiters(&feed)?;
        let _joined = Joined::new(&feed);
        let (mut news, mut alarm) = (Wait::new(), Alarm::new());
        poll_fn(|context| {
            loop {
                if let Some(outcome) = self.outcome(&feed) {
                    return Poll::Ready(outcome);
                }
                let ready = || self.outcome(&feed).is_some();
                if news.poll_news(context, &waiters, rank, ready).is_pending() {
                    break;
                }
            }
            let Some(deadline) = deadline else { return Poll::Pending };
            let outcome = || self.outcome(&feed).unwrap_or(Err(WaitError::Timeout));
            alarm.poll(context, deadline).map(|()| outcome())
        })
        .await
    }
}

pub(super) fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    Instant::now().checked_add(timeout?)
}

/// Reading one's own writes: a caller that knows a revision, or a version of the source, waits until the
/// store has reached it.
///
/// Any number of threads and tasks may wait. Each is woken when its own goal is reached. A task needs no
/// thread for that, except for its time limit: all tasks of the process share one.
impl<T: Object> Store<T> {
    /// Blocks until the store has reached a revision, or the time runs out; `None` is no limit.
    ///
    /// # Errors
    /// If the time runs out.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// use std::time::Duration;
    ///
    /// let store = Store::new();
    /// let written = store.add(Pod("a/web"))?;
    /// store.wait_for(written.revision, None)?;
    /// store.delete("a/web");
    /// let later = store.revision();
    /// assert_eq!(store.wait_for(later, Some(Duration::ZERO)), Ok(()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_for(&self, revision: Revision, timeout: Option<Duration>) -> Result<(), WaitError> {
        Goal::Revision(revision.get()).wait(&self.feed, deadline(timeout))
    }

    /// As [`wait_for`](Self::wait_for), for async tasks on any runtime.
    ///
    /// # Errors
    /// If the time runs out, or the store is gone and never reached it.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub fn wait_for_async(
        &self,
        revision: Revision,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<(), WaitError>> + Send + use<T> {
        Goal::Revision(revision.get()).wait_async(Arc::clone(&self.feed), deadline(timeout))
    }

    /// Blocks until the store's content has this version of the source, or a later one, or the time runs
    /// out; `None` is no limit.
    ///
    /// # Errors
    /// If the time runs out, or the version is not the store's and has no order: it is no number, or the
    /// source's versions have shown to be [without one](crate::Batch::set_unordered). And if the source
    /// [starts over](crate::Batch::set_starting_over) at an older version meanwhile. Of a wait that begins after that
    /// nobody can tell of which history its version is.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # #[derive(Debug)]
    /// # struct Pod;
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { "a/web".into() }
    /// # }
    /// use std::time::Duration;
    /// use watchcache::Batch;
    /// use watchcache::store::feed::WaitError;
    ///
    /// let store = Store::<Pod>::new();
    /// let mut batch = Batch::new();
    /// batch.set_resource_version("41".into());
    /// store.apply(&batch);
    /// store.wait_for_version(&"40".into(), None)?;
    /// let waited = store.wait_for_version(&"42".into(), Some(Duration::from_millis(1)));
    /// assert_eq!(waited, Err(WaitError::Timeout));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wait_for_version(
        &self,
        version: &ResourceVersion,
        timeout: Option<Duration>,
    ) -> Result<(), WaitError> {
        self.version_goal(version).wait(&self.feed, deadline(timeout))
    }

    /// As [`wait_for_version`](Self::wait_for_version), for async tasks on any runtime.
    ///
    /// # Errors
    /// As there, and if the store is gone and never reached it.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub fn wait_for_version_async(
        &self,
        version: &ResourceVersion,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<(), WaitError>> + Send + use<T> {
        self.version_goal(version).wait_async(Arc::clone(&self.feed), deadline(timeout))
    }

    fn version_goal(&self, version: &ResourceVersion) -> Goal {
        Goal::Version(version.clone(), self.feed.set_backs())
    }
}
