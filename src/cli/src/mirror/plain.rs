//! A line a second for each kind, for logs and pipes.

use super::live::{state, trouble};
use crate::report::{KindSample, Sample};
use crate::view::PLAIN;
use crate::view::text::{self, fit, quantiles, quantity, rate};

pub(super) fn lines(sample: &Sample) -> Vec<String> {
    let longest = sample.kinds.iter().map(|kind| kind.name.len()).max().unwrap_or(0);
    let time = format!("{:>5}s", sample.elapsed.as_secs());
    let reads = reads(sample);
    let alone = sample.kinds.len() == 1;
    let mut lines: Vec<_> = sample
        .kinds
        .iter()
        .map(|kind| {
            let name = format!("{:<longest$}", kind.name);
            let mut parts = vec![time.clone(), name];
            parts.extend(figures(kind, !sample.elapsed.is_zero()));
            if alone {
                parts.push(reads.clone());
            }
            fit(parts, PLAIN)
        })
        .collect();
    if !alone && !sample.elapsed.is_zero() {
        lines.push(fit([time, all(sample), reads], PLAIN));
    }
    lines
}

/// The most important ones first.
fn figures(kind: &KindSample, measured: bool) -> Vec<String> {
    let progress = &kind.progress;
    let mut parts = vec![format!("{} objects", quantity(kind.objects()))];
    match trouble(kind) {
        Some(trouble) => parts.push(trouble),
        None if state(kind) != "watching" => parts.push(state(kind)),
        None => {}
    }
    if !measured {
        return parts;
    }
    parts.push(format!("{} changes/s", rate(kind.rates.changes)));
    if let Some(stale) = staleness(kind) {
        parts.push(stale);
    }
    parts.push(format!("{} items/s", rate(kind.rates.items)));
    parts.push(format!("{} waiting", quantity(kind.fifo.depth)));
    if progress.relists > 0 {
        parts.push(text::count(progress.relists, "relist"));
    }
    parts
}

/// Of the last seconds.
fn staleness(kind: &KindSample) -> Option<String> {
    let [p50, p99, ..] = quantiles(Some(kind.stale.last.micros()?), 1e3);
    Some(format!("staleness p50 {p50} p99 {p99}"))
}

fn all(sample: &Sample) -> String {
    let objects = quantity(sample.sum(KindSample::objects));
    let changes = rate(sample.rates().changes);
    format!("all kinds: {objects} objects  {changes} changes/s")
}

fn reads(sample: &Sample) -> String {
    match sample.reads.get_ns {
        Some(_) => format!("{} reads/s", rate(sample.reads_per_s)),
        None => String::new(),
    }
}
