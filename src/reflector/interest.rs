//! What a reflector needs from its source, so that the rest need not be decoded.

use std::fmt;
use std::sync::Arc;

use super::config::Config;
use super::shared::Shared;
use crate::{KeyRef, Object};

/// What a reflector needs from its source: an object that is in another process's shard, or that a sink
/// holds unchanged, need not be decoded.
///
/// It only saves work: a source may ignore it.
pub struct Interest<T> {
    config: Arc<Config<T>>,
    shared: Arc<Shared>,
}

impl<T> Interest<T> {
    pub(super) fn new(config: Arc<Config<T>>, shared: Arc<Shared>) -> Self {
        Self { config, shared }
    }

    /// Returns whether nothing can be skipped: there is no [`Shard`](super::Shard), and nothing is held
    /// yet.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.config.shard.is_none() && !self.shared.is_synced()
    }

    /// Returns whether objects of this key are wanted at all.
    #[must_use]
    pub fn wants(&self, key: KeyRef<'_>) -> bool {
        self.config.wants(key)
    }

    /// Returns whether some objects are not wanted at all.
    #[must_use]
    pub fn is_sharded(&self) -> bool {
        self.config.shard.is_some()
    }
}

impl<T: Object> Interest<T> {
    /// The object of this key in this very version, if one of the sinks holds it.
    #[must_use]
    pub fn held(
        &self,
        key: KeyRef<'_>,
        uid: Option<&str>,
        resource_version: &str,
    ) -> Option<Arc<T>> {
        self.config.held(key, uid, resource_version)
    }
}

// Not derived: what is cloned are `Arc`s, so `T` need not be `Clone`.
impl<T> Clone for Interest<T> {
    fn clone(&self) -> Self {
        Self { config: Arc::clone(&self.config), shared: Arc::clone(&self.shared) }
    }
}

impl<T> fmt::Debug for Interest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interest").field("shard", &self.config.shard).finish_non_exhaustive()
    }
}
