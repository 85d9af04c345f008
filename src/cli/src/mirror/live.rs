//! The live view: how the mirror is doing at this moment, on a screen of any width.

use watchcache::reflector::Phase;

use super::latencies;
use crate::report::{BatchSize, KindSample, Sample, is_retrying, waiting_for};
use crate::view::frame::{Frame, Line, and_more, chosen, room_for_kinds};
use crate::view::screen::Size;
use crate::view::table::{Column, Table};
use crate::view::text::{self, quantiles, quantity, rate};

/// Of what is mirrored from a source, in a scope.
pub(super) fn frame(source: &str, scope: &str, sample: &Sample, size: Size) -> Frame {
    let width = size.width;
    let mut frame = Frame::default();
    let synced = !sample.elapsed.is_zero();
    let title = ["watchcache mirror", source, scope.trim_start()];
    frame.section(vec![Line::title(&title, &text::clock(sample.running), width)]);
    let empty = sample.kinds.iter().filter(|kind| synced && !scope.is_empty() && kind.is_empty());
    let empty = empty.map(|kind| Line::plain(format!("There are no {}{scope}.", kind.name)));
    let trouble: Vec<_> = sample.kinds.iter().filter_map(trouble_line).collect();
    let mut said: Vec<_> = trouble.into_iter().chain(empty).collect();
    let told = said.len().min((size.height / 4).max(1));
    let untold = said.len() - told;
    said.truncate(told);
    said.extend(and_more(untold, "more line"));
    // The title, the heading, and the last line.
    let room = room_for_kinds(sample.kinds.len(), said.len() + 3, size.height);
    frame.section(kinds(sample, room, width));
    frame.section(said);
    if synced {
        frame.section(times(sample).lines(width));
        frame.section(reads(sample, width));
    }
    let end = if synced { "Ctrl-C stops and verifies" } else { "Ctrl-C stops" };
    frame.section(vec![Line::heading(end.to_owned())]);
    frame
}

fn kinds(sample: &Sample, room: usize, width: usize) -> Vec<Line> {
    let shown = chosen(&sample.kinds, room, |kind| trouble(kind).is_some());
    let mut lines = table(sample, &shown).lines(width);
    lines.extend(and_more(sample.kinds.len() - shown.len(), "more kind"));
    lines
}

fn table(sample: &Sample, shown: &[&KindSample]) -> Table {
    let mut table = Table::new(vec![
        Column::names("KIND", 0),
        Column::figures("OBJECTS", 0, 9),
        Column::figures("CHANGES/S", 1, 9),
        Column::figures("STALE P99", 3, 9),
        Column::figures("LAG", 6, 6),
        Column::figures("ITEMS/S", 4, 7),
        Column::figures("WAITING", 5, 7),
        Column::figures("COALESCED", 8, 9),
        Column::figures("RELISTS", 7, 7),
        Column::figures("BATCH MEAN/MAX", 9, 14),
        Column::figures("REVISION", 10, 10),
        Column::figures("RESOURCEVERSION", 11, 15),
        Column::words("STATE", 2),
    ]);
    for kind in shown.iter().copied() {
        let progress = &kind.progress;
        let batch = BatchSize::of(progress);
        let [_, stale, ..] = quantiles(kind.stale.last.micros(), 1e3);
        let row = vec![
            kind.name.clone(),
            quantity(kind.objects()),
            rate(kind.rates.changes),
            stale,
            text::lag(kind.lag),
            rate(kind.rates.items),
            quantity(kind.fifo.depth),
            quantity(kind.fifo.coalesced),
            quantity(progress.relists),
            format!("{}/{}", batch.mean, batch.max),
            quantity(kind.revision),
            kind.resource_version.clone().unwrap_or_else(|| "-".to_owned()),
            state(kind),
        ];
        if trouble(kind).is_some() { table.trouble(row) } else { table.row(row) }
    }
    if sample.kinds.len() > 1 {
        let rates = sample.rates();
        let [_, stale, ..] = quantiles(sample.stale().last.micros(), 1e3);
        let lags = sample.kinds.iter().map(|kind| kind.lag);
        table.row(vec![
            "all kinds".to_owned(),
            quantity(sample.sum(KindSample::objects)),
            rate(rates.changes),
            stale,
            text::lag(lags.max().flatten()),
            rate(rates.items),
            quantity(sample.sum(|kind| kind.fifo.depth)),
            quantity(sample.sum(|kind| kind.fifo.coalesced)),
            quantity(sample.sum(|kind| kind.progress.relists)),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
        ]);
    }
    if !sample.measures_staleness {
        table.leave_out_column("STALE P99");
    }
    table
}

pub(super) fn state(kind: &KindSample) -> String {
    let progress = &kind.progress;
    match (progress.phase, progress.total) {
        _ if is_retrying(progress) => "retrying".to_owned(),
        (Phase::Listing, Some(total)) if total > 0 => {
            format!("listing {} %", 100 * progress.listed.min(total) / total)
        }
        (Phase::Listing, _) => "listing".to_owned(),
        _ if kind.is_empty() => "empty".to_owned(),
        _ => "watching".to_owned(),
    }
}

/// What is wrong with a kind, if anything is.
pub(super) fn trouble(kind: &KindSample) -> Option<String> {
    let progress = &kind.progress;
    if is_retrying(progress) {
        return Some(format!("trying again: {}", waiting_for(progress)));
    }
    let bad = progress.quarantined;
    (bad > 0).then(|| format!("{} cannot be decoded", text::count(bad, "object")))
}

fn trouble_line(kind: &KindSample) -> Option<Line> {
    Some(Line::trouble(format!("{}: {}", kind.name, trouble(kind)?)))
}

/// What is measured in this run.
fn times(sample: &Sample) -> Table {
    let (stale, reads) = (sample.stale(), &sample.reads);
    latencies::table(
        sample.measures_staleness.then(|| [stale.last.micros(), stale.whole.micros()]),
        (sample.readers > 0).then_some([reads.get_ns, reads.list_us]),
    )
}

fn reads(sample: &Sample, width: usize) -> Vec<Line> {
    if sample.readers == 0 {
        return Vec::new();
    }
    let kinds = if sample.kinds.len() > 1 { "of all kinds" } else { "" };
    let threads = format!("by {}", text::count(sample.readers as u64, "thread"));
    let parts = [format!("{:>8} reads/s", rate(sample.reads_per_s)), threads, kinds.to_owned()];
    vec![Line::plain(text::fit(parts, width))]
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::view::screen::Size;
    use crate::view::text::width_of;

    const SCOPE: &str = " in the namespace nowhere";

    fn texts(sample: &Sample, width: usize, height: usize) -> Vec<String> {
        let source = "the embedded server at http://127.0.0.1:38441";
        let lines =
            frame(source, SCOPE, sample, Size { width, height }).fitted(Size { width, height });
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn on_a_narrow_screen() {
        assert_eq!(
            texts(&samples::quiet(), 40, 24),
            [
                "watchcache mirror               00:00:13",
                "",
                "KIND    OBJECTS  CHANGES/S  STATE",
                "pods     10,000      1,998  watching",
                "",
                "LATENCY        P50      P99  OVER",
                "staleness   1.0 ms   1.0 ms  last 10 s",
                "staleness   1.0 ms   1.0 ms  whole run",
                "get          85 ns   210 ns  whole run",
                "list         85 µs   210 µs  whole run",
                "",
                "  2.14 M reads/s  by 1 thread",
                "",
                "Ctrl-C stops and verifies",
            ]
        );
    }

    #[test]
    fn on_a_usual_screen() {
        assert_eq!(
            texts(&samples::quiet(), 80, 24)[..8],
            [
                "watchcache mirror  the embedded server at http://127.0.0.1:38441        00:00:13",
                "",
                "KIND    OBJECTS  CHANGES/S  STALE P99     LAG  ITEMS/S  WAITING  STATE",
                "pods     10,000      1,998     1.0 ms       -    1,790        0  watching",
                "",
                "LATENCY        P50      P99    P99.9      MAX  OVER",
                "staleness   1.0 ms   1.0 ms   1.0 ms   1.0 ms  last 10 s",
                "staleness   1.0 ms   1.0 ms   1.0 ms   1.0 ms  whole run",
            ]
        );
    }

    #[test]
    fn what_cannot_be_decoded_is_not_absent_and_what_is_not_measured_has_no_column() {
        let mut sample = samples::quiet();
        sample.measures_staleness = false;
        sample.kinds[0].held = 0;
        assert_eq!(state(&sample.kinds[0]), "empty");
        sample.kinds[0].progress.quarantined = 25;
        assert_eq!(state(&sample.kinds[0]), "watching");
        let all = texts(&sample, 200, 24).join("\n");
        assert!(all.contains("pods: 25 objects cannot be decoded"), "{all}");
        assert!(!all.contains("There are no") && !all.contains("STALE"), "{all}");
    }

    #[test]
    fn kinds_for_which_there_is_no_room_are_counted() {
        let mut sample = samples::quiet();
        let one = sample.kinds[0].clone();
        sample.kinds =
            (0..30).map(|i| KindSample { name: format!("kind-{i}"), ..one.clone() }).collect();
        sample.kinds[29].progress.quarantined = 1;
        let all = texts(&sample, 80, 24);
        assert!(all.iter().any(|line| line.starts_with("kind-29 ")), "{all:#?}");
        assert!(all.iter().any(|line| line.starts_with("all kinds ")), "{all:#?}");
        assert_eq!(
            all.iter().filter(|line| line.starts_with("kind-") && !line.contains(": ")).count(),
            18,
            "{all:#?}"
        );
        assert!(all.contains(&"and 12 more kinds".to_owned()), "{all:#?}");
    }

    #[test]
    fn it_fits_every_screen_and_says_what_is_wrong() {
        for (width, height) in (40..=200).flat_map(|width| [(width, 10), (width, 40)]) {
            let shown = texts(&samples::troubled(), width, height);
            assert!(shown.len() <= height, "{width} x {height}");
            let all = shown.join("\n");
            assert!(all.contains("Ctrl-C stops"), "{width} x {height}:\n{all}");
            if height == 40 {
                assert!(all.contains("things"), "{width} x {height}:\n{all}");
                assert!(all.contains("all kinds"), "{width} x {height}:\n{all}");
                let empty = "There are no nodes in the namespace nowhere.";
                assert!(all.contains(empty), "{width} x {height}:\n{all}");
                assert!(all.contains("trying again: ") || width < 60, "{width}:\n{all}");
            }
            let sentence = |line: &&String| line.contains("trying") || line.contains("There are");
            for line in shown.iter().filter(|line| !sentence(line)) {
                assert!(width_of(line) <= width, "{width} x {height}: {line}");
            }
        }
    }
}
