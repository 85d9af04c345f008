//! A running watch: events into batches, batches into sinks.

use std::cmp::Ordering;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, Stream, StreamExt};
use tokio::time::Instant;

use super::run::{Opened, Run};
use super::{Source, SourceError, Undecodable, WatchEvent};
use crate::{Batch, Change, Key, Object, ResourceVersion};

/// How long after its agreed end a watch is still waited for.
const GRACE: Duration = Duration::from_secs(10);

/// How a watch ended.
pub(super) enum End {
    /// The source ended it.
    Closed,
    /// Nothing came for too long: the connection is taken for dead.
    Silent,
    /// It broke, or the source ended it with a failure.
    Failed(SourceError),
}

impl<S: Source> Run<'_, S> {
    /// Applies a watch's events until it ends.
    pub(super) async fn follow(&mut self, opened: Opened<S>) -> End {
        let Opened { mut watch, timeout } = opened;
        let deadline = Instant::now() + timeout + GRACE;
        let mut heard = Instant::now();
        let mut batch = Batch::new();
        loop {
            let patience = deadline.min(heard + self.config.limits.silence);
            let wake = self.resync_at.map_or(patience, |at| at.min(patience));
            let Ok(mut next) = tokio::time::timeout_at(wake, watch.next()).await else {
                if Instant::now() >= patience {
                    return End::Silent;
                }
                self.resync();
                continue;
            };
            heard = Instant::now();
            // Whatever else is ready goes into the same batch; the first thing that is not closes it.
            let mut stale = 0;
            let end = loop {
                match next {
                    Some(Ok(event)) => stale += u64::from(!self.collect(event, &mut batch)),
                    Some(Err(error)) => break Some(End::Failed(error)),
                    None => break Some(End::Closed),
                }
                if batch.len() >= self.config.batch_limit {
                    break None;
                }
                match ready(&mut watch) {
                    Some(ready) => next = ready,
                    None => break None,
                }
            };
            self.flush(&mut batch, stale);
            self.resync();
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Adds an event to the batch; whether it was news.
    fn collect(&mut self, event: WatchEvent<S::Object>, batch: &mut Batch<S::Object>) -> bool {
        let (object, deleted) = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => (object, false),
            WatchEvent::Deleted(object) => (object, true),
            WatchEvent::Bookmark(version) | WatchEvent::InitialEventsEnd(version) => {
                self.advance(batch, version);
                return true;
            }
            WatchEvent::Unknown { event_type } => {
                self.shared.unknown_event(&event_type);
                return true;
            }
            WatchEvent::Undecodable(bad) => return self.collect_bad(bad, batch),
            WatchEvent::Gone { key, version } => return self.collect_gone(key, version, batch),
        };
        let version = object.resource_version();
        let key = match object.key() {
            Ok(key) => key,
            Err(error) => {
                let bad = Undecodable {
                    error: error.to_string(),
                    resource_version: version.map(ResourceVersion::from),
                    ..Undecodable::default()
                };
                return self.collect_bad(bad, batch);
            }
        };
        if !self.config.wants(key.as_ref()) {
            if let Some(version) = version {
                self.advance(batch, version.into());
            }
            return true;
        }
        if !self.order.admit(&key, version) {
            return false;
        }
        if let Some(version) = version {
            self.advance(batch, version.into());
        }
        if self.shared.has_quarantine() {
            self.shared.release(&key);
        }
        let object = self.transformed(object);
        let change = if deleted { Change::Delete(Some(object)) } else { Change::Put(object) };
        batch.push(key, change);
        true
    }

    fn collect_gone(
        &mut self,
        key: Key,
        version: ResourceVersion,
        batch: &mut Batch<S::Object>,
    ) -> bool {
        if !self.config.wants(key.as_ref()) {
            self.advance(batch, version);
            return true;
        }
        if !self.order.admit(&key, Some(version.as_str())) {
            return false;
        }
        self.advance(batch, version);
        self.shared.release(&key);
        batch.delete(key);
        true
    }

    fn collect_bad(&mut self, bad: Undecodable, batch: &mut Batch<S::Object>) -> bool {
        let version = bad.resource_version.clone();
        if !self.wants_bad(&bad) {
            if let Some(version) = version {
                self.advance(batch, version);
            }
            return true;
        }
        if let Some(key) = &bad.key
            && !self.order.admit(key, version.as_ref().map(ResourceVersion::as_str))
        {
            return false;
        }
        if let Some(version) = version {
            self.advance(batch, version);
        }
        self.shared.undecodable(&bad);
        match &bad.key {
            Some(key) if bad.deleted => {
                self.shared.release(key);
                batch.delete(key.clone());
            }
            _ => self.shared.quarantine(bad),
        }
        true
    }

    /// An object without a key may be anybody's.
    pub(super) fn wants_bad(&self, bad: &Undecodable) -> bool {
        bad.key.as_ref().is_none_or(|key| self.config.wants(key.as_ref()))
    }

    pub(super) fn transformed(&self, object: Arc<S::Object>) -> Arc<S::Object> {
        match &self.config.transform {
            Some(transform) => transform(object),
            None => object,
        }
    }

    /// Moves the batch's version forward; never back.
    fn advance(&self, batch: &mut Batch<S::Object>, to: ResourceVersion) {
        let held = batch.resource_version().or(self.position.as_ref());
        if !held
            .is_some_and(|held| matches!(to.compare(held), Some(Ordering::Less | Ordering::Equal)))
        {
            batch.set_resource_version(to);
        }
    }

    fn flush(&mut self, batch: &mut Batch<S::Object>, stale: u64) {
        if let Some(reached) = batch.resource_version() {
            self.position = Some(reached.clone());
        }
        if !batch.is_empty() || batch.resource_version().is_some() {
            for sink in &self.config.sinks {
                sink.apply(batch);
            }
        }
        if let Some(position) = &self.position {
            let bytes = self.source.received_bytes();
            tracing::trace!(events = batch.len(), stale, %position, "applied");
            self.shared.applied(batch.len() as u64, stale, position, bytes);
        }
        batch.clear();
    }

    /// Sends everything to the sinks again, if it is time.
    fn resync(&mut self) {
        let Some(resync) = &self.config.resync else { return };
        let now = Instant::now();
        if self.resync_at.is_none_or(|at| now < at) {
            return;
        }
        let batch = (resync.content)();
        for sink in &self.config.sinks {
            sink.apply(&batch);
        }
        self.resync_at = Some(now + resync.every);
    }
}

/// The stream's next item if it is there without waiting.
fn ready<W: Stream>(watch: &mut Pin<Box<W>>) -> Option<Option<W::Item>> {
    watch.next().now_or_never()
}
