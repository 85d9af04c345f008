//! The text that is printed at the end.

use super::latencies;
use crate::report::{KindSummary, Summary};
use crate::target::Scope;
use crate::view::table::{Column, Table};
use crate::view::text::{self, quantity, rate};

pub(super) fn text(summary: &Summary, scope: &Scope, width: usize) -> String {
    let mut lines = vec![format!(
        "{}{}: mirrored for {:.1} s; the first lists took {}",
        summary.source,
        scope.describe(),
        summary.duration_s,
        text::nanos(summary.first_list_ms * 1e6),
    )];
    let lines_of = |table: Table| table.lines(width).into_iter().map(|line| line.text).collect();
    let said = [text::fit(rates(summary), width)].into_iter().filter(|rates| !rates.is_empty());
    let empty = summary.kinds.iter().filter_map(|kind| empty(kind, scope));
    let said = said.chain(empty).chain(summary.kinds.iter().filter_map(trouble));
    let panics = summary.panics - summary.kinds.iter().map(|kind| kind.panics).sum::<u64>();
    let panics = (panics > 0).then(|| text::count(panics, "panicked reader"));
    let said = said.chain(panics).collect();
    let sections: [Vec<String>; 4] =
        [lines_of(kinds(summary)), lines_of(times(summary)), said, verdict(summary)];
    for section in sections.into_iter().filter(|section| !section.is_empty()) {
        lines.push(String::new());
        lines.extend(section);
    }
    lines.join("\n")
}

/// Of what was there to do it.
fn rates(summary: &Summary) -> Vec<String> {
    let mut rates = Vec::new();
    if summary.readers > 0 {
        let threads = threads(summary.readers);
        rates.push(format!("{} reads/s by {threads}", rate(summary.reads_per_s)));
    }
    if summary.workers > 0 {
        let (items, threads) = (rate(summary.items_per_s), threads(summary.workers));
        rates.push(format!("{items} items/s after the first lists, by {threads} of each kind"));
    }
    rates
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
        let coalesced = summary.kinds.iter().map(|kind| kind.fifo.coalesced).sum();
        let mut all = vec![
            "all kinds".to_owned(),
            quantity(summary.objects),
            quantity(summary.events),
            rate(summary.events_per_s),
            String::new(),
            quantity(summary.relists),
            quantity(coalesced),
        ];
        all.resize(9, String::new());
        table.row(all);
    }
    table
}

fn times(summary: &Summary) -> Table {
    let (last, whole) = (summary.staleness_last_10s_us, summary.staleness_us);
    latencies::table(
        whole.is_some().then_some([last, whole]),
        summary.get_ns.is_some().then_some([summary.get_ns, summary.list_us]),
    )
}

fn empty(kind: &KindSummary, scope: &Scope) -> Option<String> {
    (kind.objects == 0 && kind.quarantined == 0)
        .then(|| format!("There are no {}{}.", kind.kind, scope.describe()))
}

fn trouble(kind: &KindSummary) -> Option<String> {
    // Those that still cannot be decoded are told as such.
    let skipped = kind.undecodable.saturating_sub(kind.quarantined) + kind.unknown_events;
    let parts = [
        (kind.failures, text::count(kind.failures, "failed request")),
        (kind.panics, text::count(kind.panics, "panicked worker")),
        (skipped, format!("{} skipped", text::count(skipped, "event"))),
        (
            kind.quarantined,
            format!("{} cannot be decoded", text::count(kind.quarantined, "object")),
        ),
    ];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let what: Vec<_> = parts.map(|(_, what)| what).collect();
    if what.is_empty() {
        return None;
    }
    let mut what = what.join(", ");
    if let Some(error) = &kind.last_error {
        what.push_str("; the last failure: ");
        what.push_str(error);
    }
    // Of any length, but without what could move a cursor.
    Some(text::cut(&format!("{}: {what}", kind.kind), usize::MAX))
}

fn verdict(summary: &Summary) -> Vec<String> {
    if summary.verified {
        let stores = if summary.kinds.len() > 1 { "each store" } else { "the store" };
        return vec![format!(
            "verified: {stores} equals a fresh list of the server, object by object"
        )];
    }
    let mut lines = Vec::new();
    match summary.differing as u64 {
        0 => {}
        1 => lines.push("NOT VERIFIED: 1 key differs".to_owned()),
        differing => lines.push(format!("NOT VERIFIED: {} keys differ", quantity(differing))),
    }
    for kind in &summary.kinds {
        let told = kind.differences.iter();
        lines.extend(told.map(|difference| format!("  {} {difference}", kind.kind)));
    }
    let not_compared =
        summary.kinds.iter().filter_map(|kind| Some((kind, kind.not_compared.as_ref()?)));
    lines.extend(not_compared.map(|(kind, why)| format!("NOT VERIFIED: {}: {why}", kind.kind)));
    if lines.is_empty() {
        let left_out = text::count(summary.left_out as u64, "object");
        lines.push(format!("verified, but for {left_out} that cannot be decoded"));
    }
    lines.iter().map(|line| text::cut(line, usize::MAX)).collect()
}
