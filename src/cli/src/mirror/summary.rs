//! The text that is printed at the end.

use crate::report::{KindSummary, Summary};
use crate::target::Scope;
use crate::view::table::{Column, Table};
use crate::view::text::{self, quantiles, quantity, rate};

pub(super) fn text(summary: &Summary, scope: &Scope, width: usize) -> String {
    let mut lines = vec![format!(
        "{}{}: {:.1} s, after {} for the first lists",
        summary.source,
        scope.describe(),
        summary.duration_s,
        text::nanos(summary.first_list_ms * 1e6),
    )];
    let tables = [kinds(summary), latencies(summary)];
    for table in tables.iter().filter(|table| !table.is_empty()) {
        lines.push(String::new());
        lines.extend(table.lines(width).into_iter().map(|line| line.text));
    }
    lines.push(String::new());
    lines.push(text::fit(
        [
            format!("{} reads/s by {}", rate(summary.reads_per_s), threads(summary.readers)),
            format!(
                "{} items/s after the first lists, by {} of each kind",
                rate(summary.items_per_s),
                threads(summary.workers)
            ),
        ],
        width,
    ));
    lines.extend(summary.kinds.iter().filter_map(|kind| empty(kind, scope)));
    lines.extend(summary.kinds.iter().filter_map(trouble));
    lines.push(String::new());
    lines.extend(verdict(summary));
    lines.join("\n")
}

fn threads(count: u16) -> String {
    text::count(count.into(), "thread")
}

fn kinds(summary: &Summary) -> Table {
    let mut table = Table::new(vec![
        Column::names("KIND", 0),
        Column::figures("OBJECTS", 0, 0),
        Column::figures("CHANGES", 0, 0),
        Column::figures("PER SECOND", 1, 0),
        Column::figures("BATCH MEAN/MAX", 4, 0),
        Column::figures("RELISTS", 3, 0),
        Column::figures("COALESCED", 5, 0),
        Column::figures("REVISION", 6, 0),
        Column::figures("RESOURCEVERSION", 7, 0),
    ]);
    for kind in &summary.kinds {
        table.row(vec![
            kind.kind.clone(),
            quantity(kind.objects as u64),
            quantity(kind.events),
            rate(kind.events_per_s),
            format!("{}/{}", kind.batch_size.mean, kind.batch_size.max),
            quantity(kind.relists),
            quantity(kind.fifo.coalesced),
            quantity(kind.revision),
            kind.resource_version.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    if summary.kinds.len() > 1 {
        let mut all = vec![
            "all kinds".to_owned(),
            quantity(summary.objects),
            quantity(summary.events),
            rate(summary.events_per_s),
            String::new(),
            quantity(summary.relists),
        ];
        all.resize(9, String::new());
        table.row(all);
    }
    table
}

fn latencies(summary: &Summary) -> Table {
    let mut table = Table::new(vec![
        Column::words("LATENCY", 0),
        Column::figures("P50", 0, 0),
        Column::figures("P99", 0, 0),
        Column::figures("P99.9", 3, 0),
        Column::figures("MAX", 2, 0),
        Column::words("OVER", 1),
    ]);
    for (what, times, unit, over) in [
        ("staleness", summary.staleness_last_10s_us, 1e3, "last 10 s"),
        ("staleness", summary.staleness_us, 1e3, "whole run"),
        ("get", summary.get_ns, 1.0, "whole run"),
        ("list", summary.list_us, 1e3, "whole run"),
    ] {
        if times.is_some() {
            let [p50, p99, p999, max] = quantiles(times, unit);
            table.row(vec![what.to_owned(), p50, p99, p999, max, over.to_owned()]);
        }
    }
    table
}

fn empty(kind: &KindSummary, scope: &Scope) -> Option<String> {
    (kind.objects == 0).then(|| format!("There are no {}{}.", kind.kind, scope.describe()))
}

fn trouble(kind: &KindSummary) -> Option<String> {
    let skipped = kind.undecodable + kind.unknown_events;
    if kind.failures + skipped == 0 {
        return None;
    }
    let mut what = vec![
        text::count(kind.failures, "failed request"),
        format!("{} skipped", text::count(skipped, "event")),
    ];
    if kind.quarantined > 0 {
        what.push(format!("{} cannot be decoded", text::count(kind.quarantined, "object")));
    }
    let mut what = what.join(", ");
    if let Some(error) = &kind.last_error {
        what.push_str("; the last failure: ");
        what.push_str(error);
    }
    Some(format!("{}: {what}", kind.kind))
}

fn verdict(summary: &Summary) -> Vec<String> {
    if summary.verified {
        let stores = if summary.kinds.len() > 1 { "each store" } else { "the store" };
        return vec![format!(
            "verified: {stores} equals a fresh list of the server, object by object"
        )];
    }
    let mut lines =
        vec![format!("NOT VERIFIED: {} keys differ", quantity(summary.differing as u64))];
    for kind in &summary.kinds {
        let told = kind.differences.iter();
        lines.extend(told.map(|difference| format!("  {} {difference}", kind.kind)));
    }
    lines
}
