//! A reflector's configuration, apart from its source.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, mem};

use super::backoff::{FIRST, LONGEST};
use super::failure::Failure;
use super::{Shard, Undecodable};
use crate::panic::{catch_as_sentence, let_go};
use crate::{Batch, KeyRef, Listing, Object, ResourceVersion, Sink};

/// What stands for "never": longer than any process lives, and far from where sums overflow.
pub(super) const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// A duration that can be added to a point in time.
pub(super) fn bounded(duration: Duration) -> Duration {
    duration.min(NEVER)
}

/// A range from which a duration can be drawn.
pub(super) fn bounded_range(range: Range<Duration>) -> Range<Duration> {
    let start = bounded(range.start);
    start..bounded(range.end).max(start + Duration::from_millis(1))
}

/// A reflector's timeouts and limits; the defaults suit a Kubernetes API server.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) watch_timeout: Range<Duration>,
    pub(super) silence: Duration,
    pub(super) answer: Duration,
    pub(super) retry_after: Duration,
    pub(super) list_bytes: u64,
}

/// An object before and after a transform.
pub(super) type Transform<T> = Box<dyn Fn(Arc<T>) -> Arc<T> + Send + Sync>;

/// Called for failures.
pub(super) type OnFailure = Box<dyn Fn(&Failure<'_>) + Send + Sync>;

/// How to send everything to the sinks again.
pub(super) struct Resync<T> {
    pub(super) every: Duration,
    pub(super) content: Box<dyn Fn() -> Batch<T> + Send + Sync>,
}

pub(super) struct Config<T> {
    pub(super) sinks: Vec<Box<dyn Sink<T>>>,
    pub(super) page_size: Option<u32>,
    pub(super) batch_limit: usize,
    pub(super) streaming_list: bool,
    pub(super) limits: Limits,
    /// The first and the longest delay after a failure.
    pub(super) backoff: (Duration, Duration),
    pub(super) start_over: bool,
    pub(super) retry_refused: bool,
    pub(super) on_failure: Option<OnFailure>,
    /// The name in its spans.
    pub(super) name: String,
    pub(super) shard: Option<Shard>,
    pub(super) transform: Option<Transform<T>>,
    pub(super) resync: Option<Resync<T>>,
    pub(super) jitter_seed: Option<u64>,
}

impl<T> Default for Config<T> {
    fn default() -> Self {
        Self {
            sinks: Vec::new(),
            page_size: Some(500),
            batch_limit: 1024,
            streaming_list: false,
            limits: Limits {
                watch_timeout: Duration::from_secs(200)..Duration::from_secs(290),
                silence: Duration::from_secs(120),
                answer: Duration::from_secs(60),
                retry_after: Duration::from_secs(300),
                list_bytes: 8 << 30,
            },
            backoff: (FIRST, LONGEST),
            start_over: true,
            retry_refused: false,
            on_failure: None,
            name: std::any::type_name::<T>().to_owned(),
            shard: None,
            transform: None,
            resync: None,
            jitter_seed: None,
        }
    }
}

/// What sinks and functions have captured: destructors of users', of which several may panic.
impl<T> Drop for Config<T> {
    fn drop(&mut self) {
        let_go(mem::take(&mut self.sinks));
        let_go(self.on_failure.take());
        let_go(self.transform.take());
        let_go(self.resync.take());
    }
}

impl<T> Config<T> {
    pub(super) fn wants(&self, key: KeyRef<'_>) -> bool {
        self.shard.is_none_or(|shard| shard.owns(key))
    }

    /// An object without a key may belong to any shard.
    pub(super) fn wants_bad(&self, bad: &Undecodable) -> bool {
        bad.key.as_ref().is_none_or(|key| self.wants(key.as_ref()))
    }

    /// Notifies each sink, even if another one panics.
    pub(super) fn end(&self, error: Option<&(dyn std::error::Error + 'static)>) {
        for sink in &self.sinks {
            if let Err(panic) = catch_as_sentence(|| sink.ended(error)) {
                tracing::error!(panic, "a sink did not take the reflector's end");
            }
        }
    }

    pub(super) fn tell(&self, failure: &Failure<'_>) {
        for sink in &self.sinks {
            if let Err(panic) = catch_as_sentence(|| sink.failed(failure.error)) {
                tracing::error!(panic, "a sink did not take a failure");
            }
        }
        let Some(on_failure) = &self.on_failure else { return };
        if let Err(panic) = catch_as_sentence(|| on_failure(failure)) {
            tracing::error!(panic, "on_failure failed");
        }
    }
}

impl<T: Object> Config<T> {
    pub(super) fn held(
        &self,
        key: KeyRef<'_>,
        uid: Option<&str>,
        resource_version: &str,
    ) -> Option<Arc<T>> {
        // An empty version means none.
        let asked = self.sinks.iter().filter(|_| !resource_version.is_empty());
        let mut held =
            asked.map(|sink| catch_as_sentence(|| sink.held(key, uid, resource_version)));
        held.find_map(|held| held.ok().flatten())
    }

    /// Returns whether the delivered object is still what the sinks hold; `None` if none of them knows.
    pub(super) fn is_current(&self, key: KeyRef<'_>, version: &ResourceVersion) -> Option<bool> {
        self.sinks.iter().find_map(|sink| {
            catch_as_sentence(|| sink.is_current(key, version.as_str())).ok().flatten()
        })
    }

    /// The same between two changes, for which a sink may have to wait for others.
    pub(super) fn is_held(&self, key: KeyRef<'_>, version: &str) -> Option<bool> {
        let mut held =
            self.sinks.iter().map(|sink| catch_as_sentence(|| sink.is_held(key, version)));
        held.find_map(|held| held.ok().flatten())
    }

    /// The object that the sinks hold under the key, as far as any of them knows.
    pub(super) fn current(&self, key: KeyRef<'_>) -> Option<Arc<T>> {
        let mut held = self.sinks.iter().map(|sink| catch_as_sentence(|| sink.current(key)));
        held.find_map(|held| held.ok().flatten())
    }

    /// Feeds a batch to each sink; what one of them did not take.
    pub(super) fn apply(&self, batch: &Batch<T>) -> Vec<Undecodable> {
        let refused = self.sinks.iter().flat_map(|sink| sink.apply_reporting(batch));
        refused.map(Undecodable::from).collect()
    }

    /// Feeds a listing to each sink; returns what any of them refused.
    pub(super) fn replace(&self, listing: &Listing<T>) -> Vec<Undecodable> {
        let refused = self.sinks.iter().flat_map(|sink| sink.replace_reporting(listing));
        refused.map(Undecodable::from).collect()
    }

    /// The object as the sinks get it.
    pub(super) fn transformed(&self, object: Arc<T>) -> Result<Arc<T>, String> {
        match &self.transform {
            Some(transform) => catch_as_sentence(|| transform(object))
                .map_err(|panic| format!("transforming: {panic}")),
            None => Ok(object),
        }
    }
}

impl<T> fmt::Debug for Config<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("name", &self.name)
            .field("sinks", &self.sinks.len())
            .field("page_size", &self.page_size)
            .field("batch_limit", &self.batch_limit)
            .field("streaming_list", &self.streaming_list)
            .field("limits", &self.limits)
            .field("backoff", &self.backoff)
            .field("start_over", &self.start_over)
            .field("retry_refused", &self.retry_refused)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_can_be_added_and_drawn_from() {
        let never = bounded(Duration::MAX);
        assert!(std::time::Instant::now().checked_add(never * 20).is_some());
        let range = bounded_range(Duration::MAX..Duration::MAX);
        assert!(range.start < range.end);
    }
}
