//! A source for what can only be listed: it lists again and again, and tells what has changed.

mod content;
mod polled;
mod row;
mod version;

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::time::{Instant, sleep_until};

use self::content::Content;
pub use self::polled::Polled;
pub use self::row::Row;
use super::config::NEVER;
use super::{
    Interest, ListPage, ListRequest, Report, Source, SourceError, WatchEvent, WatchRequest,
    WatchStart,
};
use crate::panic::{OneByOne, let_go};
use crate::{KeyRef, Object, ResourceVersion, Status};

/// A source for whatever can be listed and not watched: files, a table, another service's API.
///
/// It lists once per interval and compares with the list before. What differs is one version: all changes of one poll
/// become visible together, and an equal poll changes nothing. So a sink hears of additions, changes and deletions as
/// from any other source, and of what comes and goes between two polls nothing. It holds each object as [`Polled`],
/// with the version: a store is a `Store<Polled<T>>`.
///
/// The function that lists returns all objects there are, in any order; of two with one key the last counts.
/// What it leaves out is deleted, so a list that may be incomplete is an error, and an object that cannot be read a
/// bad [`Row`]: one with a key is quarantined, and sinks keep what they hold of it as long as the polls do not fail.
/// A function that blocks, as one that reads files does, belongs in `tokio::task::spawn_blocking`, and needs a time
/// limit of its own: what is dropped here goes on there, and keeps its thread until it ends.
///
/// An error goes the way of every source's: the content stays, the reflector tells of it, backs off and asks again,
/// and the function is not called at the interval meanwhile. One that hangs is dropped after
/// [`silence_limit`](super::ReflectorBuilder::silence_limit), or, for lists and after a failure,
/// [`answer_limit`](super::ReflectorBuilder::answer_limit), ten times that for a list
/// [without pages](super::ReflectorBuilder::page_size). One that panics ends the reflector.
///
/// Since each poll says that the content is complete, [`is_ready`](super::Monitor::is_ready) needs a limit above
/// the interval and what a list takes.
///
/// Versions are the time in milliseconds, or past that, and no two polls of a process have the same: what one has
/// filled another can go on with, whichever was made first, and several whose keys do not overlap can be
/// [merged](super::Merge): the version is then that of the poll that has not changed for the longest. An object that
/// one poll no longer has does not give way to another poll's, which has nothing new to tell of it.
///
/// Each poll takes O(objects), one with changes also O(changes × log changes), and, while it compares, the memory of
/// a second list. What is held is held for comparison, too: a [`transform`](super::ReflectorBuilder::transform) finds
/// no object that it could change in place.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
/// use watchcache::reflector::{Poll, Reflector, SourceError};
/// use watchcache::{KeyRef, Object, Store};
///
/// #[derive(Clone, PartialEq)]
/// struct Setting { name: &'static str, value: u32 }
///
/// impl Object for Setting {
///     fn key(&self) -> KeyRef<'_> { self.name.into() }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let table = Arc::new(Mutex::new(vec![Setting { name: "limit", value: 10 }]));
/// let rows = Arc::clone(&table);
/// let source = Poll::new(Duration::from_millis(20), move || {
///     let rows = rows.lock().map(|rows| rows.clone());
///     let rows = rows.map_err(|_| SourceError::transport("the table is broken"));
///     async move { rows }
/// });
///
/// let store = Arc::new(Store::new());
/// let reflector = Reflector::builder(source).sink(store.clone()).build();
/// let monitor = reflector.monitor();
/// reflector.run(async {
///     monitor.synced().await.unwrap();
///     assert_eq!(store.get("limit").unwrap().value, 10);
///
///     let mut changes = store.subscribe().start().unwrap();
///     table.lock().unwrap()[0].value = 20;
///     changes.next_async().await.unwrap();
///     assert_eq!(store.get("limit").unwrap().value, 20);
/// }).await
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Poll<T> {
    poller: Arc<Poller<T>>,
}

type List<T> = dyn Fn() -> BoxFuture<'static, Result<Vec<Row<T>>, SourceError>> + Send + Sync;
type Same<T> = dyn Fn(&T, &T) -> bool + Send + Sync;

struct Poller<T> {
    interval: Duration,
    list: Box<List<T>>,
    same: Box<Same<T>>,
    interest: OnceLock<Interest<Polled<T>>>,
    content: ArcSwap<Content<T>>,
    last: Mutex<Last>,
}

/// What is known of the last poll.
#[derive(Clone, Copy, Default)]
struct Last {
    /// Whether it failed, or was dropped before its end.
    failed: bool,
    /// When the last that did not fail ended.
    ended: Option<Instant>,
    /// How long that took.
    took: Duration,
}

/// The shortest interval: a list that is always ready would leave nobody else a turn.
const SHORTEST: Duration = Duration::from_millis(1);

impl<T: Object> Poll<T> {
    /// Lists once per interval, of at least a millisecond, counted from the end of the list before. Objects that
    /// are equal, and have the same uid if they have one, have not changed; one that does not equal itself, as a
    /// number that is NaN, changes with each poll.
    #[must_use]
    pub fn new<L, R>(interval: Duration, list: impl Fn() -> L + Send + Sync + 'static) -> Self
    where
        T: PartialEq,
        L: Future<Output = Result<Vec<R>, SourceError>> + Send + 'static,
        R: Into<Row<T>>,
    {
        Self::comparing(T::eq, interval, list)
    }

    /// As [`new`](Self::new), but this function says whether an object, the first, is the same as when it was
    /// listed again, the second: by a time of change, say, or a hash.
    ///
    /// If it panics, the object counts as changed.
    ///
    /// ```
    /// # #![allow(dead_code)]
    /// # use std::time::Duration;
    /// use watchcache::reflector::Poll;
    /// # use watchcache::{KeyRef, Object};
    /// # struct Document { id: String, etag: String, body: String }
    /// # impl Object for Document { fn key(&self) -> KeyRef<'_> { (&self.id).into() } }
    /// # async fn fetch() -> Result<Vec<Document>, watchcache::reflector::SourceError> { Ok(vec![]) }
    ///
    /// let same = |old: &Document, new: &Document| old.etag == new.etag;
    /// let source = Poll::comparing(same, Duration::from_secs(10), fetch);
    /// # drop(source);
    /// ```
    #[must_use]
    pub fn comparing<L, R>(
        same: impl Fn(&T, &T) -> bool + Send + Sync + 'static,
        interval: Duration,
        list: impl Fn() -> L + Send + Sync + 'static,
    ) -> Self
    where
        L: Future<Output = Result<Vec<R>, SourceError>> + Send + 'static,
        R: Into<Row<T>>,
    {
        let poller = Poller {
            interval: interval.clamp(SHORTEST, NEVER),
            list: Box::new(move || list().map(|listed| listed.map(rows)).boxed()),
            same: Box::new(same),
            interest: OnceLock::new(),
            content: ArcSwap::from_pointee(Content::new()),
            last: Mutex::default(),
        };
        Self { poller: Arc::new(poller) }
    }
}

/// What was listed, as rows. Where that panics, destructors of those that there are may panic, too.
fn rows<T, R: Into<Row<T>>>(listed: Vec<R>) -> Vec<Row<T>> {
    let mut rows = Vec::with_capacity(listed.len());
    let mut listed = OneByOne(listed.into_iter());
    let convert = || rows.extend(listed.by_ref().map(Into::into));
    if let Err(panic) = catch_unwind(AssertUnwindSafe(convert)) {
        let_go(rows);
        resume_unwind(panic);
    }
    rows
}

impl<T: Object> Poller<T> {
    /// Lists, and takes in what has changed. If it is dropped meanwhile, nothing has.
    async fn poll(&self) -> Result<Arc<Content<T>>, SourceError> {
        let began = Instant::now();
        let attempt = Attempt(self);
        let listed = (self.list)().await?;
        let wants =
            |key: KeyRef<'_>| self.interest.get().is_none_or(|interest| interest.wants(key));
        let before = self.content.load_full();
        let next = before.next(listed, wants, &self.same);
        // Where another watch of this source has polled meanwhile, the next poll tells what that one lacks.
        drop(self.content.compare_and_swap(&before, next));
        let now = Instant::now();
        std::mem::forget(attempt);
        self.change(|last| *last = Last { failed: false, ended: Some(now), took: now - began });
        Ok(self.content.load_full())
    }

    fn last(&self) -> Last {
        self.change(|last| *last)
    }

    /// When to poll next.
    fn due(&self) -> Instant {
        let now = Instant::now();
        self.last().ended.map_or(now, |ended| now.max(ended + self.interval))
    }
}

impl<T> Poller<T> {
    fn change<R>(&self, change: impl FnOnce(&mut Last) -> R) -> R {
        change(&mut self.last.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A poll that has not come to its end: if it is dropped before that, it has failed.
struct Attempt<'p, T>(&'p Poller<T>);

impl<T> Drop for Attempt<'_, T> {
    fn drop(&mut self) {
        self.0.change(|last| last.failed = true);
    }
}

/// A running watch: what is still to be told of the last poll, and where it has come to.
struct Watch<T> {
    poller: Arc<Poller<T>>,
    reached: ResourceVersion,
    events: VecDeque<WatchEvent<Polled<T>>>,
    end: Instant,
}

impl<T: Object> Watch<T> {
    /// What comes next. Dropped in the middle of a poll it has told nothing of it, and dropped among the changes of
    /// one, it is resumed before them.
    async fn next(&mut self) -> Option<Result<WatchEvent<Polled<T>>, SourceError>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(Ok(event));
            }
            let due = self.poller.due();
            // A poll that does not come to its end in time is left to the next watch.
            if self.end <= due + self.poller.last().took {
                sleep_until(self.end.min(due)).await;
                return None;
            }
            sleep_until(due).await;
            if let Err(error) = self.poll().await {
                // A watch that fails has ended.
                self.end = Instant::now();
                return Some(Err(error));
            }
        }
    }

    async fn poll(&mut self) -> Result<(), SourceError> {
        let content = self.poller.poll().await?;
        self.tell(&content)?;
        if self.events.is_empty() {
            self.events.push_back(WatchEvent::Bookmark(content.version()));
        }
        Ok(())
    }

    /// Of changes the bookmark says that they are all.
    fn tell(&mut self, content: &Content<T>) -> Result<(), SourceError> {
        self.events.extend(content.since(&self.reached)?);
        if !self.events.is_empty() {
            self.events.push_back(WatchEvent::Bookmark(content.version()));
        }
        self.reached = content.version();
        Ok(())
    }
}

impl<T: Object> Source for Poll<T> {
    type Object = Polled<T>;
    type Watch = BoxStream<'static, Result<WatchEvent<Polled<T>>, SourceError>>;

    async fn list(&self, _: ListRequest) -> Result<ListPage<Polled<T>>, SourceError> {
        let content = self.poller.poll().await?;
        Ok(ListPage::new(content.items(), content.version()))
    }

    async fn watch(&self, request: WatchRequest) -> Result<Self::Watch, SourceError> {
        let WatchStart::After(version) = request.start else {
            return Err(Status::bad_request("a poll streams no list").into());
        };
        let mut watch = Watch {
            poller: Arc::clone(&self.poller),
            reached: version,
            events: VecDeque::new(),
            end: Instant::now() + request.timeout.min(NEVER),
        };
        // A watch before this one may have been dropped with some of it untold.
        watch.tell(&self.poller.content.load_full())?;
        if self.poller.last().failed {
            // Where this one fails, too, the watch was not granted: it would seem to have lived for as long as a
            // poll takes to fail, and who backs off would begin anew.
            watch.poll().await?;
        }
        let next = |mut watch: Watch<T>| async move { Some((watch.next().await?, watch)) };
        Ok(stream::unfold(watch, next).boxed())
    }

    /// A list takes its time, too.
    fn bookmark_interval(&self) -> Duration {
        self.poller.interval + self.poller.last().took
    }

    fn attach(&mut self, _: Report, interest: Interest<Polled<T>>) {
        // Once, as the trait has it.
        let _ = self.poller.interest.set(interest);
    }
}

impl<T> fmt::Debug for Poll<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poll").field("interval", &self.poller.interval).finish_non_exhaustive()
    }
}
