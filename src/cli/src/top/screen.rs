//! The report as tables: on a screen, or printed once.

use std::time::Duration;

use super::report::{HotKey, KindReport, NamespaceReport, Report};
use crate::view::frame::{Frame, Line, and_more, chosen, room_for_kinds};
use crate::view::screen::Size;
use crate::view::table::{Column, Table};
use crate::view::text::{self, quantity, rate};

/// For a screen of this size: as many namespaces and keys as there is room for.
pub(super) fn frame(report: &Report, size: Size) -> Frame {
    let width = size.width;
    let mut frame = Frame::default();
    let running = Duration::from_secs_f64(report.running_s);
    let title = ["watchcache top", &*report.source, report.scope.trim_start()];
    frame.section(vec![Line::title(&title, &text::clock(running), width)]);
    let mut trouble = trouble(report, 3);
    trouble.extend(empty(report).take(3));
    // The title, the heading, and the last line.
    let kinds =
        kinds(report, room_for_kinds(report.kinds.len(), trouble.len() + 3, size.height), width);
    // These, and two headings, what is left out or is to be known of them, and the lines between.
    let taken = kinds.len() + trouble.len() + 10;
    frame.section(kinds);
    frame.section(trouble);
    let room = size.height.saturating_sub(taken);
    let (namespaces, keys) = shares(room, report.namespaces.len(), report.hottest.len());
    frame.section(namespace_lines(report, namespaces, width));
    frame.section(key_lines(report, keys, width));
    frame.section(vec![Line::heading("Ctrl-C stops".to_owned())]);
    frame
}

/// As it is printed once.
pub(super) fn text(report: &Report, width: usize) -> String {
    let over = format!("watched for {:.1} s", report.watched_s);
    let title =
        text::fit([report.source.clone(), report.scope.trim_start().to_owned(), over], width);
    let mut sections = vec![vec![Line::plain(title)], kinds(report, usize::MAX, width)];
    sections.push(retries(report).map(Line::trouble).chain(empty(report)).collect());
    sections.push(namespace_lines(report, usize::MAX, width));
    sections.push(key_lines(report, usize::MAX, width));
    sections.push(quarantine_lines(report, width));
    let texts = sections.into_iter().filter(|section| !section.is_empty()).map(|section| {
        let lines: Vec<_> = section.into_iter().map(|line| line.text).collect();
        lines.join("\n")
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

/// What of a room two lists get: half of it each, and what the other does not need.
fn shares(room: usize, first: usize, second: usize) -> (usize, usize) {
    let half = room / 2;
    let first = first.min(half.max(room.saturating_sub(second)));
    (first, second.min(room - first.min(room)))
}

/// A kind's name without its group, unless another kind has the same.
fn short<'a>(report: &Report, kind: &'a str) -> &'a str {
    let plural = |kind: &'a str| kind.split('.').next().unwrap_or(kind);
    let same =
        report.kinds.iter().filter(|other| other.kind.split('.').next() == Some(plural(kind)));
    if same.count() > 1 { kind } else { plural(kind) }
}

fn kinds(report: &Report, room: usize, width: usize) -> Vec<Line> {
    let shown = chosen(&report.kinds, room, is_troubled);
    let mut lines = table(report, &shown).lines(width);
    lines.extend(and_more(report.kinds.len() - shown.len(), "more kind"));
    lines
}

fn is_troubled(kind: &KindReport) -> bool {
    kind.trouble.is_some() || kind.quarantined > 0
}

fn table(report: &Report, shown: &[&KindReport]) -> Table {
    // Of what needs a look at once.
    let quarantined = if quarantined(report) > 0 { 1 } else { 7 };
    let mut table = Table::new(vec![
        Column::names("KIND", 0),
        Column::figures("OBJECTS", 0, 9),
        Column::figures("CHANGES/S", 2, 9),
        Column::figures("CHANGES", 6, 9),
        Column::figures("LAG", 4, 6),
        Column::figures("QUARANTINED", quarantined, 11),
        Column::figures("MEMORY", 1, 8),
        Column::figures("RETAINED", 5, 8),
        Column::figures("RELISTS", 8, 7),
        Column::words("STATE", 3),
    ]);
    let row = |kind: &KindReport| {
        vec![
            kind.kind.clone(),
            quantity(kind.objects),
            rate(kind.changes_per_s),
            quantity(kind.changes),
            text::lag(kind.lag_s.map(Duration::from_secs_f64)),
            quantity(kind.quarantined),
            text::bytes(kind.memory.in_use()),
            text::bytes(kind.memory.retained),
            quantity(kind.relists),
            kind.state.to_owned(),
        ]
    };
    for kind in shown.iter().copied() {
        if is_troubled(kind) { table.trouble(row(kind)) } else { table.row(row(kind)) }
    }
    if report.kinds.len() > 1 {
        let sum = |figure: fn(&KindReport) -> u64| report.kinds.iter().map(figure).sum::<u64>();
        let lags = report.kinds.iter().filter_map(|kind| kind.lag_s);
        table.row(vec![
            "all kinds".to_owned(),
            quantity(sum(|kind| kind.objects)),
            rate(report.kinds.iter().map(|kind| kind.changes_per_s).sum()),
            quantity(sum(|kind| kind.changes)),
            text::lag(lags.reduce(f64::max).map(Duration::from_secs_f64)),
            quantity(sum(|kind| kind.quarantined)),
            text::bytes(sum(|kind| kind.memory.in_use())),
            text::bytes(sum(|kind| kind.memory.retained)),
            quantity(sum(|kind| kind.relists)),
            String::new(),
        ]);
    }
    table
}

/// Of all kinds.
fn quarantined(report: &Report) -> u64 {
    report.kinds.iter().map(|kind| kind.quarantined).sum()
}

/// What is tried again, or is not any more.
fn retries(report: &Report) -> impl Iterator<Item = String> {
    report.kinds.iter().filter_map(|kind| {
        let (name, why) = (&kind.kind, kind.trouble.as_ref()?);
        let again = if kind.state == "retrying" { "trying again: " } else { "" };
        Some(format!("{name}: {again}{why}"))
    })
}

/// What was asked for and is not there.
fn empty(report: &Report) -> impl Iterator<Item = Line> {
    let none = |kind: &&KindReport| {
        kind.state == "empty" && report.watched_s > 0.0 && !report.scope.is_empty()
    };
    let empty = report.kinds.iter().filter(none);
    empty.map(|kind| Line::plain(format!("There are no {}{}.", kind.kind, report.scope)))
}

/// What is wrong, in so many lines at most.
fn trouble(report: &Report, limit: usize) -> Vec<Line> {
    let bad = report
        .quarantined
        .iter()
        .map(|bad| format!("{} {}: {}", short(report, &bad.kind), bad.key, bad.error));
    let mut lines: Vec<_> = retries(report).map(Line::trouble).collect();
    let retries = lines.len().min(limit);
    let retries_left_out = lines.len() - retries;
    lines.truncate(retries);
    lines.extend(and_more(retries_left_out, "more kind"));
    let bad: Vec<_> = bad.take(limit - retries).map(Line::trouble).collect();
    let bad_left_out = (quarantined(report) as usize).saturating_sub(bad.len());
    lines.extend(bad);
    lines.extend(and_more(bad_left_out, "more object"));
    lines
}

fn namespace_lines(report: &Report, limit: usize, width: usize) -> Vec<Line> {
    if report.namespace.is_some() || report.namespaces.is_empty() || limit == 0 {
        return Vec::new();
    }
    let mut columns = vec![Column::figures("OBJECTS", 0, 9)];
    // Of one kind, all are its.
    let kinds: Vec<_> = match report.kinds.len() {
        1 => Vec::new(),
        _ => report.kinds.iter().map(|kind| &*kind.kind).collect(),
    };
    for (rank, kind) in (1..).zip(&kinds) {
        columns.push(Column::figures(short(report, kind), rank, 6));
    }
    columns.push(Column::names("NAMESPACE", 0));
    let mut table = Table::new(columns);
    let shown: Vec<&NamespaceReport> = report.namespaces.iter().take(limit).collect();
    for namespace in &shown {
        let of = |kind: &&str| quantity(namespace.by_kind.get(*kind).copied().unwrap_or(0));
        let mut cells = vec![quantity(namespace.objects)];
        cells.extend(kinds.iter().map(of));
        cells.push(namespace.namespace.clone().unwrap_or_else(|| "in no namespace".to_owned()));
        table.row(cells);
    }
    let mut lines = table.lines(width);
    let named = shown.iter().filter(|namespace| namespace.namespace.is_some()).count();
    lines.extend(and_more(report.namespaces_in_all - named, "more namespace"));
    lines
}

fn key_lines(report: &Report, limit: usize, width: usize) -> Vec<Line> {
    if report.hottest.is_empty() || limit == 0 {
        return Vec::new();
    }
    let kinds = report.kinds.iter().map(|kind| text::width_of(short(report, &kind.kind)));
    let longest = kinds.max().unwrap_or(0);
    let mut table = Table::new(vec![
        Column::figures("CHANGES", 0, 9),
        Column::figures("PER SECOND", 2, 10),
        Column::names("KIND", 1).at_least(longest),
        Column::names("HOTTEST KEYS", 0),
    ]);
    let shown = || report.hottest.iter().take(limit);
    for HotKey { kind, key, changes, changes_per_s, .. } in shown() {
        table.row(vec![
            quantity(*changes),
            rate(*changes_per_s),
            short(report, kind).to_owned(),
            key.clone(),
        ]);
    }
    let mut lines = table.lines(width);
    let over = report.hottest_over_s;
    let over = (over + 1.0 < report.watched_s).then(|| format!("in the last {over:.0} s"));
    let more = shown().map(|hot| hot.changes_at_most - hot.changes).max().unwrap_or(0);
    let more = (more > 0).then(|| format!("at least so often, and up to {} more", quantity(more)));
    let known: Vec<_> = over.into_iter().chain(more).collect();
    lines.extend((!known.is_empty()).then(|| Line::heading(known.join("; "))));
    lines
}

fn quarantine_lines(report: &Report, width: usize) -> Vec<Line> {
    if report.quarantined.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(vec![
        Column::names("KIND", 1),
        Column::names("QUARANTINED KEYS", 0),
        Column::words("ERROR", 2),
    ]);
    for bad in &report.quarantined {
        table.trouble(vec![
            short(report, &bad.kind).to_owned(),
            bad.key.clone(),
            bad.error.clone(),
        ]);
    }
    let mut lines = table.lines(width);
    let more = quarantined(report) as usize;
    lines.extend(and_more(more.saturating_sub(report.quarantined.len()), "more object"));
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::report::{Memory, Quarantined};
    use super::*;
    use crate::view::text::width_of;

    fn kind(kind: &str, objects: u64) -> KindReport {
        KindReport {
            kind: kind.to_owned(),
            state: "watching",
            whole: true,
            trouble: None,
            objects,
            changes: 52_001,
            changes_per_s: 812.0,
            relists: 0,
            lag_s: Some(0.1),
            quarantined: 0,
            memory: Memory { objects: 31 << 20, table: 1 << 20, retained: 1_200_000 },
        }
    }

    fn report() -> Report {
        let namespace = |i: u64| NamespaceReport {
            namespace: (i > 0).then(|| format!("team-{i}")),
            objects: 100 - i,
            by_kind: BTreeMap::from([("pods".to_owned(), 90 - i), ("nodes".to_owned(), 10)]),
        };
        let hot = |i: u64| HotKey {
            kind: ["leases.coordination.k8s.io", "pods"][i as usize % 2].to_owned(),
            key: format!("kube-system/kube-controller-manager-{i}"),
            changes: 1_000 / (i + 1),
            changes_at_most: 1_000 / (i + 1),
            changes_per_s: 0.5,
        };
        Report {
            source: "https://cluster.example.com:6443".to_owned(),
            namespace: None,
            scope: String::new(),
            running_s: 66.0,
            watched_s: 65.0,
            hottest_over_s: 65.0,
            kinds: vec![kind("pods", 10_000), kind("leases.coordination.k8s.io", 7)],
            namespaces: (0..10).map(namespace).collect(),
            namespaces_in_all: 44,
            hottest: (0..10).map(hot).collect(),
            quarantined: vec![Quarantined {
                kind: "pods".to_owned(),
                key: "team-1/broken".to_owned(),
                resource_version: None,
                error: "invalid type: integer `7`, expected a string".to_owned(),
            }],
        }
    }

    #[test]
    fn printed_once() {
        let text = text(&report(), 100);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[..5],
            [
                "https://cluster.example.com:6443  watched for 65.0 s",
                "",
                "KIND                          OBJECTS  CHANGES/S    CHANGES     LAG    MEMORY  RETAINED  STATE",
                "pods                           10,000        812     52,001   0.1 s    32 MiB   1.1 MiB  watching",
                "leases.coordination.k8s.io          7        812     52,001   0.1 s    32 MiB   1.1 MiB  watching",
            ]
        );
        assert!(lines.contains(&"  OBJECTS    pods  leases  NAMESPACE"), "{text}");
        assert!(lines.contains(&"      100      90       0  in no namespace"), "{text}");
        assert!(lines.contains(&"and 35 more namespaces"), "{text}");
        assert!(
            lines.contains(&"    1,000        0.50  leases  kube-system/kube-controller-manager-0"),
            "{text}"
        );
        assert!(
            lines.contains(&"pods  team-1/broken     invalid type: integer `7`, expected a string"),
            "{text}"
        );
    }

    #[test]
    fn what_is_left_out_or_not_exact_is_said() {
        let mut report = report();
        report.hottest_over_s = 61.0;
        report.hottest[0].changes_at_most += 7;
        report.kinds[0].quarantined = 25;
        let printed = text(&report, 80);
        for words in [
            "QUARANTINED",
            "and 24 more objects",
            "in the last 61 s; at least so often, and up to 7 more",
        ] {
            assert!(printed.contains(words), "lacks {words:?}: {printed}");
        }
        report.kinds = (0..30).map(|i| kind(&format!("kind-{i}"), i)).collect();
        report.kinds[29].state = "forbidden";
        report.kinds[29].trouble = Some("the server does not allow listing kind-29".to_owned());
        report.quarantined.clear();
        let size = Size { width: 80, height: 24 };
        let shown = frame(&report, size).fitted(size);
        let shown: Vec<_> = shown.iter().map(|line| &*line.text).collect();
        for start in
            ["kind-29 ", "kind-29: the server does not allow", "all kinds ", "and 12 more kinds"]
        {
            assert!(shown.iter().any(|line| line.starts_with(start)), "{start}: {shown:#?}");
        }
    }

    #[test]
    fn it_fits_every_screen() {
        for (width, height) in (40..=200).flat_map(|width| [(width, 10), (width, 24), (width, 60)])
        {
            let lines = frame(&report(), Size { width, height }).fitted(Size { width, height });
            let all: Vec<_> = lines.iter().map(|line| &*line.text).collect();
            let all = all.join("\n");
            assert!(lines.len() <= height, "{width} x {height}:\n{all}");
            assert!(
                all.contains("pods") && all.contains("Ctrl-C stops"),
                "{width} x {height}:\n{all}"
            );
            assert!(all.contains("team-1/broken"), "{width} x {height}:\n{all}");
            assert_eq!(all.contains("HOTTEST KEYS"), height >= 24, "{width} x {height}:\n{all}");
            for line in all.lines().filter(|line| !line.contains("broken")) {
                assert!(width_of(line) <= width, "{width} x {height}: {line}");
            }
        }
    }
}
