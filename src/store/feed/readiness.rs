//! Waiting until the source's whole content has arrived, and why it has not.

use std::error::Error;
use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::goal::{Joined, deadline};
use super::{Feed, SyncError};
use crate::store::Store;
use crate::store::engine::PinnedRevision;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};
use crate::waiters::alarm::Alarm;
use crate::waiters::{TasksToWake, Wait, Waiters};
use crate::{Object, panic};

/// Waiters for the whole content, and the state of its source.
pub(super) struct Readiness {
    waiters: Arc<Waiters>,
    source: Mutex<SourceState>,
    /// How often a source has ended.
    ends: AtomicU64,
    /// Whether all who wait for it were told that the content is whole.
    is_told: AtomicBool,
}

#[derive(Default)]
struct SourceState {
    last_error: Option<Arc<str>>,
    /// Set once it has ended: its error, if any.
    ended: Option<Option<Arc<str>>>,
}

impl Readiness {
    pub(super) fn new() -> Self {
        Self {
            waiters: Arc::new(Waiters::for_news()),
            source: Mutex::new(SourceState::default()),
            ends: AtomicU64::new(0),
            is_told: AtomicBool::new(false),
        }
    }

    /// Wakes all waiters, to check again.
    pub(super) fn tell(&self) -> TasksToWake<'_> {
        self.waiters.tell(u64::MAX)
    }

    pub(super) fn is_told(&self) -> bool {
        // ORDERING: Relaxed: `tell` has a fence for those who may not have seen it.
        self.is_told.load(Ordering::Relaxed)
    }

    fn source(&self) -> MutexGuard<'_, SourceState> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outcome of a wait.
pub(super) type Outcome = Result<(), SyncError>;

impl<T> Feed<T> {
    /// Returns whether the newest content is whole.
    pub(super) fn is_synced(&self) -> bool {
        PinnedRevision::new(&self.engine).view().is_synced()
    }

    /// The content is whole: wakes all whom that concerns, unless they were told. Whoever begins to wait
    /// afterwards sees it.
    pub(super) fn tell_synced(&self) -> [TasksToWake<'_>; 2] {
        if self.readiness.is_told() {
            return Default::default();
        }
        // ORDERING: Relaxed, as in `is_told`.
        self.readiness.is_told.store(true, Ordering::Relaxed);
        [self.readiness.tell(), self.hastens.tell(u64::MAX)]
    }

    pub(crate) fn source_failed(&self, error: &(dyn Error + 'static)) {
        let last_error = Some(panic::text_of(error).into());
        // A failure after the end comes from another source.
        *self.readiness.source() = SourceState { last_error, ended: None };
    }

    pub(crate) fn source_ended(&self, error: Option<&(dyn Error + 'static)>) {
        let error: Option<Arc<str>> = error.map(|error| panic::text_of(error).into());
        let mut source = self.readiness.source();
        source.last_error = error.clone().or(source.last_error.take());
        source.ended = Some(error);
        // ORDERING: Release pairs with the Acquire in `source_ends`: what the source told is seen.
        self.readiness.ends.fetch_add(1, Ordering::Release);
        drop(source);
        let _waiters = self.readiness.tell();
        drop(self.tell_ends());
    }

    /// A source is at work: another one has taken over, if the last one had ended.
    pub(crate) fn source_speaks(&self) {
        // ORDERING: Relaxed: a figure. Sources come one after the other, and that orders it.
        if self.readiness.ends.load(Ordering::Relaxed) > 0 {
            self.readiness.source().ended = None;
        }
    }

    /// How often a source has ended.
    pub(super) fn source_ends(&self) -> u64 {
        // ORDERING: Acquire pairs with the Release in `source_ended`.
        self.readiness.ends.load(Ordering::Acquire)
    }

    /// Why the source has ended, if it has, and no other has taken over.
    pub(super) fn source_end(&self) -> Option<Option<Arc<str>>> {
        self.readiness.source().ended.clone()
    }

    /// Likewise, of the end of this number.
    pub(super) fn source_end_of(&self, number: u64) -> Option<Option<Arc<str>>> {
        let source = self.readiness.source();
        source.ended.clone().filter(|_| self.source_ends() == number)
    }

    /// The outcome, once the whole content has arrived or never will.
    pub(super) fn readiness(&self) -> Option<Outcome> {
        let is_closed = self.is_closed();
        if self.is_synced() {
            return Some(Ok(()));
        }
        if let Some(error) = self.source_end() {
            return Some(Err(SyncError::SourceEnded { error }));
        }
        is_closed.then_some(Err(SyncError::Ended))
    }

    fn timeout(&self) -> Outcome {
        Err(SyncError::Timeout { last_error: self.readiness.source().last_error.clone() })
    }

    /// Blocks until `found` returns an outcome; it must not be user code.
    pub(super) fn wait_until(
        self: &Arc<Self>,
        timeout: Option<Duration>,
        found: impl Fn() -> Option<Outcome>,
    ) -> Outcome {
        let deadline = deadline(timeout);
        if let Some(outcome) = found() {
            return outcome;
        }
        let _joined = Joined::new(self);
        loop {
            let waiters = &self.readiness.waiters;
            let in_time = waiters.wait_for_news(0, deadline, || found().is_some());
            if let Some(outcome) = found() {
                return outcome;
            }
            if !in_time {
                return self.timeout();
            }
        }
    }

    /// As [`wait_until`](Self::wait_until), for a task.
    pub(super) async fn wait_until_async(
        self: Arc<Self>,
        deadline: Option<Instant>,
        found: impl Fn() -> Option<Outcome>,
    ) -> Outcome {
        if let Some(outcome) = found() {
            return outcome;
        }
        let _joined = Joined::new(&self);
        let (mut news, mut alarm) = (Wait::new(), Alarm::new());
        poll_fn(|context| {
            loop {
                if let Some(outcome) = found() {
                    return Poll::Ready(outcome);
                }
                let waiters = &self.readiness.waiters;
                if news.poll_news(context, waiters, 0, || found().is_some()).is_pending() {
                    let Some(deadline) = deadline else { return Poll::Pending };
                    return alarm.poll(context, deadline).map(|()| self.timeout());
                }
            }
        })
        .await
    }
}

/// Waiting for the source's whole content.
impl<T: Object> Store<T> {
    /// Returns whether the source's whole content has arrived; for the content that is read, see
    /// [`Snapshot::is_synced`](crate::Snapshot::is_synced).
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.feed.is_synced()
    }

    /// Declares that the store holds the whole content. Only for a program that feeds the store by hand
    /// and never [replaces](Self::replace) its content: a reflector's first list does this.
    pub fn mark_synced(&self) {
        let mut writing = self.writing();
        writing.guard.set_synced();
        self.finish(writing);
    }

    /// Blocks until the source's whole content has arrived, or the time runs out; `None` is no limit.
    ///
    /// A list that fails is tried again, so the wait goes on. The error after the time has run out has
    /// the source's last failure.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Sink, Store};
    /// # #[derive(Debug)]
    /// # struct Pod;
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { "a/web".into() }
    /// # }
    /// use std::time::Duration;
    /// use watchcache::store::feed::SyncError;
    ///
    /// let store = Store::<Pod>::new();
    /// // As a reflector does:
    /// Sink::failed(&store, &std::io::Error::other("connection refused"));
    /// let waited = store.wait_synced(Some(Duration::from_millis(1)));
    /// assert_eq!(waited, Err(SyncError::Timeout { last_error: Some("connection refused".into()) }));
    /// store.mark_synced();
    /// assert_eq!(store.wait_synced(None), Ok(()));
    /// ```
    ///
    /// # Errors
    /// If the time runs out, or the source has ended before. After a source has ended this does not wait
    /// for the next one.
    pub fn wait_synced(&self, timeout: Option<Duration>) -> Result<(), SyncError> {
        self.feed.wait_until(timeout, || self.feed.readiness())
    }

    /// As [`wait_synced`](Self::wait_synced), for async tasks on any runtime.
    ///
    /// # Errors
    /// As there, and if the store is gone.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub fn wait_synced_async(
        &self,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Result<(), SyncError>> + Send + use<T> {
        let (feed, deadline) = (Arc::clone(&self.feed), deadline(timeout));
        async move {
            let looks = Arc::clone(&feed);
            feed.wait_until_async(deadline, move || looks.readiness()).await
        }
    }
}
