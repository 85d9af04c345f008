//! What must hold while a mirror runs: a snapshot at a version is the server at that version.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use watchcache::reflector::Shard;
use watchcache::{Batch, Listing, Sink, Store};

use crate::common::Pod;
use crate::plan::{Bad, Topology};
use crate::server::Server;
use crate::source::uid;
use crate::world::{Change, Kind, Object};

/// Worlds with longer histories are looked at now and then only.
const LONG: usize = 1_000;

/// A sink behind the store.
#[derive(Clone)]
pub(crate) struct Check {
    pub(crate) server: Arc<Server>,
    pub(crate) store: Arc<Store<Pod>>,
    pub(crate) shard: Option<Shard>,
    /// Not while the history is being set back.
    pub(crate) on: Arc<AtomicBool>,
    pub(crate) calls: Arc<AtomicU64>,
    /// Looks at a snapshot.
    pub(crate) looks: Arc<AtomicU64>,
}

impl Check {
    fn look(&self) {
        let plan = &self.server.plan;
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let world = self.server.world();
        if plan.disorder || !self.on.load(Ordering::Relaxed) {
            return;
        }
        let snapshot = self.store.snapshot();
        let version = snapshot.resource_version().and_then(|version| version.number());
        let Some(at) = version.filter(|at| *at <= world.version()) else { return };
        let log = world.changes_up_to(u64::MAX);
        if log.len() > LONG && !call.is_multiple_of(64) {
            return;
        }
        self.looks.fetch_add(1, Ordering::Relaxed);
        let own = |key: &str| self.shard.is_none_or(|shard| shard.owns(key));
        let mut changes: HashMap<&str, Vec<&Change>> = HashMap::new();
        for change in log.iter().filter(|change| own(&change.key)) {
            changes.entry(&change.key).or_default().push(change);
        }
        let shows_bad = plan.bad == Bad::Lazy;
        let held: BTreeMap<String, Arc<Pod>> =
            snapshot.iter().map(|(key, pod)| (key.to_string(), pod.to_arc())).collect();
        for (key, pod) in &held {
            let all = changes.get(key.as_str()).map_or(&[][..], Vec::as_slice);
            let is_held = |change: &&&Change| {
                let Object { version, .. } = change.object;
                version == pod.version() && uid(change.object) == pod.uid
            };
            let made = all.iter().filter(is_held).find(|change| change.kind != Kind::Deleted);
            let version = made.unwrap_or_else(|| panic!("{key}@{} never was", pod.version())).at;
            // What a store refuses of a list leaves what it held, also where that is long gone.
            let refused = |change: &&Change| change.object.bad && change.at > version;
            if plan.bad == Bad::Refused && all.iter().copied().any(|change| refused(&change)) {
                continue;
            }
            let newer = all.iter().filter(|change| (version + 1..=at).contains(&change.at));
            for change in newer {
                let unseen = change.object.bad && !shows_bad && change.kind != Kind::Deleted;
                assert!(unseen, "at {at} {key} is {change:?}, and {version} is held");
            }
            // A transaction that was cut off is there in part, and its version is not told.
            let exact = plan.topology != Topology::Merged && plan.transaction == 0;
            assert!(!exact || version <= at, "{key}@{version} at {at}");
        }
        for (key, all) in &changes {
            let Some(last) = all.iter().rfind(|change| change.at <= at) else {
                continue;
            };
            let there = last.kind != Kind::Deleted && (shows_bad || !last.object.bad);
            // A list that is newer than the version leaves out what has become bad since.
            let goes = all.iter().any(|change| {
                let bad = change.object.bad && !shows_bad;
                change.at > at && (bad || change.kind == Kind::Deleted)
            });
            assert!(!there || goes || held.contains_key(*key), "{key} is missing at {at}");
        }
    }
}

impl Sink<Pod> for Check {
    fn apply(&self, _: &Batch<Pod>) {
        self.look();
    }

    fn replace(&self, _: &Listing<Pod>) {
        self.look();
    }
}
