//! What `top` tells: how things are, and what has changed since the first lists.

use std::collections::BTreeMap;

use serde::Serialize;

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) source: String,
    /// The only one that was asked for.
    pub(super) namespace: Option<String>,
    /// What it is restricted to, in words.
    #[serde(skip)]
    pub(super) scope: String,
    /// Since the start.
    #[serde(skip)]
    pub(super) running_s: f64,
    /// Since every first list was complete, or is tried again; zero before.
    pub(super) watched_s: f64,
    pub(super) kinds: Vec<KindReport>,
    /// Those with most objects first.
    pub(super) namespaces: Vec<NamespaceReport>,
    /// How many namespaces have objects, in all.
    pub(super) namespaces_in_all: usize,
    /// Over how long the hottest keys are counted: as long as it watches, and two minutes at most.
    pub(super) hottest_over_s: f64,
    /// Those that changed most first.
    pub(super) hottest: Vec<HotKey>,
    /// The first of them; each kind says how many it has.
    pub(super) quarantined: Vec<Quarantined>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct KindReport {
    pub(super) kind: String,
    pub(super) state: &'static str,
    /// Its first list is in, and more comes.
    #[serde(skip)]
    pub(super) whole: bool,
    /// Why the last request failed, while it is tried again; or why no more comes.
    pub(super) trouble: Option<String>,
    pub(super) objects: u64,
    /// Since the first lists.
    pub(super) changes: u64,
    /// Over the last second.
    pub(super) changes_per_s: f64,
    pub(super) relists: u64,
    /// Since the content was last known to be complete.
    pub(super) lag_s: Option<f64>,
    pub(super) quarantined: u64,
    pub(super) memory: Memory,
}

/// Of one store, in bytes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Memory {
    /// The objects as they are now.
    pub(super) objects: u64,
    /// The hash table and its records.
    pub(super) table: u64,
    /// Old versions that are not freed yet.
    pub(super) retained: u64,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct NamespaceReport {
    /// None for what is in no namespace.
    pub(super) namespace: Option<String>,
    pub(super) objects: u64,
    pub(super) by_kind: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct HotKey {
    pub(super) kind: String,
    pub(super) key: String,
    /// So often at least.
    pub(super) changes: u64,
    /// More than `changes` where too many keys change to count each.
    pub(super) changes_at_most: u64,
    pub(super) changes_per_s: f64,
}

/// An object that the server has and that could not be decoded.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Quarantined {
    pub(super) kind: String,
    pub(super) key: String,
    pub(super) resource_version: Option<String>,
    pub(super) error: String,
}

impl Memory {
    pub(super) fn in_use(&self) -> u64 {
        self.objects + self.table
    }
}
