//! The measurements: while the command runs, and at its end.

use std::time::{Duration, Instant};

use serde::Serialize;
use watchcache::fifo::FifoStats;
use watchcache::reflector::{Phase, Progress};

use crate::latency::Quantiles;
use crate::readers::Reads;
use crate::staleness::Stale;
use crate::workers::Items;

/// All measurements at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Since the start.
    pub(crate) running: Duration,
    /// Since every first list was complete; zero before.
    pub(crate) elapsed: Duration,
    pub(crate) kinds: Vec<KindSample>,
    /// Only the embedded server tells when a change was committed.
    pub(crate) measures_staleness: bool,
    pub(crate) readers: usize,
    pub(crate) reads: Reads,
    pub(crate) reads_per_s: f64,
}

/// Those of one kind.
#[derive(Clone, Debug)]
pub(crate) struct KindSample {
    pub(crate) name: String,
    /// Objects in the store.
    pub(crate) held: usize,
    pub(crate) revision: u64,
    pub(crate) resource_version: Option<String>,
    pub(crate) progress: Progress,
    /// As it was then: the progress tells it as it is when it is asked.
    pub(crate) lag: Option<Duration>,
    pub(crate) stale: Stale,
    pub(crate) fifo: FifoStats,
    pub(crate) items: Items,
    pub(crate) rates: Rates,
}

/// Counts per second, over the last second or so.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rates {
    pub(crate) changes: f64,
    pub(crate) items: f64,
}

impl KindSample {
    /// There are none of it, not even such as cannot be decoded.
    pub(crate) fn is_empty(&self) -> bool {
        self.progress.synced && self.held == 0 && self.progress.quarantined == 0
    }

    /// In the store, or so far in the first list.
    pub(crate) fn objects(&self) -> u64 {
        if self.progress.synced { self.held as u64 } else { self.progress.listed }
    }
}

impl Sample {
    /// A figure of all kinds together.
    pub(crate) fn sum(&self, figure: impl Fn(&KindSample) -> u64) -> u64 {
        self.kinds.iter().map(figure).sum()
    }

    pub(crate) fn rates(&self) -> Rates {
        let rates = self.kinds.iter().map(|kind| kind.rates);
        rates.fold(Rates::default(), |all, one| Rates {
            changes: all.changes + one.changes,
            items: all.items + one.items,
        })
    }

    pub(crate) fn stale(&self) -> Stale {
        Stale::of_all(self.kinds.iter().map(|kind| &kind.stale))
    }
}

/// Turns counts into rates over the last second or so; over all of it while it is less.
#[derive(Debug)]
pub(crate) struct Meter<const N: usize> {
    at: Instant,
    counts: [u64; N],
    rates: Option<[f64; N]>,
}

impl<const N: usize> Meter<N> {
    /// Counts from these on.
    pub(crate) fn new(counts: [u64; N]) -> Self {
        Self { at: Instant::now(), counts, rates: None }
    }

    pub(crate) fn rates(&mut self, counts: [u64; N]) -> [f64; N] {
        let took = self.at.elapsed();
        let so_far = std::array::from_fn(|i| {
            rate(counts[i].saturating_sub(self.counts[i]), took.as_secs_f64())
        });
        // Asked once a second, which must not be a tick too early.
        if took >= Duration::from_millis(900) {
            (self.at, self.counts, self.rates) = (Instant::now(), counts, Some(so_far));
        }
        self.rates.unwrap_or(so_far)
    }
}

/// The whole run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) source: String,
    pub(crate) namespace: Option<String>,
    /// The embedded server's; a real cluster has none.
    pub(crate) seed: Option<u64>,
    pub(crate) duration_s: f64,
    /// Until every first list was complete.
    pub(crate) first_list_ms: f64,
    pub(crate) objects: u64,
    pub(crate) events: u64,
    pub(crate) events_per_s: f64,
    pub(crate) relists: u64,
    pub(crate) failures: u64,
    pub(crate) quarantined: u64,
    pub(crate) staleness_us: Option<Quantiles>,
    pub(crate) staleness_last_10s_us: Option<Quantiles>,
    pub(crate) readers: u16,
    pub(crate) reads: u64,
    pub(crate) reads_per_s: f64,
    pub(crate) get_ns: Option<Quantiles>,
    pub(crate) list_us: Option<Quantiles>,
    /// Of each kind.
    pub(crate) workers: u16,
    pub(crate) items: u64,
    pub(crate) items_per_s: f64,
    /// Threads that have panicked.
    pub(crate) panics: u64,
    /// Each store equals a fresh list, and nothing was left out.
    pub(crate) verified: bool,
    pub(crate) differing: usize,
    pub(crate) left_out: usize,
    pub(crate) kinds: Vec<KindSummary>,
}

/// What the whole run was to one kind.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct KindSummary {
    pub(crate) kind: String,
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
    pub(crate) staleness_last_10s_us: Option<Quantiles>,
    /// All that the workers have done, the first list's objects included.
    pub(crate) items: u64,
    /// Since those of the first list were worked off.
    pub(crate) items_per_s: f64,
    pub(crate) fifo: FifoSummary,
    /// Workers that have panicked.
    pub(crate) panics: u64,
    pub(crate) verified: bool,
    /// Why the store could not be compared with a fresh list.
    pub(crate) not_compared: Option<String>,
    pub(crate) differing: usize,
    /// Objects that could not be decoded, and so not be compared.
    pub(crate) left_out: usize,
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

/// What has failed, or ended too soon, is tried again, and has not brought anything yet.
pub(crate) fn is_retrying(progress: &Progress) -> bool {
    let in_vain = progress.failing && progress.listed == 0;
    progress.phase == Phase::BackingOff || (!progress.synced && in_vain)
}

/// What a list, or the next try of a watch, is waiting for.
pub(crate) fn waiting_for(progress: &Progress) -> String {
    let error = progress.last_error.as_deref().filter(|_| progress.failing).map(str::trim);
    let come = || format!("{} objects have come so far", progress.listed);
    match (progress.phase, error) {
        (Phase::Listing, _) if progress.listed > 0 => come(),
        (_, Some(error)) if !error.is_empty() => error.to_owned(),
        (Phase::BackingOff, _) => "the server ended the watch without a word".to_owned(),
        _ => come(),
    }
}

/// Rounded to one digit after the point.
pub(crate) fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

/// Per second; none in no time.
pub(crate) fn rate(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { tenths(count as f64 / seconds) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_there_before_the_first_second_is_over() {
        let mut meter = Meter::new([3]);
        std::thread::sleep(Duration::from_millis(1));
        assert!(meter.rates([13])[0] > 0.0);
    }
}
