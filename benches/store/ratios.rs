//! Criterion's medians as ratios, beside what they must be.

use std::env;
use std::fs;
use std::path::PathBuf;

use crate::contestants::{dashmap, hashbrown_unsync, kube_runtime, watchcache};

const OBJECTS: usize = 100_000;
const OURS: &str = watchcache::NAME;

/// What a figure is divided by, as a group and a contestant.
struct Bar {
    group: &'static str,
    over: (&'static str, &'static str),
    at_most: f64,
}

const fn bar(group: &'static str, over: (&'static str, &'static str), at_most: f64) -> Bar {
    Bar { group, over, at_most }
}

const BARS: [Bar; 11] = [
    bar("get_borrowed", ("get_borrowed", hashbrown_unsync::NAME), 1.3),
    bar("get", ("get", hashbrown_unsync::NAME), 1.5),
    bar("get", ("get", dashmap::NAME), 1.0),
    bar("get_beside_writer", ("get", OURS), 1.5),
    bar("get_beside_writer", ("get_beside_writer", kube_runtime::NAME), 1.0 / 8.0),
    bar("iterate", ("iterate", hashbrown_unsync::NAME), 2.0),
    bar("apply_64", ("apply_64", dashmap::NAME), 2.0),
    bar("apply_64", ("apply_64", kube_runtime::NAME), 1.0 / 5.0),
    bar("apply_1", ("apply_1", dashmap::NAME), 4.0),
    bar("apply_1", ("apply_1", kube_runtime::NAME), 1.0),
    bar("replace_same", ("replace_same", kube_runtime::NAME), 1.0 / 50.0),
];

const SNAPSHOT_NANOSECONDS: f64 = 50.0;

pub fn print() {
    println!("| figure at {OBJECTS} objects | over | ns | ratio | bar | |");
    println!("|---|---|---|---|---|---|");
    for Bar { group, over, at_most } in BARS {
        let (ours, theirs) = (median(group, OURS, OBJECTS), median(over.0, over.1, OBJECTS));
        let over = format!("{} of {}", over.0, over.1);
        match (ours, theirs) {
            (Some(ours), Some(theirs)) => {
                let ratio = ours / theirs;
                let verdict = verdict(ratio <= at_most);
                println!(
                    "| {group} | {over} | {ours:.0} / {theirs:.0} | {ratio:.3} | {at_most:.3} | {verdict} |"
                );
            }
            _ => println!("| {group} | {over} | - | - | {at_most:.3} | not measured |"),
        }
    }
    for objects in [10_000, 100_000, 1_000_000] {
        match median("snapshot", OURS, objects) {
            Some(ns) => println!(
                "| snapshot of {objects} | | {ns:.1} | | {SNAPSHOT_NANOSECONDS} ns | {} |",
                verdict(ns < SNAPSHOT_NANOSECONDS)
            ),
            None => println!(
                "| snapshot of {objects} | | - | | {SNAPSHOT_NANOSECONDS} ns | not measured |"
            ),
        }
    }
}

fn verdict(pass: bool) -> &'static str {
    if pass { "pass" } else { "MISS" }
}

/// Nanoseconds, if it was measured.
fn median(group: &str, contestant: &str, objects: usize) -> Option<f64> {
    let path = criterion_home().join(format!("{group}/{contestant}/{objects}/new/estimates.json"));
    let estimates: serde_json::Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    estimates.pointer("/median/point_estimate")?.as_f64()
}

/// Where criterion writes.
fn criterion_home() -> PathBuf {
    env::var_os("CRITERION_HOME").map_or_else(|| target().join("criterion"), PathBuf::from)
}

/// The target folder of the build that this program is part of.
pub fn target() -> PathBuf {
    let program = env::current_exe().unwrap_or_default();
    // TARGET/release/deps/PROGRAM
    program.ancestors().nth(3).map(PathBuf::from).unwrap_or_default()
}
