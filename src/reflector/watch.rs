//! A running watch: events into batches, batches into sinks.

use std::cmp::Ordering;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, Stream, StreamExt};
use tokio::time::Instant;

use super::facts::{Facts, version_of};
use super::order::Admission;
use super::recovery::End;
use super::run::{Behind, Opened, Run};
use super::shared::Applied;
use super::{Source, SourceError, Undecodable, WatchEvent};
use crate::panic::{catch_as_sentence, drop_all};
use crate::{Batch, Change, Key, KeyRef, ResourceVersion};

/// How long after its agreed end a watch is still waited for.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// Most events of one version that are kept together: a batch has to end some time.
const ONE_VERSION: usize = 1 << 22;

/// Bookmarks in a row, older than what is known, that no repeated line explains.
const OLD_BOOKMARKS: u32 = 3;

/// Events that were there at once.
struct Gathered<T> {
    batch: Batch<T>,
    /// Events, those that were no news included.
    events: usize,
    stale: u64,
    /// The position after them.
    reached: Option<ResourceVersion>,
    /// Whether that is a new one.
    moved: bool,
    /// Whether something in them shows that the content is complete.
    complete: bool,
    /// Whether the watch may still be sending what existed before it.
    replays: bool,
}

impl<T> Gathered<T> {
    /// Whether another event is to go into the same batch.
    fn takes(&self, event: &WatchEvent<T>, limit: usize) -> bool
    where
        T: crate::Object,
    {
        let last = self.reached.as_ref().map(ResourceVersion::as_str);
        self.events < limit
            || (self.moved
                && self.events < ONE_VERSION
                && catch_as_sentence(|| {
                    event.version().is_some_and(|version| last == Some(version))
                })
                .unwrap_or(false))
    }
}

/// What a stream yields.
type Next<S> = Option<Result<WatchEvent<<S as Source>::Object>, SourceError>>;

impl<S: Source> Run<'_, S> {
    /// Applies a watch's events until it ends.
    pub(super) async fn follow(&mut self, opened: Opened<S>) -> End {
        let Opened { mut watch, timeout, replays } = opened;
        let deadline = Instant::now() + timeout + GRACE;
        let mut heard = Instant::now();
        let mut gathered = Gathered {
            batch: Batch::new(),
            events: 0,
            stale: 0,
            reached: None,
            moved: false,
            complete: false,
            replays,
        };
        let mut carried: Option<Next<S>> = None;
        loop {
            let next = match carried.take() {
                Some(next) => {
                    // Without it, a stream that is always ready would leave others no turn.
                    tokio::task::yield_now().await;
                    next
                }
                None => {
                    let patience = deadline.min(heard + self.config.limits.silence);
                    let wake = self.resync_at.map_or(patience, |at| at.min(patience));
                    let Ok(next) = tokio::time::timeout_at(wake, watch.next()).await else {
                        if Instant::now() >= patience {
                            return End::Silent;
                        }
                        self.resync();
                        continue;
                    };
                    next
                }
            };
            heard = Instant::now();
            let end = self.gather(next, &mut watch, &mut gathered, &mut carried).await;
            if end.is_some() {
                self.stop_short(&mut gathered);
            }
            self.flush(&mut gathered);
            self.resync();
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Gathers what is there without waiting. What no longer fits is carried over; the first thing
    /// that is not there, or the end, closes the batch.
    async fn gather(
        &mut self,
        mut next: Next<S>,
        watch: &mut Pin<Box<S::Watch>>,
        gathered: &mut Gathered<S::Object>,
        carried: &mut Option<Next<S>>,
    ) -> Option<End> {
        gathered.reached.clone_from(&self.position);
        loop {
            match next {
                Some(Ok(event)) => {
                    if !gathered.takes(&event, self.config.batch_limit) {
                        *carried = Some(Some(Ok(event)));
                        return None;
                    }
                    if gathered.events > 0
                        && gathered.events.is_multiple_of(self.config.batch_limit)
                    {
                        // One version may have any number of changes, which stay together.
                        tokio::task::yield_now().await;
                    }
                    gathered.events += 1;
                    self.collect(event, gathered);
                    if self.behind.bookmarks >= OLD_BOOKMARKS
                        && let Some(error) = self.fell_behind()
                    {
                        return Some(End::Failed(error));
                    }
                }
                Some(Err(error)) => return Some(End::Failed(error)),
                None => return Some(End::Closed),
            }
            next = ready(watch)?;
        }
    }

    /// Adds an event to the batch.
    fn collect(&mut self, event: WatchEvent<S::Object>, gathered: &mut Gathered<S::Object>) {
        let (object, kind) = match event {
            WatchEvent::Added(object) => (object, Kind::Added),
            WatchEvent::Modified(object) => (object, Kind::Modified),
            WatchEvent::Deleted(object) => (object, Kind::Deleted),
            WatchEvent::Bookmark(version) | WatchEvent::InitialEventsEnd(version) => {
                return self.bookmark(&version, gathered);
            }
            WatchEvent::Unknown { event_type } => return self.shared.unknown_event(&event_type),
            WatchEvent::Undecodable(bad) => return self.collect_bad(bad, gathered),
            WatchEvent::Gone { key, version } => {
                return self.collect_gone(key.as_ref(), &version, gathered);
            }
        };
        let facts = Facts::of(&*object);
        let key = match facts.key {
            Ok(key) => key,
            Err(error) => {
                let bad = Undecodable {
                    error,
                    resource_version: facts.version.map(ResourceVersion::from),
                    ..Undecodable::default()
                };
                return self.collect_bad(bad, gathered);
            }
        };
        if !self.config.wants(key) {
            self.order.pass(facts.version);
            return self.advance(facts.version, kind, gathered);
        }
        let news = self.is_news(key, facts.uid, facts.version, kind, gathered);
        // What is no news still comes after all that was before it.
        self.advance(facts.version, kind, gathered);
        if !news {
            gathered.stale += 1;
            return;
        }
        let transform = self.config.transform.as_ref();
        let version = transform.and(facts.version).map(ResourceVersion::from);
        let pending = gathered.batch.changes_mut().key(key);
        match self.config.transformed(object) {
            Ok(object) if kind == Kind::Deleted => {
                self.shared.release(pending.key(), None);
                pending.push(Change::Delete(Some(object)));
            }
            Ok(object) => {
                self.shared.release(pending.key(), version_of(&*object));
                pending.push(Change::Add(object));
            }
            Err(error) => {
                let bad = Undecodable {
                    key: Some(pending.key().to_key_unchecked()),
                    resource_version: version,
                    error,
                    deleted: kind == Kind::Deleted,
                    raw: None,
                };
                self.set_aside(bad, gathered);
            }
        }
    }

    fn collect_gone(
        &mut self,
        key: KeyRef<'_>,
        version: &ResourceVersion,
        gathered: &mut Gathered<S::Object>,
    ) {
        let version = Some(version.as_str()).filter(|version| !version.is_empty());
        if !self.config.wants(key) {
            self.order.pass(version);
            // It may stand for an object of another shard that the watch began with.
            return self.advance(version, Kind::Added, gathered);
        }
        let news = match self.order.admit(key, version, true) {
            Admission::New => true,
            Admission::NewIfHeld => self.may_be_held(key, version),
            Admission::Old => false,
        };
        self.advance(version, Kind::Deleted, gathered);
        if !news {
            gathered.stale += 1;
            return;
        }
        self.shared.release(key, None);
        gathered.batch.delete(key);
    }

    fn collect_bad(&mut self, bad: Undecodable, gathered: &mut Gathered<S::Object>) {
        let kind = if bad.deleted { Kind::Deleted } else { Kind::Modified };
        let version = bad.resource_version.clone();
        let version = version.as_ref().map(ResourceVersion::as_str);
        let version = version.filter(|version| !version.is_empty());
        let wanted = self.config.wants_bad(&bad);
        let news = match bad.key.as_ref().map(Key::as_ref) {
            Some(key) if wanted => match self.order.admit(key, version, bad.deleted) {
                Admission::New => true,
                Admission::NewIfHeld => self.may_be_held(key, version),
                Admission::Old => false,
            },
            _ => {
                self.order.pass(version);
                true
            }
        };
        self.advance(version, kind, gathered);
        if !news {
            gathered.stale += 1;
        } else if wanted {
            self.set_aside(bad, gathered);
        }
    }

    /// Whether just this version of the key is what the sinks hold, as far as any of them knows, or
    /// is quarantined.
    fn may_be_held(&self, key: KeyRef<'_>, version: Option<&str>) -> bool {
        let current = version.map(|version| self.config.is_current(key, &version.into()));
        current.is_some_and(|current| current != Some(false)) || self.is_set_aside(key, version)
    }

    /// Whether none of the sinks tells what it holds, as a queue does not.
    fn is_unknown(&self, key: KeyRef<'_>, version: Option<&str>) -> bool {
        version.is_some_and(|version| self.config.is_current(key, &version.into()).is_none())
    }

    /// Whether just this version of the key is quarantined.
    fn is_set_aside(&self, key: KeyRef<'_>, version: Option<&str>) -> bool {
        let quarantined = self.shared.quarantine().get(key).and_then(|bad| bad.resource_version);
        quarantined.is_some_and(|quarantined| Some(quarantined.as_str()) == version)
    }

    /// Lists as quarantined what came and could not be used; a deletion counts all the same.
    fn set_aside(&mut self, bad: Undecodable, gathered: &mut Gathered<S::Object>) {
        self.shared.undecodable(&bad);
        match &bad.key {
            Some(key) if bad.deleted => {
                self.shared.release(key.as_ref(), None);
                gathered.batch.delete(key);
            }
            _ => self.shared.quarantine_one(bad),
        }
    }

    fn is_news(
        &mut self,
        key: KeyRef<'_>,
        uid: Option<&str>,
        version: Option<&str>,
        kind: Kind,
        gathered: &Gathered<S::Object>,
    ) -> bool {
        let held = |version| self.config.held(key, uid, version).is_some();
        match self.order.admit(key, version, kind == Kind::Deleted) {
            Admission::Old => false,
            Admission::NewIfHeld => {
                version.is_some_and(held)
                    || self.is_set_aside(key, version)
                    || self.is_unknown(key, version)
            }
            // A watch without a version begins with what exists, most of which is known.
            Admission::New if gathered.replays && kind == Kind::Added => !version.is_some_and(held),
            Admission::New => true,
        }
    }

    fn bookmark(&mut self, version: &ResourceVersion, gathered: &mut Gathered<S::Object>) {
        if matches!(version.as_str(), "" | "0") {
            return self.shared.empty_bookmark();
        }
        let held = gathered.reached.as_ref();
        let older = held.is_some_and(|held| version.compare(held) == Some(Ordering::Less));
        if older && self.order.is_ordered() {
            self.behind.bookmarks += 1;
            self.behind.bookmark = Some(version.clone());
            return;
        }
        self.advance(Some(version.as_str()), Kind::Modified, gathered);
        self.behind = Behind::default();
        self.order.close();
        gathered.complete = true;
    }

    /// The failure of a watch whose bookmarks stay behind.
    fn fell_behind(&mut self) -> Option<SourceError> {
        self.behind.bookmarks = 0;
        let (version, known) = (self.behind.bookmark.take()?, self.position.clone()?);
        Some(SourceError::Behind { version, known })
    }

    /// Moves the position to an event's version: forward, never back, where versions have an order.
    fn advance(&mut self, version: Option<&str>, kind: Kind, gathered: &mut Gathered<S::Object>) {
        // A replayed object's version is no place in the watch's history.
        gathered.replays &= kind == Kind::Added;
        let Some(version) = version.filter(|_| !gathered.replays) else { return };
        let to = ResourceVersion::from(version);
        let moved = if self.order.is_ordered() {
            to.advance(&mut gathered.reached)
        } else {
            let moved = gathered.reached.as_ref() != Some(&to);
            gathered.reached = Some(to);
            moved
        };
        if moved {
            gathered.moved = true;
            gathered.complete = true;
            self.behind = Behind::default();
        }
    }

    /// The watch ends. If that may be in the middle of a version, it is not told, and the next watch
    /// begins before it.
    fn stop_short(&self, gathered: &mut Gathered<S::Object>) {
        let reached = gathered.reached.as_ref().and_then(ResourceVersion::number);
        if gathered.moved && reached.is_some() && reached == self.order.unfinished() {
            gathered.reached = reached.map(|version| (version - 1).to_string().into());
            gathered.moved = gathered.reached != self.position;
        }
    }

    fn flush(&mut self, gathered: &mut Gathered<S::Object>) {
        let batch = &mut gathered.batch;
        if gathered.moved {
            self.position = gathered.reached.take();
            if let Some(position) = &self.position {
                batch.set_resource_version(position.clone());
            }
        }
        if !self.order.is_ordered() {
            batch.set_unordered();
        }
        if !batch.is_empty() || gathered.moved {
            self.steps += 1;
            let changed = batch.changes().map(|(key, change)| match change {
                Change::Add(object) => (key, version_of(&**object)),
                Change::Delete(_) => (key, None),
            });
            let refused = self.shared.feed(
                || self.config.apply(batch),
                |key, version| self.config.is_current(key, version) != Some(false),
                changed,
            );
            self.shared.refused(refused);
        } else {
            self.shared.verify(|key, version| self.config.is_current(key, version) != Some(false));
        }
        let version = self.position.as_ref();
        tracing::trace!(events = batch.len(), stale = gathered.stale, ?version, "applied");
        self.shared.applied(Applied {
            events: batch.len() as u64,
            stale: gathered.stale,
            version,
            complete: gathered.complete,
            bytes: self.source.received_bytes(),
        });
        let freed = objects(batch);
        batch.clear();
        (gathered.events, gathered.stale) = (0, 0);
        (gathered.moved, gathered.complete) = (false, false);
        drop_all(freed);
    }

    /// Sends everything to the sinks again, if it is time.
    fn resync(&mut self) {
        let Some(resync) = &self.config.resync else { return };
        let now = Instant::now();
        if self.resync_at.is_none_or(|at| now < at) {
            return;
        }
        self.resync_at = Some(now + resync.every);
        match catch_as_sentence(|| (resync.content)()) {
            Ok(mut batch) => {
                // A sink that took what another refused would go back.
                batch.retain(|key| !self.shared.quarantine().is_refused(key));
                for sink in &self.config.sinks {
                    sink.resync(&batch);
                }
            }
            Err(panic) => tracing::error!(panic, "nothing to resync from"),
        }
    }
}

/// The objects of a batch, of which it may be the last to know. Were they dropped with it, a second
/// destructor that panics would end the process.
fn objects<T: crate::Object>(batch: &Batch<T>) -> Vec<Arc<T>> {
    let objects = batch.changes().filter_map(|(_, change)| match change {
        Change::Add(object) | Change::Delete(Some(object)) => Some(Arc::clone(object)),
        Change::Delete(None) => None,
    });
    objects.collect()
}

/// What happened to an object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Added,
    Modified,
    Deleted,
}

/// The stream's next item if it is there without waiting. Exempt from tokio's budget, which would
/// cut a transaction in two.
fn ready<W: Stream>(watch: &mut Pin<Box<W>>) -> Option<Option<W::Item>> {
    tokio::task::unconstrained(watch.next()).now_or_never()
}
