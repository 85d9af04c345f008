//! Events that become one batch.

use crate::panic::catch_as_sentence;
use crate::reflector::WatchEvent;
use crate::{Batch, Object, ResourceVersion};

/// Most events of one version that are kept together: a batch has to end some time.
const ONE_VERSION: usize = 1 << 22;

/// Events that were ready together.
pub(super) struct Gathered<T> {
    pub(super) batch: Batch<T>,
    /// Events, including those that were not new.
    pub(super) events: usize,
    pub(super) stale: u64,
    /// The position after them.
    pub(super) reached: Option<ResourceVersion>,
    /// Whether that is a new one.
    pub(super) moved: bool,
    /// Whether one of them shows that the content is complete.
    pub(super) complete: bool,
    /// Whether the watch may still be sending what existed before it.
    pub(super) replays: bool,
}

impl<T: Object> Gathered<T> {
    pub(super) fn new(replays: bool) -> Self {
        Self {
            batch: Batch::new(),
            events: 0,
            stale: 0,
            reached: None,
            moved: false,
            complete: false,
            replays,
        }
    }

    /// Returns whether another event is to go into the same batch.
    pub(super) fn takes(&self, event: &WatchEvent<T>, limit: usize) -> bool {
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
