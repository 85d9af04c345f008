//! Watches: the shared log read with a cursor, as a stream of JSON lines.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use rand::Rng;
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use crate::entry::Entry;
use crate::history::{Event, History, Query};
use crate::resource;
use crate::selector::Selector;
use crate::simulation::Resource;
use crate::status::{Failure, json_response};

use super::format::{Format, write_metadata};
use super::params::{IncludeObject, Params};
use super::{Api, Target, table};

/// How often a watch that allows bookmarks gets one.
const BOOKMARK_PERIOD: Duration = Duration::from_secs(10);

/// How long a watch lasts that names no timeout, in seconds, as the real server chooses it.
const DEFAULT_TIMEOUT: std::ops::Range<u64> = 1800..3600;

/// How many events are taken from the log at once, and how large a piece of the stream gets.
const BATCH: usize = 256;
const CHUNK: usize = 128 * 1024;

pub(crate) fn watch(
    api: &Api,
    target: &Target,
    params: &Params,
    format: Format,
) -> Result<Response, Failure> {
    let selector =
        Selector::parse(target.resource, &params.label_selector, &params.field_selector)?;
    let history = &api.history;
    // Subscribed before anything is read: a change after that wakes the watch.
    let wake = history.subscribe(target.resource);
    let current = history.version();
    let asked = params.version.unwrap_or(0);
    if asked > current {
        // From a version of another history, say: waiting for it would silently skip changes.
        return Err(Failure::version_too_large(asked, current));
    }

    let initial_events = params.send_initial_events.unwrap_or(asked == 0);
    let (initial, cursor) = if initial_events {
        let query = Query {
            resource: target.resource,
            namespace: target.namespace.as_deref(),
            version: None,
            start: None,
            limit: None,
        };
        match history.list(&query, |entry| selector.matches(entry)) {
            Ok(page) => (page.entries, page.version),
            Err(compacted) => return Ok(expired(asked, compacted.oldest)),
        }
    } else if asked == 0 {
        (Vec::new(), current)
    } else {
        let oldest = history.compacted();
        if asked < oldest {
            return Ok(expired(asked, oldest));
        }
        (Vec::new(), asked)
    };

    let seconds =
        params.timeout_seconds.unwrap_or_else(|| rand::rng().random_range(DEFAULT_TIMEOUT));
    let now = Instant::now();
    let stream = WatchStream {
        history: Arc::clone(history),
        wake,
        cut: api.cut.clone(),
        scope: Scope { namespace: target.namespace.clone(), selector },
        writer: Writer {
            resource: target.resource,
            format,
            include: params.include_object,
            columns_sent: false,
        },
        cursor,
        initial: initial.into_iter(),
        initial_end: params.bookmarks && params.send_initial_events == Some(true),
        // The client chooses the number: too large a one must not overflow the clock.
        deadline: now + Duration::from_secs(seconds.min(DEFAULT_TIMEOUT.end * 24)),
        next_bookmark: params.bookmarks.then_some(now + BOOKMARK_PERIOD),
        ended: false,
    };
    Ok(json_response(StatusCode::OK, stream.into_body()))
}

/// What the real server answers to a version that is gone: a watch with one ERROR event.
fn expired(asked: u64, oldest: u64) -> Response {
    let failure = Failure::watch_expired(asked, oldest);
    let line = json!({"type": "ERROR", "object": failure.body()});
    json_response(StatusCode::OK, format!("{line}\n"))
}

/// Which changes concern a watch.
struct Scope {
    namespace: Option<String>,
    selector: Selector,
}

impl Scope {
    fn contains(&self, entry: &Entry) -> bool {
        (self.namespace.is_none() || self.namespace.as_deref() == entry.namespace.as_deref())
            && self.selector.matches(entry)
    }

    /// The event as this watch sees it: an object that leaves the selection is DELETED to it,
    /// in the last state it saw, and one that enters it is ADDED.
    fn translate(&self, event: &Event) -> Option<(&'static str, Bytes)> {
        let current = event.current.as_ref().filter(|entry| self.contains(entry));
        let previous = event.previous.as_ref().filter(|entry| self.contains(entry));
        match (current, previous) {
            (Some(current), Some(_)) => Some(("MODIFIED", current.json().clone())),
            (Some(current), None) => Some(("ADDED", current.json().clone())),
            (None, Some(previous)) => {
                Some(("DELETED", previous.restamped(event.version).json().clone()))
            }
            (None, None) => None,
        }
    }
}

struct WatchStream {
    history: Arc<History>,
    wake: Receiver<u64>,
    cut: Receiver<u64>,
    scope: Scope,
    writer: Writer,
    cursor: u64,
    initial: std::vec::IntoIter<Arc<Entry>>,
    /// Whether a bookmark is to say that the initial events are complete.
    initial_end: bool,
    deadline: Instant,
    next_bookmark: Option<Instant>,
    ended: bool,
}

impl WatchStream {
    fn into_body(mut self) -> Body {
        // A clone has seen what its origin had seen: only later cuts concern this watch.
        self.cut.mark_unchanged();
        Body::from_stream(stream::unfold(self, |mut watch| async move {
            let piece = watch.next().await?;
            Some((piece, watch))
        }))
    }

    /// The next piece of the stream. The connection asks for it when it can take it, so a slow
    /// client holds nothing back but its own cursor.
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
                // Fallen behind the compaction. The client finds out when it tries to go on.
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
        while out.len() < CHUNK {
            let Some(entry) = self.initial.next() else {
                if std::mem::take(&mut self.initial_end) {
                    self.writer.bookmark(self.cursor, true, out);
                }
                return;
            };
            self.writer.event("ADDED", entry.json(), entry.version, out);
        }
    }

    /// Writes what was committed since the cursor; `false` when part of it is gone.
    fn write_events(&mut self, out: &mut Vec<u8>) -> bool {
        while out.len() < CHUNK {
            let Ok((events, cursor)) =
                self.history.events_since(self.writer.resource, self.cursor, BATCH)
            else {
                return false;
            };
            self.cursor = cursor;
            for event in &events {
                if let Some((kind, json)) = self.scope.translate(event) {
                    self.writer.event(kind, &json, event.version, out);
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
            // An error means that the server is gone; what ends the watch then is the cut.
            _ = self.wake.changed() => {}
            _ = self.cut.changed() => self.cut.mark_changed(),
            () = tokio::time::sleep_until(until) => {}
        }
    }
}

/// Writes lines in the form the client asked for.
struct Writer {
    resource: Resource,
    format: Format,
    include: IncludeObject,
    /// A table names its columns in the first event only.
    columns_sent: bool,
}

impl Writer {
    fn event(&mut self, kind: &str, json: &[u8], version: u64, out: &mut Vec<u8>) {
        start_line(kind, out);
        match self.format {
            Format::Object => out.extend_from_slice(json),
            Format::Metadata => write_metadata(json, out),
            Format::Table => {
                let metadata = json!({"resourceVersion": version.to_string()});
                self.table_start(&metadata, out);
                table::write_row(self.resource, json, self.include, out);
                table::write_end(out);
            }
        }
        out.extend_from_slice(b"}\n");
    }

    fn bookmark(&mut self, version: u64, initial_end: bool, out: &mut Vec<u8>) {
        let mut metadata =
            json!({"resourceVersion": version.to_string(), "creationTimestamp": null});
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        start_line("BOOKMARK", out);
        let description = resource::describe(self.resource);
        match self.format {
            Format::Table => {
                self.table_start(&metadata, out);
                table::write_end(out);
            }
            Format::Object => {
                write_bookmark(description.kind, &description.api_version(), &metadata, out)
            }
            Format::Metadata => {
                write_bookmark("PartialObjectMetadata", "meta.k8s.io/v1", &metadata, out)
            }
        }
        out.extend_from_slice(b"}\n");
    }

    fn table_start(&mut self, metadata: &Value, out: &mut Vec<u8>) {
        let columns = !std::mem::replace(&mut self.columns_sent, true);
        table::write_start(self.resource, metadata, columns, out);
    }
}

fn start_line(kind: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
}

fn write_bookmark(kind: &str, api_version: &str, metadata: &Value, out: &mut Vec<u8>) {
    let object = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
    out.extend_from_slice(object.to_string().as_bytes());
}
