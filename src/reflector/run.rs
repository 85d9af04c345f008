//! The reflector's loop: list, watch, resume, and list anew only where nothing else helps.

use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument;

use super::backoff::Backoff;
use super::builder::Config;
use super::monitor::{Cause, Phase, Shared};
use super::order::Order;
use super::watch::End;
use super::{Source, SourceError, WatchRequest, WatchStart};
use crate::ResourceVersion;

/// A watch that lasted this long worked, even if nothing happened in it.
const HEALTHY: Duration = Duration::from_secs(30);

/// A watch that ends sooner is followed by a pause, or a server that ends each watch after one
/// event would be asked in a tight loop.
const SHORT: Duration = Duration::from_secs(1);
const AFTER_SHORT: Duration = Duration::from_millis(100);

/// How often the same place of the history is asked for again before a list is the way out.
const STUCK: u32 = 3;

/// One run of a reflector.
pub(super) struct Run<'a, S: Source> {
    pub(super) source: &'a S,
    pub(super) config: &'a Config<S::Object>,
    pub(super) shared: &'a Shared,
    pub(super) backoff: Backoff,
    pub(super) order: Order,
    /// Everything up to here is in the sinks.
    pub(super) position: Option<ResourceVersion>,
    /// Whether the source is still thought to stream lists.
    pub(super) streaming: bool,
    /// Whether the next list is to be asked for at once rather than in pages.
    pub(super) whole: bool,
    pub(super) resync_at: Option<Instant>,
}

/// What follows a watch.
enum After {
    Resume,
    Relist(Cause),
}

/// Failures in a row that no progress came between.
#[derive(Default)]
struct Stuck {
    too_large: u32,
    protocol: u32,
}

impl<'a, S: Source> Run<'a, S> {
    pub(super) fn new(source: &'a S, config: &'a Config<S::Object>, shared: &'a Shared) -> Self {
        Self {
            source,
            config,
            shared,
            backoff: Backoff::new(config.jitter_seed),
            order: Order::default(),
            position: None,
            streaming: config.streaming_list,
            whole: false,
            resync_at: config.resync.as_ref().map(|resync| Instant::now() + resync.every),
        }
    }

    /// Runs until the source refuses for good.
    pub(super) async fn mirror(mut self) -> SourceError {
        loop {
            let opened = match self.sync().instrument(tracing::info_span!("list")).await {
                Ok(opened) => opened,
                Err(refused) => return refused,
            };
            let cause = self.keep_up(opened).instrument(tracing::info_span!("watch")).await;
            tracing::info!(?cause, "listing anew");
            self.shared.count_relist(cause);
        }
    }

    /// Lists until it succeeds; a streaming list leaves its watch open. The error is a refusal of
    /// the first list for good.
    async fn sync(&mut self) -> Result<Option<Opened<S>>, SourceError> {
        loop {
            let error = match self.list().await {
                Ok(opened) => return Ok(opened),
                Err(error) => error,
            };
            if error.is_permanent() && !self.shared.is_synced() {
                self.shared.failed(&error);
                return Err(error);
            }
            self.pause("list", &error).await;
        }
    }

    /// Watches, and resumes as long as the protocol allows it; why it no longer does.
    async fn keep_up(&mut self, mut opened: Option<Opened<S>>) -> Cause {
        let mut stuck = Stuck::default();
        loop {
            let before = self.position.clone();
            let started = Instant::now();
            let end = match opened.take() {
                Some(opened) => self.follow(opened).await,
                None => match self.resume().await {
                    Ok(opened) => self.follow(opened).await,
                    Err(error) => End::Failed(error),
                },
            };
            match self.after(end, before != self.position, started.elapsed(), &mut stuck).await {
                After::Resume => {}
                After::Relist(cause) => return cause,
            }
        }
    }

    async fn resume(&mut self) -> Result<Opened<S>, SourceError> {
        let version = self.position.clone().unwrap_or_else(|| "".into());
        self.open(WatchStart::After(version)).await
    }

    /// Opens a watch, which has to be granted in time.
    pub(super) async fn open(&mut self, start: WatchStart) -> Result<Opened<S>, SourceError> {
        self.shared.start_watching();
        let timeout = self.backoff.within(self.config.limits.watch_timeout.clone());
        let request = WatchRequest { start, timeout };
        let watch = in_time(self.config.limits.answer, self.source.watch(request)).await?;
        self.shared.contact(self.source.received_bytes());
        Ok(Opened { watch: Box::pin(watch), timeout })
    }

    async fn after(&mut self, end: End, moved: bool, lasted: Duration, stuck: &mut Stuck) -> After {
        let worked = moved || (lasted >= HEALTHY && !matches!(end, End::Failed(_)));
        if worked {
            self.backoff.reset();
            *stuck = Stuck::default();
        }
        let error = match end {
            End::Silent => {
                tracing::info!(?lasted, "the watch is silent, opening it anew");
                self.shared.count_silence();
                return After::Resume;
            }
            End::Closed if !worked => {
                self.sleep(None).await;
                return After::Resume;
            }
            End::Closed => {
                if lasted < SHORT {
                    let pause = self.backoff.spread(AFTER_SHORT);
                    tokio::time::sleep(pause).await;
                }
                return After::Resume;
            }
            End::Failed(error) => error,
        };
        let cause = if error.is_expired() {
            Some(Cause::Expired)
        } else if error.is_version_too_large() {
            stuck.too_large += 1;
            (stuck.too_large >= STUCK).then_some(Cause::VersionTooLarge)
        } else if matches!(error, SourceError::Protocol(_)) {
            stuck.protocol += 1;
            (stuck.protocol >= STUCK).then_some(Cause::Protocol)
        } else {
            None
        };
        match cause {
            Some(cause) if worked => {
                self.shared.failed(&error);
                After::Relist(cause)
            }
            // A list that led nowhere is not repeated at once.
            Some(cause) => {
                self.pause("watch", &error).await;
                After::Relist(cause)
            }
            None => {
                self.pause("watch", &error).await;
                After::Resume
            }
        }
    }

    pub(super) async fn pause(&mut self, what: &str, error: &SourceError) {
        tracing::warn!(%error, "{what} failed, backing off");
        self.shared.failed(error);
        self.sleep(error.retry_after()).await;
    }

    async fn sleep(&mut self, at_least: Option<Duration>) {
        self.shared.set_phase(Phase::BackingOff);
        let delay = self.backoff.next_delay().max(at_least.unwrap_or_default());
        tokio::time::sleep(delay).await;
    }
}

/// A watch that was granted.
pub(super) struct Opened<S: Source> {
    pub(super) watch: std::pin::Pin<Box<S::Watch>>,
    pub(super) timeout: Duration,
}

/// The answer, unless it takes too long.
pub(super) async fn in_time<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, SourceError>>,
) -> Result<T, SourceError> {
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| {
        let message = format!("no answer within {limit:?}");
        Err(SourceError::Transport { message, source: None })
    })
}
