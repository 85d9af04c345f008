//! Events that become one batch.

use crate::panic::catch_as_sentence;
use crate::reflector::WatchEvent;
use crate::{Batch, Object};

/// Most events of one version that are kept together: a batch has to end some time.
const ONE_VERSION: usize = 1 << 22;

/// Events that were ready together.
pub(super) struct Gathered<T> {
    pub(super) batch: Batch<T>,
    /// Events, including those that were not new.
    pub(super) events: usize,
    pub(super) stale: u64,
    /// The position after them.
    pub(super) reached: Reached,
    /// Whether that is a new one.
    pub(super) moved: bool,
    /// Whether one of them shows that the content is complete.
    pub(super) complete: bool,
    /// Whether the watch may still be sending what existed before it.
    pub(super) replays: bool,
    /// Whether a bookmark said that the watch began before a version which is not finished.
    pub(super) began: bool,
}

/// A version, or none, in memory that is kept: it changes with each event.
#[derive(Debug, Default)]
pub(super) struct Reached {
    text: String,
    is_known: bool,
}

impl Reached {
    pub(super) fn version(&self) -> Option<&str> {
        self.is_known.then_some(&self.text)
    }

    pub(super) fn set(&mut self, version: Option<&str>) {
        self.is_known = version.is_some();
        self.text.clear();
        self.text.push_str(version.unwrap_or_default());
    }
}

impl<T: Object> Gathered<T> {
    pub(super) fn new(replays: bool) -> Self {
        Self {
            batch: Batch::new(),
            events: 0,
            stale: 0,
            reached: Reached::default(),
            moved: false,
            complete: false,
            replays,
            began: false,
        }
    }

    /// Returns whether another event is to go into the same batch.
    pub(super) fn takes(&self, event: &WatchEvent<T>, limit: usize) -> bool {
        let last = self.reached.version();
        self.events < limit
            || (self.moved
                && self.events < ONE_VERSION
                && catch_as_sentence(|| {
                    event.version().is_some_and(|version| last == Some(version))
                })
                .unwrap_or(false))
    }
}
