//! The text of the live block and of the summary.

use std::fmt::Write;

use indicatif::HumanCount;
use watchcache::reflector::Phase;

use crate::latency::Quantiles;
use crate::report::{BatchSize, Sample, Summary, waiting_for};

/// The live block.
pub(super) fn block(sample: &Sample) -> String {
    let progress = &sample.progress;
    let batch = BatchSize::of(progress);
    let mut text = String::new();
    row(
        &mut text,
        "store",
        &format!(
            "{} objects   revision {}   resourceVersion {}",
            quantity(sample.objects as u64),
            quantity(sample.revision),
            sample.resource_version.as_deref().unwrap_or("-"),
        ),
    );
    row(
        &mut text,
        "stream",
        &format!(
            "{}   batches: mean {}, max {}   relists {}",
            per_second(sample.rates.events, "events"),
            batch.mean,
            batch.max,
            progress.relists,
        ),
    );
    row(&mut text, "staleness", &staleness(sample.staleness_us));
    row(&mut text, "get", &reads(sample.reads.get_ns, 1.0, sample.rates.reads));
    row(&mut text, "list", &quantiles(sample.reads.list_us, 1_000.0));
    row(
        &mut text,
        "fifo",
        &format!(
            "{} waiting   {} coalesced   {}",
            quantity(sample.fifo.depth),
            quantity(sample.fifo.coalesced),
            per_second(sample.rates.items, "items"),
        ),
    );
    let state = match progress.phase {
        Phase::BackingOff => format!("trying again: {}", waiting_for(progress)),
        Phase::Listing => format!("listing anew: {}", quantity(progress.listed)),
        _ => "watching".to_owned(),
    };
    row(
        &mut text,
        &clock(sample.elapsed.as_secs()),
        &format!("{state}   (Ctrl-C stops and verifies)"),
    );
    text.truncate(text.trim_end().len());
    text
}

/// The text that is printed at the end.
pub(super) fn summary(summary: &Summary) -> String {
    let mut text = format!(
        "{} of {}: {} objects, revision {}, resourceVersion {}\n",
        summary.resource,
        summary.source,
        quantity(summary.objects as u64),
        quantity(summary.revision),
        summary.resource_version.as_deref().unwrap_or("-"),
    );
    row(
        &mut text,
        "stream",
        &format!(
            "{} events in {:.1} s ({}), {} batches (mean {}, max {}), {} relists",
            quantity(summary.events),
            summary.duration_s,
            per_second(summary.events_per_s, "events"),
            quantity(summary.batches),
            summary.batch_size.mean,
            summary.batch_size.max,
            summary.relists,
        ),
    );
    let skipped = summary.undecodable + summary.unknown_events;
    if summary.failures + skipped > 0 {
        let mut what = format!("{} failed requests, {skipped} events skipped", summary.failures);
        if summary.quarantined > 0 {
            let _ = write!(what, ", {} objects that do not decode", summary.quarantined);
        }
        if let Some(error) = &summary.last_error {
            let _ = write!(what, "; the last failure: {error}");
        }
        row(&mut text, "trouble", &what);
    }
    row(&mut text, "staleness", &staleness(summary.staleness_us));
    row(&mut text, "get", &reads(summary.get_ns, 1.0, summary.reads_per_s));
    row(&mut text, "list", &quantiles(summary.list_us, 1_000.0));
    row(
        &mut text,
        "fifo",
        &format!(
            "{} handed out, {} coalesced, {} waiting ({})",
            quantity(summary.fifo.popped),
            quantity(summary.fifo.coalesced),
            quantity(summary.fifo.depth),
            per_second(summary.items_per_s, "items"),
        ),
    );
    if summary.verified {
        text.push_str("verified: the store equals a fresh list of the server, object by object");
        return text;
    }
    let _ = write!(text, "NOT VERIFIED: {} keys differ", quantity(summary.differing as u64));
    for difference in &summary.differences {
        let _ = write!(text, "\n  {difference}");
    }
    text
}

fn row(text: &mut String, name: &str, what: &str) {
    let _ = writeln!(text, "  {name:<10} {what}");
}

pub(super) fn quantity(count: u64) -> String {
    HumanCount(count).to_string()
}

pub(super) fn per_second(rate: f64, what: &str) -> String {
    match rate {
        rate if rate >= 1e6 => format!("{:.2} M {what}/s", rate / 1e6),
        rate => format!("{} {what}/s", quantity(rate.round() as u64)),
    }
}

pub(super) fn staleness(micros: Option<Quantiles>) -> String {
    match micros {
        Some(q) => {
            let [p50, p99, max] = [q.p50, q.p99, q.max].map(|micros| nanos(micros * 1_000.0));
            format!("p50 {p50}   p99 {p99}   max {max}")
        }
        None => "not measured".to_owned(),
    }
}

fn reads(times: Option<Quantiles>, unit: f64, rate: f64) -> String {
    match times {
        Some(_) => format!("{}   {}", quantiles(times, unit), per_second(rate, "reads")),
        None => quantiles(times, unit),
    }
}

fn quantiles(times: Option<Quantiles>, unit: f64) -> String {
    match times {
        Some(q) => {
            let [p50, p99, p999] = [q.p50, q.p99, q.p999].map(|time| nanos(time * unit));
            format!("p50 {p50}   p99 {p99}   p99.9 {p999}")
        }
        None => "not measured".to_owned(),
    }
}

/// A duration with a unit in which it reads well.
pub(super) fn nanos(nanos: f64) -> String {
    match nanos {
        n if n < 1e3 => format!("{n:.0} ns"),
        n if n < 1e4 => format!("{:.1} µs", n / 1e3),
        n if n < 1e6 => format!("{:.0} µs", n / 1e3),
        n if n < 1e7 => format!("{:.1} ms", n / 1e6),
        n if n < 1e9 => format!("{:.0} ms", n / 1e6),
        n => format!("{:.1} s", n / 1e9),
    }
}

fn clock(seconds: u64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        for (time, text) in [
            (85.0, "85 ns"),
            (1_250.0, "1.2 µs"),
            (45_000.0, "45 µs"),
            (2e6, "2.0 ms"),
            (3e9, "3.0 s"),
        ] {
            assert_eq!(nanos(time), text);
        }
        assert_eq!(clock(3_725), "01:02:05");
    }
}
