//! The report as tables: on a screen, or printed once.

use std::time::Duration;

use super::report::{HotKey, KindReport, NamespaceReport, Report};
use crate::view::frame::{Frame, Line};
use crate::view::screen::Size;
use crate::view::table::{Column, Table};
use crate::view::text::{self, quantity, rate};

/// For a screen of this size: as many namespaces and keys as there is room for.
pub(super) fn frame(report: &Report, size: Size) -> Frame {
    let width = size.width;
    let mut frame = Frame::default();
    let watched = Duration::from_secs_f64(report.watched_s);
    let title = ["watchcache top", &*report.source, report.scope.trim_start()];
    frame.section(vec![Line::title(&title, &text::clock(watched), width)]);
    frame.section(kinds(report).lines(width));
    let mut trouble = trouble(report, 3);
    trouble.extend(empty(report));
    // The title, the last line, two headings, what is left out, and the lines between.
    let taken = report.kinds.len() + trouble.len() + 11;
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
    let mut sections = vec![vec![Line::plain(title)], kinds(report).lines(width)];
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

fn kinds(report: &Report) -> Table {
    let mut table = Table::new(vec![
        Column::names("KIND", 0),
        Column::figures("OBJECTS", 0, 9),
        Column::figures("CHANGES/S", 2, 9),
        Column::figures("CHANGES", 6, 9),
        Column::figures("LAG", 4, 6),
        Column::figures("QUARANTINED", 7, 11),
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
    for kind in &report.kinds {
        let troubled = kind.trouble.is_some() || kind.quarantined > 0;
        if troubled { table.trouble(row(kind)) } else { table.row(row(kind)) }
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

/// What is tried again.
fn retries(report: &Report) -> impl Iterator<Item = String> {
    report
        .kinds
        .iter()
        .filter_map(|kind| Some(format!("{}: trying again: {}", kind.kind, kind.trouble.as_ref()?)))
}

/// What was asked for and is not there.
fn empty(report: &Report) -> impl Iterator<Item = Line> {
    let none = |kind: &&KindReport| {
        kind.objects == 0 && report.watched_s > 0.0 && !report.scope.is_empty()
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
    retries(report).chain(bad).take(limit).map(Line::trouble).collect()
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
        cells.push(namespace.namespace.clone().unwrap_or_else(|| "(none)".to_owned()));
        table.row(cells);
    }
    let mut lines = table.lines(width);
    let more = report.namespaces_in_all - shown.len();
    if more > 0 {
        lines.push(Line::heading(format!("and {}", text::count(more as u64, "more namespace"))));
    }
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
    for HotKey { kind, key, changes, changes_per_s } in report.hottest.iter().take(limit) {
        table.row(vec![
            quantity(*changes),
            rate(*changes_per_s),
            short(report, kind).to_owned(),
            key.clone(),
        ]);
    }
    table.lines(width)
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
    table.lines(width)
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
            changes_per_s: 0.5,
        };
        Report {
            source: "https://cluster.example.com:6443".to_owned(),
            namespace: None,
            scope: String::new(),
            watched_s: 65.0,
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
        assert!(lines.contains(&"      100      90       0  (none)"), "{text}");
        assert!(lines.contains(&"and 34 more namespaces"), "{text}");
        assert!(
            lines.contains(&"    1,000         0.5  leases  kube-system/kube-controller-manager-0"),
            "{text}"
        );
        assert!(
            lines.contains(&"pods  team-1/broken     invalid type: integer `7`, expected a string"),
            "{text}"
        );
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
