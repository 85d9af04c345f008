//! A running watch: events into batches, batches into sinks.

mod events;
mod flush;
mod gathered;
mod position;

use std::pin::Pin;
use std::time::Duration;

use futures_util::{FutureExt, Stream, StreamExt};
use tokio::time::Instant;

use self::gathered::Gathered;
use super::recovery::End;
use super::run::{Opened, Run};
use super::{Source, SourceError, WatchEvent};
use crate::ResourceVersion;
use crate::panic::catch_as_sentence;

/// How long past its agreed end a watch may run.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// A watch is given up once it has nothing ready, so that a late event which is on its way is not lost with
/// it; after this many batches it is given up all the same.
const KEPT: u32 = 64;

/// What a stream yields.
type Next<S> = Option<Result<WatchEvent<<S as Source>::Object>, SourceError>>;

impl<S: Source> Run<'_, S> {
    /// Applies a watch's events until it ends.
    pub(super) async fn follow(&mut self, opened: Opened<S>) -> End {
        let Opened { mut watch, timeout, silence, replays } = opened;
        let deadline = Instant::now() + timeout + GRACE;
        let mut heard = Instant::now();
        let mut gathered = Gathered::new(replays);
        self.forget_old_events();
        let mut carried: Option<Next<S>> = None;
        let mut kept = 0;
        loop {
            let next = match carried.take() {
                Some(next) => {
                    // Otherwise a stream that is always ready would starve other tasks.
                    tokio::task::yield_now().await;
                    next
                }
                None => {
                    let patience = deadline.min(heard + silence);
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
            let mut end = self.gather(next, &mut watch, &mut gathered, &mut carried).await;
            kept = if carried.is_some() { kept + 1 } else { 0 };
            if end.is_some() {
                self.stop_short(&mut gathered);
            } else if carried.is_none() || kept > KEPT {
                end = self.fell_behind().map(End::Failed);
                if end.is_some() {
                    // The newest version is told, as ever when nothing more of it is ready.
                    self.order.cut();
                }
            }
            self.flush(&mut gathered);
            self.resync();
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Gathers what is ready without waiting. What no longer fits is carried over; the first item that is
    /// not ready, or the end, closes the batch.
    async fn gather(
        &mut self,
        mut next: Next<S>,
        watch: &mut Pin<Box<S::Watch>>,
        gathered: &mut Gathered<S::Object>,
        carried: &mut Option<Next<S>>,
    ) -> Option<End> {
        gathered.reached.set(self.position.as_ref().map(ResourceVersion::as_str));
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
                }
                Some(Err(error)) => return Some(End::Failed(error)),
                None => return Some(End::Closed),
            }
            next = ready(watch)?;
        }
    }

    /// Sends everything to the sinks again, if it is due.
    fn resync(&mut self) {
        let Some(resync) = &self.config.resync else { return };
        let now = Instant::now();
        if self.resync_at.is_none_or(|at| now < at) {
            return;
        }
        self.resync_at = Some(now + resync.every);
        match catch_as_sentence(|| (resync.content)()) {
            Ok(mut batch) => {
                // A sink that took an object which another refused would go back to an older one.
                batch.retain(|key| !self.shared.quarantine().is_refused(key));
                if !self.order.is_ordered() {
                    batch.set_unordered();
                }
                for sink in &self.config.sinks {
                    sink.resync(&batch);
                }
            }
            Err(panic) => tracing::error!(panic, "nothing to resync from"),
        }
    }
}

/// The stream's next item if it is ready without waiting. Exempt from tokio's budget, which would cut a
/// transaction in two.
fn ready<W: Stream>(watch: &mut Pin<Box<W>>) -> Option<Option<W::Item>> {
    tokio::task::unconstrained(watch.next()).now_or_never()
}
