//! One kind as `top` watches it.

use std::sync::Arc;
use std::time::Duration;

use watchcache::reflector::{Phase, Progress};
use watchcache::{Object, Store};

use super::changes::Changes;
use super::report::{HotKey, KindReport, Memory, Quarantined};
use crate::cluster::Cluster;
use crate::discovery::Found;
use crate::kind::{Ended, Kind};
use crate::mirrored::Mirrored;
use crate::report::{Meter, is_retrying, tenths, waiting_for};

/// How many keys are counted at once: some 10 MB of them in both windows.
const KEYS: usize = 32_768;

pub(super) struct Watched {
    pub(super) kind: Kind,
    /// Why no more comes of it.
    pub(super) ended: Option<Ended>,
    changes: Arc<Changes>,
    meter: Meter<1>,
    /// Changes that came before it began.
    early: u64,
}

impl Watched {
    pub(super) fn start(cluster: &Cluster, found: Found) -> Self {
        let changes = Arc::new(Changes::new(KEYS));
        let sink = Arc::clone(&changes);
        let store = Arc::<Store<Mirrored>>::default();
        let kind = Kind::start(cluster, found, store, |reflector| reflector.sink(sink));
        Self { kind, ended: None, changes, meter: Meter::new([0]), early: 0 }
    }

    /// Changes count from now on.
    pub(super) fn begin(&mut self) {
        self.changes.clear();
        self.early = self.kind.monitor.progress().events;
        self.meter = Meter::new([self.early]);
    }

    pub(super) fn is_synced(&self) -> bool {
        self.kind.monitor.progress().synced
    }

    /// Its first list is in, or does not come for now.
    pub(super) fn is_settled(&self) -> bool {
        let progress = self.kind.monitor.progress();
        self.ended.is_some() || progress.synced || is_retrying(&progress)
    }

    /// Changes a second, which is to be asked for once a second.
    pub(super) fn measure(&mut self, progress: &Progress) -> f64 {
        let [changes_per_s] = self.meter.rates([progress.events]);
        changes_per_s
    }

    /// `begun` tells whether changes count.
    pub(super) fn report(&mut self, begun: bool) -> KindReport {
        let progress = self.kind.monitor.progress();
        let changes_per_s = self.measure(&progress);
        let stats = self.kind.store.stats();
        let objects = self.kind.store.snapshot();
        let held: usize = objects.objects().map(|object| object.size()).sum();
        KindReport {
            kind: self.kind.name.clone(),
            state: match (&self.ended, progress.phase) {
                (Some(ended), _) => ended.state,
                _ if is_retrying(&progress) => "retrying",
                (None, Phase::Listing) => "listing",
                _ if !progress.synced => "listing",
                _ if stats.objects == 0 && progress.quarantined == 0 => "empty",
                _ => "watching",
            },
            whole: self.ended.is_none() && progress.synced,
            trouble: match &self.ended {
                Some(ended) => Some(ended.failure.message().to_owned()),
                None => is_retrying(&progress).then(|| waiting_for(&progress)),
            },
            objects: if progress.synced { stats.objects as u64 } else { progress.listed },
            changes: if begun { progress.events - self.early } else { 0 },
            changes_per_s: if begun { changes_per_s } else { 0.0 },
            relists: progress.relists,
            lag_s: progress.lag().map(|lag| tenths(lag.as_secs_f64())),
            quarantined: progress.quarantined,
            memory: Memory {
                objects: held as u64,
                table: stats.table_bytes as u64,
                retained: stats.retained_bytes as u64,
            },
        }
    }

    /// And over how long they were counted.
    pub(super) fn hottest(&self, limit: usize) -> (Vec<HotKey>, Duration) {
        let (hottest, over) = self.changes.hottest(limit);
        let per_second = |changes: u64| {
            let exact = changes as f64 / over.as_secs_f64().max(1.0);
            (exact * 1e4).round() / 1e4
        };
        let hottest = hottest.into_iter().map(|hot| HotKey {
            kind: self.kind.name.clone(),
            key: hot.key.to_string(),
            changes: hot.at_least,
            changes_at_most: hot.at_most,
            changes_per_s: per_second(hot.at_least),
        });
        (hottest.collect(), over)
    }

    pub(super) fn quarantined(&self) -> impl Iterator<Item = Quarantined> {
        self.kind.monitor.quarantined().into_iter().map(|(key, bad)| Quarantined {
            kind: self.kind.name.clone(),
            key: key.to_string(),
            resource_version: bad.resource_version.map(|version| version.to_string()),
            error: bad.error,
        })
    }
}
