//! The measurements: while the command runs, and at its end.

use std::time::{Duration, Instant};

use serde::Serialize;
use watchcache::fifo::FifoStats;
use watchcache::reflector::{Phase, Progress};

use crate::latency::Quantiles;
use crate::readers::Reads;

/// All measurements at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Since the first complete list; zero before.
    pub(crate) elapsed: Duration,
    pub(crate) objects: usize,
    pub(crate) revision: u64,
    pub(crate) resource_version: Option<String>,
    pub(crate) progress: Progress,
    pub(crate) staleness_us: Option<Quantiles>,
    pub(crate) reads: Reads,
    pub(crate) fifo: FifoStats,
    pub(crate) items: u64,
    pub(crate) rates: Rates,
}

/// Counts per second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rates {
    pub(crate) events: f64,
    pub(crate) reads: f64,
    pub(crate) items: f64,
}

/// Turns counts into rates over the last second or so.
#[derive(Debug)]
pub(crate) struct Meter {
    at: Instant,
    counts: [u64; 3],
    rates: Rates,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self { at: Instant::now(), counts: [0; 3], rates: Rates::default() }
    }

    pub(crate) fn rates(&mut self, events: u64, reads: u64, items: u64) -> Rates {
        let took = self.at.elapsed();
        // A plain view asks once a second, and must not be a tick too early.
        if took >= Duration::from_millis(900) {
            let counts = [events, reads, items];
            let per_second =
                |i: usize| counts[i].saturating_sub(self.counts[i]) as f64 / took.as_secs_f64();
            self.rates =
                Rates { events: per_second(0), reads: per_second(1), items: per_second(2) };
            self.counts = counts;
            self.at = Instant::now();
        }
        self.rates
    }
}

/// The whole run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) source: String,
    pub(crate) resource: String,
    pub(crate) namespace: Option<String>,
    /// The embedded server's; a real cluster has none.
    pub(crate) seed: Option<u64>,
    pub(crate) duration_s: f64,
    pub(crate) first_list_ms: f64,
    pub(crate) objects: usize,
    pub(crate) revision: u64,
    pub(crate) resource_version: Option<String>,
    pub(crate) events: u64,
    pub(crate) events_per_s: f64,
    pub(crate) batches: u64,
    pub(crate) batch_size: BatchSize,
    pub(crate) relists: u64,
    pub(crate) failures: u64,
    pub(crate) undecodable: u64,
    pub(crate) unknown_events: u64,
    /// Objects that the server has and that could not be decoded, in the end.
    pub(crate) quarantined: u64,
    /// The last failure, if there was one.
    pub(crate) last_error: Option<String>,
    pub(crate) staleness_us: Option<Quantiles>,
    pub(crate) readers: u16,
    pub(crate) reads: u64,
    pub(crate) reads_per_s: f64,
    pub(crate) get_ns: Option<Quantiles>,
    pub(crate) list_us: Option<Quantiles>,
    pub(crate) workers: u16,
    pub(crate) items: u64,
    pub(crate) items_per_s: f64,
    pub(crate) fifo: FifoSummary,
    pub(crate) verified: bool,
    pub(crate) differing: usize,
    pub(crate) differences: Vec<String>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct BatchSize {
    pub(crate) mean: f64,
    pub(crate) max: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct FifoSummary {
    pub(crate) adds: u64,
    pub(crate) popped: u64,
    pub(crate) coalesced: u64,
    pub(crate) deleted: u64,
    pub(crate) depth: u64,
}

impl From<FifoStats> for FifoSummary {
    fn from(stats: FifoStats) -> Self {
        Self {
            adds: stats.adds,
            popped: stats.popped,
            coalesced: stats.coalesced,
            deleted: stats.deleted,
            depth: stats.depth,
        }
    }
}

impl BatchSize {
    pub(crate) fn of(progress: &Progress) -> Self {
        let mean = match progress.batches {
            0 => 0.0,
            batches => tenths(progress.events as f64 / batches as f64),
        };
        Self { mean, max: progress.largest_batch }
    }
}

/// What a list, or the next try of a watch, is waiting for.
pub(crate) fn waiting_for(progress: &Progress) -> String {
    match (progress.phase, progress.last_error.as_deref().map(str::trim)) {
        (_, Some(error)) if !error.is_empty() => error.to_owned(),
        (Phase::BackingOff, _) => "the server ended the watch without a word".to_owned(),
        _ => format!("{} objects have come so far", progress.listed),
    }
}

/// Rounded to one digit after the point.
pub(crate) fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
