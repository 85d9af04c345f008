//! Measurements as a run may have them, for the tests of what is shown of them.

use std::time::Duration;

use watchcache::fifo::FifoStats;
use watchcache::reflector::{Phase, Progress};

use crate::latency::{Latency, Quantiles};
use crate::readers::Reads;
use crate::report::{KindSample, Rates, Sample};
use crate::staleness::Stale;
use crate::workers::Items;

fn kind(name: &str, held: usize, phase: Phase, error: Option<&str>) -> KindSample {
    let mut progress = Progress::default();
    (progress.phase, progress.synced) = (phase, true);
    progress.last_error = error.map(str::to_owned);
    progress.failing = error.is_some();
    let mut last = Latency::new();
    last.record(Duration::from_millis(1));
    KindSample {
        name: name.to_owned(),
        held,
        revision: 123_456,
        resource_version: Some("1234567890".to_owned()),
        lag: progress.lag(),
        progress,
        stale: Stale { whole: last.clone(), last },
        fifo: FifoStats::default(),
        items: Items::default(),
        rates: Rates { changes: 1_998.0, items: 1_790.0 },
    }
}

fn sample(kinds: Vec<KindSample>) -> Sample {
    let times = Quantiles { p50: 85.0, p99: 210.0, p999: 1_400.0, max: 45_000.0 };
    Sample {
        running: Duration::from_secs(13),
        elapsed: Duration::from_secs(12),
        kinds,
        measures_staleness: true,
        readers: 1,
        reads: Reads { count: 25_000_000, get_ns: Some(times), list_us: Some(times) },
        reads_per_s: 2.14e6,
    }
}

/// One kind, of which all is well.
pub(super) fn quiet() -> Sample {
    sample(vec![kind("pods", 10_000, Phase::Watching, None)])
}

/// Several, some with a long name or a long error.
pub(super) fn troubled() -> Sample {
    let error = "the server is away for \u{1b}[2J\n maintenance, ".repeat(20);
    sample(vec![
        kind("endpointslices.discovery.k8s.io", 1_234_567, Phase::Watching, None),
        kind("things.with-a-rather-long-name.example.com", 5, Phase::BackingOff, Some(&error)),
        kind("nodes", 0, Phase::Listing, None),
    ])
}
