//! One run of a reflector: its state, and the steps that all its requests share.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::{Backoff, Jitter, Pace};
use super::config::{Config, bounded};
use super::doubt::Doubt;
use super::failure::{Failure, RequestKind};
use super::order::Order;
use super::progress::Phase;
use super::quiet::Quiet;
use super::recovery::Recovery;
use super::shared::Shared;
use super::{Source, SourceError, WatchRequest, WatchStart};
use crate::ResourceVersion;

pub(super) struct Run<'a, S: Source> {
    pub(super) source: &'a S,
    pub(super) config: &'a Config<S::Object>,
    pub(super) shared: &'a Shared,
    pub(super) jitter: Jitter,
    /// Delays of requests that fail.
    pub(super) backoff: Backoff,
    /// Delays of lists that follow each other.
    pub(super) pace: Pace,
    pub(super) recovery: Recovery,
    pub(super) quiet: Quiet,
    pub(super) doubt: Doubt,
    pub(super) order: Order,
    /// Everything up to here is in the sinks; `None` also if the source has no versions.
    pub(super) position: Option<ResourceVersion>,
    /// Whether the last list had no version. Deletions between it and its watch are then unknown, so that
    /// another list has to follow, however far the watch has come.
    pub(super) unversioned: bool,
    /// How often the sinks received something new: the measure of a watch's progress.
    pub(super) steps: u64,
    /// Lists and bookmarks that are older than the position.
    pub(super) behind: Behind,
    pub(super) old_events: OldEvents,
    /// Whether some list held an object that was newer than the list: its numbers are no order of versions.
    /// Nothing takes that back.
    pub(super) unordered: bool,
    /// How to request lists.
    pub(super) lists: Lists,
    pub(super) resync_at: Option<Instant>,
}

/// How often in a row the source named a version older than the position.
#[derive(Default)]
pub(super) struct Behind {
    pub(super) lists: u32,
    pub(super) bookmarks: u32,
    /// What the last of these bookmarks said.
    pub(super) named: Option<ResourceVersion>,
    /// When the first of these lists came.
    pub(super) since: Option<Instant>,
}

/// Events of the watch at hand that were older than the position.
#[derive(Default)]
pub(super) struct OldEvents {
    pub(super) count: u32,
    /// When the first of them came.
    pub(super) since: Option<Instant>,
    /// Whether one of them was of an object of which no sink tells whether it holds it. Nothing else then shows
    /// that it was no repetition, so that what comes in between does not excuse it.
    pub(super) untold: bool,
}

/// What is known about how the source lists.
pub(super) struct Lists {
    /// Whether it is still assumed to stream lists.
    pub(super) streaming: bool,
    /// Streaming lists in a row that the source postponed.
    pub(super) postponed: u32,
    /// Whether to request the next list whole rather than in pages.
    pub(super) whole: bool,
}

/// A watch that was granted.
pub(super) struct Opened<S: Source> {
    pub(super) watch: Pin<Box<S::Watch>>,
    pub(super) timeout: Duration,
    /// For how long it may say nothing.
    pub(super) silence: Duration,
    /// Whether it began without a version, and so perhaps with the existing objects.
    pub(super) replays: bool,
}

impl<'a, S: Source> Run<'a, S> {
    pub(super) fn new(source: &'a S, config: &'a Config<S::Object>, shared: &'a Shared) -> Self {
        let (first, longest) = config.backoff;
        Self {
            source,
            config,
            shared,
            jitter: Jitter::new(config.jitter_seed),
            backoff: Backoff::new(first, longest),
            pace: Pace::new(first, longest),
            recovery: Recovery::default(),
            quiet: Quiet::default(),
            doubt: Doubt::default(),
            order: Order::default(),
            position: None,
            unversioned: false,
            steps: 0,
            behind: Behind::default(),
            old_events: OldEvents::default(),
            unordered: false,
            lists: Lists { streaming: config.streaming_list, postponed: 0, whole: false },
            resync_at: config.resync.as_ref().map(|resync| Instant::now() + resync.every),
        }
    }

    /// Opens a watch, which has to be granted within the time limit.
    pub(super) async fn open(&mut self, start: WatchStart) -> Result<Opened<S>, SourceError> {
        self.shared.start_watching();
        let limits = &self.config.limits;
        let interval = self.bookmark_interval();
        let timeout = self.jitter.within(limits.watch_timeout.clone()) + interval;
        let replays = start == WatchStart::After("".into());
        let request = WatchRequest { start, timeout };
        let watch = in_time(limits.answer, self.source.watch(request)).await?;
        self.shared.contact(self.source.received_bytes());
        let silence = limits.silence + interval;
        Ok(Opened { watch: Box::pin(watch), timeout, silence, replays })
    }

    /// For how long a watch has nothing to say while all is well.
    pub(super) fn bookmark_interval(&self) -> Duration {
        bounded(self.source.bookmark_interval())
    }

    /// A request failed: reports it, and waits.
    pub(super) async fn pause(&mut self, request: RequestKind, error: &SourceError) {
        let delay = self.backoff.next_delay(&mut self.jitter);
        let asked = error.retry_after().unwrap_or_default();
        let wait = delay.max(asked.min(self.config.limits.retry_after));
        self.failed(request, error, wait);
        self.wait(wait).await;
    }

    /// A request failed: reports it.
    pub(super) fn failed(&self, request: RequestKind, error: &SourceError, wait: Duration) {
        tracing::warn!(%error, ?wait, "{request:?} failed");
        self.shared.failed(error);
        self.config.tell(&Failure { request, error, wait });
    }

    pub(super) async fn wait(&self, delay: Duration) {
        self.shared.set_phase(Phase::BackingOff);
        tokio::time::sleep(delay).await;
    }
}

/// The response, unless it takes too long.
pub(super) async fn in_time<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, SourceError>>,
) -> Result<T, SourceError> {
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Err(too_late(limit)))
}

pub(super) fn too_late(limit: Duration) -> SourceError {
    SourceError::Transport { message: format!("no answer within {limit:?}"), error: None }
}
