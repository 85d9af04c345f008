//! The reflector's loop: list, watch, resume, and relist only where nothing else helps.

use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument;

use super::failure::RequestKind;
use super::progress::Cause;
use super::recovery::{End, Ended, Pause, Recovery, Verdict};
use super::run::{Opened, Run};
use super::{Source, SourceError, WatchStart};

impl<S: Source> Run<'_, S> {
    /// Runs until the source refuses for good.
    pub(super) async fn mirror(mut self) -> SourceError {
        let first = self.first_list().instrument(tracing::info_span!("list")).await;
        let mut opened = match first {
            Ok(opened) => opened,
            Err(refused) => return refused,
        };
        loop {
            let cause = self.keep_up(opened).instrument(tracing::info_span!("watch")).await;
            tracing::info!(?cause, "listing anew");
            opened = self.relist(cause).instrument(tracing::info_span!("list")).await;
        }
    }

    /// Lists until it succeeds. The error is a refusal for good.
    async fn first_list(&mut self) -> Result<Option<Opened<S>>, SourceError> {
        loop {
            let error = match self.list().await {
                Ok(opened) => return Ok(opened),
                Err(error) => error,
            };
            if error.is_permanent() && !self.config.retry_refused {
                self.failed(RequestKind::List, &error, Duration::ZERO);
                return Err(error);
            }
            self.pause(RequestKind::List, &error).await;
        }
    }

    /// Lists, at the pace of lists, and until it succeeds where nothing else can help. `None`: the
    /// watch goes on where it was, or there is nothing yet to go on with.
    async fn relist(&mut self, cause: Cause) -> Option<Opened<S>> {
        if cause != Cause::Quiet {
            self.quiet.is_listed_anyway();
        }
        let now = Instant::now();
        if let Some(next) = self.pace.not_before(now) {
            self.wait(next - now).await;
        }
        loop {
            let error = match self.list().await {
                Ok(opened) => {
                    self.shared.count_relist(cause);
                    return opened;
                }
                Err(error) => error,
            };
            match cause {
                Cause::Quiet => self.quiet.failed(),
                Cause::OutOfOrder => self.doubt.failed(),
                _ => {}
            }
            self.pause(RequestKind::List, &error).await;
            // A watch learns nothing more from a source that may be behind.
            if !cause.is_mandatory() && !self.may_start_over() {
                return None;
            }
        }
    }

    /// Watches, and resumes as long as the protocol allows it; returns why it no longer does.
    async fn keep_up(&mut self, mut opened: Option<Opened<S>>) -> Cause {
        loop {
            let before = self.steps;
            let opened = match opened.take() {
                Some(opened) => Ok(opened),
                None => self.resume().await,
            };
            // Waiting for a watch to be granted does not count as its lifetime.
            let (granted, since) = (opened.is_ok(), Instant::now());
            let end = match opened {
                Ok(opened) => self.follow(opened).await,
                Err(error) => End::Failed(error),
            };
            let moved = before != self.steps;
            let ended = Ended { end, granted, moved, lasted: since.elapsed() };
            if let Some(cause) = self.after(&ended).await {
                return cause;
            }
        }
    }

    async fn resume(&mut self) -> Result<Opened<S>, SourceError> {
        let version = match (&self.position, self.order.unfinished()) {
            // Of the changes at this version only some may have come.
            (Some(position), Some(version)) if position.number() == Some(version) => {
                version.saturating_sub(1).to_string().into()
            }
            (Some(position), _) => position.clone(),
            (None, _) => "".into(),
        };
        self.open(WatchStart::After(version)).await
    }

    /// Waits as long as an ended watch demands; returns what makes a list necessary, if anything does.
    async fn after(&mut self, ended: &Ended) -> Option<Cause> {
        if Recovery::worked(ended) {
            self.backoff.reset();
        }
        self.pace.watched(ended.lasted);
        let now = Instant::now();
        let may_list = self.pace.not_before(now).is_none();
        let resumable = self.position.is_some() && !self.unversioned;
        let Verdict { pause, relist } = self.recovery.judge(ended, resumable, may_list, now);
        if ended.granted {
            self.quiet.watched();
        }
        let doubted = ended.granted && self.doubt.is_due().is_some();
        let relist = relist.or(doubted.then_some(Cause::OutOfOrder));
        let relist = relist.or_else(|| self.is_quiet(ended, now).then_some(Cause::Quiet));
        let silence;
        let failure = match &ended.end {
            End::Failed(error) => Some(error),
            End::Silent => {
                self.shared.count_silence();
                silence = silent(ended.lasted);
                Some(&silence)
            }
            End::Closed => {
                self.shared.closed();
                None
            }
        };
        match (failure, pause) {
            (Some(error), Pause::Backoff) => self.pause(RequestKind::Watch, error).await,
            (Some(error), _) => self.failed(RequestKind::Watch, error, Duration::ZERO),
            (None, pause) => {
                let delay = match pause {
                    Pause::None => return relist,
                    Pause::Short(pause) => self.jitter.spread(pause),
                    Pause::Backoff => self.backoff.next_delay(&mut self.jitter),
                };
                self.wait(delay).await;
            }
        }
        relist
    }

    /// Whether a list is due because watches say nothing, and nothing else asks for one.
    fn is_quiet(&mut self, ended: &Ended, now: Instant) -> bool {
        let lag = self.shared.progress().lag().unwrap_or_default();
        let overdue = lag.saturating_sub(self.bookmark_interval());
        ended.granted && self.quiet.is_due(overdue, now)
    }
}

fn silent(lasted: Duration) -> SourceError {
    let lasted = lasted.as_secs();
    let message = format!("the watch fell silent and was given up after {lasted} s");
    SourceError::Transport { message, error: None }
}
