//! Watches: the shared log read with a cursor, as a stream of JSON lines or of frames of protobuf.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use rand::Rng;
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use crate::resource::ResourceId;
use crate::selector::Selector;
use crate::status::Failure;
use crate::storage::{Entry, Event, Query, Storage};

use super::format::Accepted;
use super::params::Params;
use super::{Api, Target};

mod frames;
mod lines;
mod writer;

use writer::Writer;

/// How often a watch that allows bookmarks gets one.
const BOOKMARK_PERIOD: Duration = Duration::from_secs(10);

/// How long a watch without a timeout lasts, in seconds, as the real server chooses it.
const DEFAULT_TIMEOUT: std::ops::Range<u64> = 1800..3600;

/// How many events are read from the log at once, and how large a chunk of the stream gets.
const BATCH: usize = 256;
const CHUNK: usize = 128 * 1024;

pub(crate) fn watch(
    api: &Api,
    target: &Target,
    params: &Params,
    accepted: Accepted,
) -> Result<Response, Failure> {
    let selector =
        Selector::parse(&target.definition, &params.label_selector, &params.field_selector)?;
    let storage = &api.storage;
    // Subscribed before anything is read: a change after that wakes the watch.
    let wake = storage.subscribe(target.definition.id);
    let current = storage.version();
    let asked = params.version.unwrap_or(0);
    if asked > current {
        // A version of another history, perhaps: waiting for it would silently skip changes.
        return Err(Failure::version_too_large(asked, current));
    }

    let writer = Writer::new(api, target, params, accepted);
    let initial_events = params.send_initial_events.unwrap_or(asked == 0);
    let (initial, cursor) = if initial_events {
        let query = Query::all(target.definition.id, target.namespace.as_deref());
        match storage.list(&query, |entry| selector.matches(entry)) {
            Ok(page) => (page.entries, page.version),
            Err(compacted) => return Ok(expired(writer, asked, compacted.oldest)),
        }
    } else if asked == 0 {
        (Vec::new(), current)
    } else {
        let oldest = storage.compacted();
        if asked < oldest {
            return Ok(expired(writer, asked, oldest));
        }
        (Vec::new(), asked)
    };

    let seconds =
        params.timeout_seconds.unwrap_or_else(|| rand::rng().random_range(DEFAULT_TIMEOUT));
    let now = Instant::now();
    let stream = WatchStream {
        storage: Arc::clone(storage),
        wake,
        cut: api.cut.clone(),
        scope: Scope { namespace: target.namespace.clone(), selector },
        resource: target.definition.id,
        writer,
        cursor,
        initial: initial.into_iter(),
        initial_end: params.bookmarks && params.send_initial_events == Some(true),
        // The client chooses the number: a large one must not overflow the clock.
        deadline: now + Duration::from_secs(seconds.min(DEFAULT_TIMEOUT.end * 24)),
        next_bookmark: params.bookmarks.then_some(now + BOOKMARK_PERIOD),
        ended: false,
    };
    let response = stream.writer.response();
    Ok(response.map(|()| stream.into_body()))
}

/// The real server's response to a version that was compacted: a watch with one ERROR event.
fn expired(writer: Writer, asked: u64, oldest: u64) -> Response {
    let mut out = Vec::new();
    writer.error(&Failure::watch_expired(asked, oldest), &mut out);
    writer.response().map(|()| Body::from(out))
}

/// Which changes concern a watch.
struct Scope {
    namespace: Option<String>,
    selector: Selector,
}

impl Scope {
    fn contains(&self, entry: &Entry) -> bool {
        (self.namespace.is_none() || self.namespace.as_deref() == entry.namespace())
            && self.selector.matches(entry)
    }

    /// The event as this watch sees it: an object that leaves the selection is DELETED, in the last state
    /// that the watch saw, and one that enters it is ADDED.
    fn translate<'a>(&self, event: &'a Event) -> Option<(&'static str, &'a Arc<Entry>)> {
        let current = event.current.as_ref().filter(|entry| self.contains(entry));
        let previous = event.previous.as_ref().filter(|entry| self.contains(entry));
        match (current, previous) {
            (Some(current), Some(_)) => Some(("MODIFIED", current)),
            (Some(current), None) => Some(("ADDED", current)),
            (None, Some(previous)) => Some(("DELETED", previous)),
            (None, None) => None,
        }
    }
}

struct WatchStream {
    storage: Arc<Storage>,
    wake: Receiver<u64>,
    cut: Receiver<u64>,
    scope: Scope,
    resource: ResourceId,
    writer: Writer,
    cursor: u64,
    initial: std::vec::IntoIter<Arc<Entry>>,
    /// Whether a bookmark has to mark the end of the initial events.
    initial_end: bool,
    deadline: Instant,
    next_bookmark: Option<Instant>,
    ended: bool,
}

impl WatchStream {
    fn into_body(mut self) -> Body {
        // A clone has seen what its original had seen: only later cuts concern this watch.
        self.cut.mark_unchanged();
        Body::from_stream(stream::unfold(self, |mut watch| async move {
            let piece = watch.next().await?;
            Some((piece, watch))
        }))
    }

    /// The next chunk of the stream. The connection asks for it when it can take it, so a slow client
    /// holds back nothing but its own cursor.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.ended {
            return None;
        }
        let mut out = Vec::new();
        self.write_initial(&mut out);
        while out.is_empty() {
            if self.cut.has_changed().unwrap_or(true) {
                self.ended = true;
                return Some(Err(io::Error::new(
                    io::ErrorKind::ConnectionAborted,
                    "watch was cut",
                )));
            }
            self.wake.mark_unchanged();
            if !self.write_events(&mut out) {
                // Fallen behind the compaction. The client finds out when it tries to resume.
                self.ended = true;
                return None;
            }
            let now = Instant::now();
            let timed_out = now >= self.deadline;
            if let Some(due) = self.next_bookmark.filter(|due| timed_out || now >= *due) {
                self.writer.bookmark(self.cursor, false, &mut out);
                self.next_bookmark = Some(due.max(now) + BOOKMARK_PERIOD);
            }
            if timed_out {
                self.ended = true;
                break;
            }
            if out.is_empty() {
                self.wait().await;
            }
        }
        (!out.is_empty()).then(|| Ok(Bytes::from(out)))
    }

    fn write_initial(&mut self, out: &mut Vec<u8>) {
        while out.len() < CHUNK && !self.ended {
            let Some(entry) = self.initial.next() else {
                if std::mem::take(&mut self.initial_end) {
                    self.writer.bookmark(self.cursor, true, out);
                }
                return;
            };
            self.write("ADDED", &entry, entry.version, out);
        }
    }

    /// Writes an event; one that cannot be written ends the watch with an error in its place.
    fn write(&mut self, kind: &str, entry: &Arc<Entry>, version: u64, out: &mut Vec<u8>) {
        if self.ended {
            return;
        }
        if let Err(failure) = self.writer.event(kind, entry, version, out) {
            self.writer.error(&failure, out);
            self.ended = true;
        }
    }

    /// Writes what was committed since the cursor; `false` if part of it was compacted.
    fn write_events(&mut self, out: &mut Vec<u8>) -> bool {
        while out.len() < CHUNK && !self.ended {
            let Ok((events, cursor)) = self.storage.events_since(self.resource, self.cursor, BATCH)
            else {
                return false;
            };
            self.cursor = cursor;
            for event in &events {
                if let Some((kind, entry)) = self.scope.translate(event) {
                    self.write(kind, entry, event.version, out);
                }
            }
            if events.len() < BATCH {
                return true;
            }
        }
        true
    }

    async fn wait(&mut self) {
        let until = self.next_bookmark.map_or(self.deadline, |due| due.min(self.deadline));
        tokio::select! {
            // An error means that the server has ended; the cut then ends the watch.
            _ = self.wake.changed() => {}
            _ = self.cut.changed() => self.cut.mark_changed(),
            () = tokio::time::sleep_until(until) => {}
        }
    }
}
