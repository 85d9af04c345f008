//! A subscription: a position in a store's changes, and how it advances.

use std::fmt;
use std::time::{Duration, Instant};

use super::confirmed::{Confirmed, Overlay};
use super::cursor::Cursor;
use super::delivery::{Content, Delivery, DeliveryKind};
use super::difference::{self, Gathered};
use super::filter::Filter;
use super::segment::{Amount, Segment};
use super::{Feed, TryNextError};
use crate::store::Snapshot;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::{Object, Revision};

/// A subscription's count in `interest`.
const SUBSCRIPTION: u64 = 1;

/// A subscription to the changes of a store; from [`Store::subscribe`](crate::Store::subscribe).
///
/// It receives each change once, in the order of the revisions, and never half of a publication. Each
/// delivery is read in place, and borrows the subscription:
///
/// | | |
/// |---|---|
/// | [`next`](Self::next) | blocks until there is a delivery |
/// | [`next_timeout`](Self::next_timeout) | blocks for at most so long |
/// | [`try_next`](Self::try_next) | at once |
/// | [`next_async`](Self::next_async) | for a task |
/// | [`into_iter`](IntoIterator::into_iter), [`into_stream`](Self::into_stream) | deliveries to keep |
///
/// A subscription that is not read keeps its place. Once the log has gone on without it, it receives the
/// difference between its last delivery and the newest revision ([`DeliveryKind::Coalesced`]). Once it
/// would make the store retain too much ([`FeedLimits::behind`](super::FeedLimits::behind)), it receives
/// the whole content again ([`DeliveryKind::Reset`]). It never makes a writer wait.
///
/// It ends when the store is gone, after everything was delivered. Until it is dropped it retains what it
/// has not received, as a snapshot does; one that outlives its store retains the store's content and log.
///
/// ```
/// use watchcache::store::feed::DeliveryKind;
/// use watchcache::{Key, Store};
///
/// let store = Store::<Key>::new();
/// let mut subscription = store.subscribe().start()?;
/// let written = store.add("a/web".parse::<Key>()?)?;
/// {
///     let delivery = subscription.try_next()?;
///     assert_eq!(delivery.kind(), DeliveryKind::Changes);
///     assert_eq!(delivery.revision(), written.revision);
///     let names: Vec<_> = delivery.iter().map(|item| item.key.name()).collect();
///     assert_eq!(names, ["web"]);
/// }
/// assert!(subscription.try_next().is_err(), "nothing more has happened");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Subscription<T: Object> {
    pub(super) feed: Arc<Feed<T>>,
    cursor: Arc<Cursor<T>>,
    /// Whether the writer does not know the cursor, and so never revokes its place.
    keeps_place: bool,
    /// The sequence number of the next publication to deliver. The cursor's segment has a place for it,
    /// so the content before it is at hand.
    next: u64,
    todo: Todo,
    pub(super) filter: Arc<Filter<T>>,
    settle: Option<Duration>,
    /// When the last delivery was made.
    last: Option<Instant>,
    revision: u64,
    /// Whether a complete content was delivered, or it began after one.
    synced: bool,
    stop: Option<Arc<Stop>>,
    /// Of how many ends of a source it was told, if it is to be told of them.
    source_ends: Option<u64>,
    /// How many there were when it seemed to have ended.
    seen_ends: u64,
    /// For one that is told what the source said.
    confirmed: Option<Confirmed<T>>,
}

/// Options of a subscription.
#[derive(Clone, Copy, Default)]
pub(super) struct Options {
    pub(super) settle: Option<Duration>,
    /// Whether its place is never revoked.
    pub(super) keeps_place: bool,
}

/// Ends a subscription from elsewhere.
pub(super) struct Stop(AtomicBool);

impl Stop {
    pub(super) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Wake sleepers afterwards.
    pub(super) fn stop(&self) {
        // ORDERING: Relaxed: it guards no data, and waking sleepers has a fence.
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        // ORDERING: Relaxed, as above.
        self.0.load(Ordering::Relaxed)
    }
}

/// What a subscription does next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Todo {
    Follow,
    /// Something was published that is not in the log.
    Difference,
    Content(DeliveryKind),
}

/// Where a subscription begins.
pub(super) enum Start<T> {
    Now,
    Content,
    Since(Snapshot<T>),
}

/// The result of a search for the next content.
enum Found<T> {
    /// With whether there is progress in it, which is told to everybody, or only changes.
    Content(Content<T>, bool),
    Nothing,
    Ended,
}

impl<T: Object> Subscription<T> {
    pub(super) fn new(
        feed: Arc<Feed<T>>,
        filter: Filter<T>,
        start: Start<T>,
        Options { settle, keeps_place }: Options,
        confirmed: Option<Confirmed<T>>,
    ) -> Self {
        feed.join(SUBSCRIPTION);
        let mut this = Self {
            cursor: if keeps_place { Cursor::unlisted() } else { feed.cursors.acquire() },
            keeps_place,
            feed,
            next: 0,
            todo: Todo::Follow,
            filter: Arc::new(filter),
            settle,
            last: None,
            revision: 0,
            synced: false,
            stop: None,
            source_ends: None,
            seen_ends: 0,
            confirmed,
        };
        match start {
            Start::Now => {
                let now = match &mut this.confirmed {
                    Some(confirmed) => confirmed.begin(),
                    None => Snapshot::new(&this.feed.engine),
                };
                this.synced = now.is_synced();
                this.place(&now, this.feed.log.written());
            }
            Start::Content => this.todo = Todo::Content(DeliveryKind::Initial),
            Start::Since(snapshot) => {
                let now = Snapshot::new(&this.feed.engine);
                this.synced = snapshot.is_synced();
                // How much the store already retains for the snapshot is unknown.
                let is_logged = this.place(&snapshot, Amount::default());
                if !is_logged && now.view().sequence() >= this.next {
                    this.todo = Todo::Difference;
                }
            }
        }
        this
    }

    /// Moves to the place after a content: in the log, or else beside it. Returns whether it is in the
    /// log.
    fn place(&mut self, behind: &Snapshot<T>, before: Amount) -> bool {
        let sequence = behind.view().sequence();
        self.next = sequence + 1;
        self.revision = behind.revision().get();
        let logged = self.feed.log.find(self.next, None);
        let is_logged = logged.is_some();
        let segment = logged.unwrap_or_else(|| Segment::outside(behind.clone(), before));
        self.cursor.store(Some(segment));
        is_logged
    }

    /// The next delivery, if there already is one. Waits for nobody, except for the store's writer where it is
    /// [confirmed](super::Subscribe::confirmed) and has to read the content.
    ///
    /// # Errors
    /// If there is none yet, or there will be no more.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// use watchcache::store::DeliveryKind;
    /// use watchcache::store::feed::TryNextError;
    ///
    /// let store = Store::new();
    /// store.add(Pod("a/web"))?;
    /// let mut subscription = store.subscribe().with_content().start()?;
    /// assert_eq!(subscription.try_next()?.kind(), DeliveryKind::Initial);
    /// assert_eq!(subscription.try_next().err(), Some(TryNextError::Empty));
    /// drop(store);
    /// assert_eq!(subscription.try_next().err(), Some(TryNextError::Ended));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn try_next(&mut self) -> Result<Delivery<'_, T>, TryNextError> {
        match self.attempt() {
            Some(Some(content)) => Ok(Delivery::new(content, &self.filter)),
            Some(None) => Err(TryNextError::Ended),
            None => Err(TryNextError::Empty),
        }
    }

    /// The revision up to which every change was delivered, or skipped because the subscription is not
    /// about it.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision::new(self.revision)
    }

    /// How often [`Object::label`], the index function, or what was given to
    /// [`filter`](super::Subscribe::filter) failed on an object, which is then treated as not matching; and
    /// how often what was given to [`changes_of`](super::Subscribe::changes_of) did, on an update, which is
    /// then told.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.filter.failures()
    }

    /// Lets another thread end it.
    pub(super) fn stopped_by(&mut self, stop: Arc<Stop>) {
        self.stop = Some(stop);
    }

    /// From here on the end of a source interrupts it, behind all that was told by then: it seems to have
    /// ended, until [`take_source_end`](Self::take_source_end) was asked. So does an end that was already.
    pub(super) fn interrupted_by_source(&mut self) {
        self.source_ends = Some(0);
    }

    /// The end of a source that interrupts it: why, if no other source has taken over meanwhile. None if
    /// nothing does.
    pub(super) fn take_source_end(&mut self) -> Option<Option<Option<Arc<str>>>> {
        if self.is_stopped() || self.source_ends? >= self.seen_ends {
            return None;
        }
        self.source_ends = Some(self.seen_ends);
        Some(self.feed.source_end_of(self.seen_ends))
    }

    fn has_source_ended(&self) -> bool {
        self.source_ends.is_some_and(|told| told < self.feed.source_ends())
    }

    fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.is_stopped())
    }

    /// Returns whether a complete content was delivered, or it began after one.
    pub(super) fn is_synced(&self) -> bool {
        self.synced
    }

    /// When the next delivery may come, if that is later than now.
    pub(super) fn due(&self) -> Option<Instant> {
        let due = self.last?.checked_add(self.settle?)?;
        (due > Instant::now() && !self.is_due_at_once()).then_some(due)
    }

    /// Returns whether what comes next does so without waiting for its time: the whole content, which others may
    /// wait for, or an end. Runs no user code.
    pub(super) fn is_due_at_once(&self) -> bool {
        self.is_ending() || !self.synced && self.feed.is_synced()
    }

    /// Returns whether an end comes behind what it was not told yet, if there is anything. Runs no user code.
    pub(super) fn is_ending(&self) -> bool {
        self.feed.is_closed() || self.has_source_ended() || self.is_stopped()
    }

    /// Returns whether an attempt can find something. Runs no user code.
    pub(super) fn is_ready(&self) -> bool {
        self.may_find(self.feed.log.settled())
    }

    /// Likewise, given what is settled. One whose place was taken has something to be told, as that is done only
    /// while something is published that it has not seen, or with what comes next.
    #[inline]
    fn may_find(&self, settled: u64) -> bool {
        self.todo != Todo::Follow || settled >= self.next || self.is_ending()
    }

    /// The next content with something to deliver; the inner `None` is the end. Looks at what was published
    /// by now, and not at what comes while it looks: that might have no end.
    pub(super) fn attempt(&mut self) -> Option<Option<Content<T>>> {
        if self.due().is_some() {
            return None;
        }
        let last = self.feed.log.settled();
        if !self.may_find(last) {
            return None;
        }
        loop {
            let (mut content, mut is_progress) = match self.find() {
                Found::Content(content, is_progress) => (content, is_progress),
                Found::Nothing => return None,
                Found::Ended => return Some(None),
            };
            if self.settle.is_some() {
                content = self.gather(content, &mut is_progress);
            }
            if let Some(confirmed) = &mut self.confirmed {
                content = confirmed.confirm(content);
            }
            self.revision = content.revision();
            let syncs = content.is_synced() && !self.synced;
            self.synced |= syncs;
            if syncs || is_progress || self.is_worth_telling(&content) {
                self.last = self.settle.map(|_| Instant::now());
                return Some(Some(content));
            }
            if self.next > last && self.feed.log.settled() >= self.next {
                return None;
            }
        }
    }

    /// Returns whether the subscription is about anything in it.
    fn is_worth_telling(&self, content: &Content<T>) -> bool {
        let Some(changes) = content.changes().filter(|_| !content.is_whole()) else { return true };
        self.filter.is_all()
            || changes.iter().any(|(key, old, new)| self.filter.apply(key, old, new).is_some())
    }

    /// Combines it with what was published since, and notes whether any of that was nothing but progress.
    fn gather(&mut self, first: Content<T>, is_progress: &mut bool) -> Content<T> {
        let until = self.feed.log.settled();
        let Some(changes) = first.changes().filter(|_| until >= self.next) else { return first };
        let mut gathered = Gathered::new();
        gathered.add(changes.iter());
        let mut last = first;
        while self.next <= until
            && let Found::Content(content, has_progress) = self.find()
        {
            // The whole content includes what was gathered.
            let Some(changes) = content.changes() else { return content };
            *is_progress |= has_progress;
            gathered.add(changes.iter());
            last = content;
        }
        Content::Coalesced {
            changes: gathered.changes(),
            revision: last.revision(),
            resource_version: last.resource_version().cloned(),
            synced: last.is_synced(),
            kind: DeliveryKind::Coalesced,
            is_relist: false,
        }
    }

    /// Moves on by one publication, or to the newest revision.
    fn find(&mut self) -> Found<T> {
        loop {
            if self.is_stopped() {
                return Found::Ended;
            }
            match self.todo {
                Todo::Follow | Todo::Difference => {}
                Todo::Content(kind) => return Found::Content(self.whole(kind), false),
            }
            let held = self.cursor.load();
            let Some(segment) = held.as_ref() else {
                self.todo = Todo::Content(DeliveryKind::Reset);
                continue;
            };
            let index = segment.index(self.next);
            if self.todo == Todo::Difference {
                let segment = Arc::clone(segment);
                let (content, is_progress) = self.difference(&segment, index);
                return Found::Content(content, is_progress);
            }
            if index < segment.state().len() {
                self.next += 1;
                let batch = segment.batch(index);
                let is_progress =
                    batch.is_some_and(|batch| batch.publication.changes.is_progress());
                if let (Some(confirmed), Some(batch)) = (&mut self.confirmed, batch) {
                    confirmed.follow(&batch.publication.changes);
                }
                return Found::Content(Content::Logged { segment: held, index }, is_progress);
            }
            // Loaded before the segment's state is loaded again, so that what was settled, or published
            // last, is seen.
            let ends = self.feed.source_ends();
            let has_source_ended = self.source_ends.is_some_and(|told| told < ends);
            let ended = self.feed.is_closed() || has_source_ended;
            let settled = self.feed.log.settled();
            let state = segment.state();
            if index < state.len() {
                continue;
            }
            let further = match state.is_closed() {
                true => self.feed.log.find(self.next, segment.number),
                false => None,
            };
            match further {
                Some(further) => self.cursor.store(Some(further)),
                // It is not in the log, or no longer.
                None if settled >= self.next => self.todo = Todo::Difference,
                None if ended => {
                    self.seen_ends = ends;
                    return Found::Ended;
                }
                None => return Found::Nothing,
            }
        }
    }

    /// The whole content.
    fn whole(&mut self, kind: DeliveryKind) -> Content<T> {
        self.todo = Todo::Follow;
        if kind == DeliveryKind::Reset {
            self.feed.told.count_reset();
        }
        let content = self.now();
        self.place(&content, self.feed.log.written());
        Content::Whole { content, kind, assumed: Overlay::new() }
    }

    /// The changes since a place in a segment, and whether there may have been progress in between: whether by a change
    /// or a bookmark is not known any more, but that the source's version moved.
    fn difference(&mut self, segment: &Segment<T>, publications: usize) -> (Content<T>, bool) {
        self.todo = Todo::Follow;
        self.feed.told.count_difference();
        let now = self.now();
        let changes = difference::since(segment, publications, &now);
        self.place(&now, self.feed.log.written());
        let has_moved = segment.resource_version(publications) != now.resource_version();
        let is_progress = changes.is_progress() || has_moved;
        let content = Content::Coalesced {
            changes,
            revision: now.revision().get(),
            resource_version: now.resource_version().cloned(),
            synced: now.is_synced(),
            kind: DeliveryKind::Coalesced,
            is_relist: false,
        };
        (content, is_progress)
    }

    /// The newest content, to move to it.
    fn now(&mut self) -> Snapshot<T> {
        match &mut self.confirmed {
            Some(confirmed) => confirmed.now(),
            None => Snapshot::new(&self.feed.engine),
        }
    }
}

impl<T: Object> Drop for Subscription<T> {
    fn drop(&mut self) {
        if !self.keeps_place {
            self.feed.cursors.give_back(Arc::clone(&self.cursor));
        }
        self.feed.leave(SUBSCRIPTION);
    }
}

impl<T: Object> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("revision", &self.revision())
            .field("settle", &self.settle)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Key, Listing, Sink, Store};

    /// Before anybody takes the end of the first one.
    #[test]
    fn an_end_comes_behind_what_its_own_source_told() {
        let store = Store::<Key>::new();
        let mut subscription = store.subscribe().start().unwrap();
        subscription.interrupted_by_source();
        let error = std::io::Error::other("forbidden");
        Sink::ended(&store, None);
        assert_eq!(subscription.try_next().err(), Some(TryNextError::Ended));
        let key: Key = "a/x".parse().unwrap();
        Sink::replace(&store, &Listing::new([key], None).unwrap());
        Sink::ended(&store, Some(&error));
        assert_eq!(subscription.take_source_end(), Some(None), "another one had taken over");
        assert!(subscription.try_next().is_ok_and(|delivery| delivery.iter().count() == 1));
        assert_eq!(subscription.try_next().err(), Some(TryNextError::Ended));
        assert_eq!(subscription.take_source_end(), Some(Some(Some("forbidden".into()))));
        assert_eq!(subscription.try_next().err(), Some(TryNextError::Empty));
        assert_eq!(subscription.take_source_end(), None);
    }
}
