//! What a write changed.

use crate::store::error::Rejected;
use crate::{Key, Revision};

/// What a batch really changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// The revision at which all of the batch is visible.
    pub revision: Revision,
    /// Keys that were absent and are present.
    pub added: usize,
    /// Keys whose object was replaced.
    pub updated: usize,
    /// Keys that were present and are absent.
    pub deleted: usize,
    /// Puts of the very version that was held, and deletes of absent keys.
    pub unchanged: usize,
    /// Changes that were older than what was held.
    pub stale: usize,
    /// Objects that were not stored, each with its reason. What was held under their keys stayed.
    pub rejected: Vec<Rejected>,
}

/// What a relist really changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replaced {
    /// Counts, and the revision at which the relist is visible.
    pub applied: Applied,
    /// The keys that are gone.
    pub deleted: Vec<Key>,
}
