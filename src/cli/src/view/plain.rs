//! A line a second, for logs and pipes.

use watchcache::reflector::Phase;

use super::text::{per_second, quantity, staleness};
use super::{line, text};
use crate::report::{BatchSize, Sample, waiting_for};

#[derive(Debug)]
pub(crate) struct Plain;

impl Plain {
    pub(crate) fn new(title: &str) -> Self {
        line(title);
        Self
    }

    pub(crate) fn show(&self, sample: &Sample) {
        let progress = &sample.progress;
        if sample.elapsed.is_zero() {
            return match progress.phase {
                Phase::BackingOff => line(&format!("trying again: {}", waiting_for(progress))),
                _ => line(&format!("listing: {} objects", quantity(progress.listed))),
            };
        }
        let batch = BatchSize::of(progress);
        let mut text = format!(
            "{:>5.0}s  {} objects  revision {}  rv {}  {}  batch {}/{}  relists {}",
            sample.elapsed.as_secs_f64(),
            quantity(sample.objects as u64),
            quantity(sample.revision),
            sample.resource_version.as_deref().unwrap_or("-"),
            per_second(sample.rates.events, "events"),
            batch.mean,
            batch.max,
            progress.relists,
        );
        text.push_str(&format!("  staleness {}", staleness(sample.staleness_us)));
        if let Some(get) = sample.reads.get_ns {
            let (p50, p99) = (text::nanos(get.p50), text::nanos(get.p99));
            text.push_str(&format!(
                "  get {p50}/{p99}  {}",
                per_second(sample.rates.reads, "reads")
            ));
        }
        text.push_str(&format!(
            "  fifo {} waiting, {} coalesced  {}",
            quantity(sample.fifo.depth),
            quantity(sample.fifo.coalesced),
            per_second(sample.rates.items, "items"),
        ));
        if progress.phase == Phase::BackingOff {
            text.push_str(&format!("  trying again: {}", waiting_for(progress)));
        }
        line(&text);
    }
}
