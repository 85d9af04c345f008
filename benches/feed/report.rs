//! What criterion cannot say of the change feed: several threads, memory, and percentiles; as a table, and
//! as `feed_report.json` in the target folder.
//!
//! `cargo bench --package watchcache-benches --bench feed_report`, with `-- writer tax` only these parts.
#![allow(missing_docs, unreachable_pub)]

#[allow(dead_code, reason = "`feed` uses the rest")]
mod contestants;
mod memory;
mod readings;
mod tax;
mod unfollowed;
mod waiters;
mod workload;
mod writer;

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use self::readings::Readings;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

type Part = (&'static str, fn(&mut Readings));

const PARTS: [Part; 5] = [
    ("writer", writer::measure),
    ("tax", tax::measure),
    ("memory", memory::measure),
    ("waiters", waiters::measure),
    ("unfollowed", unfollowed::measure),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_named = |name: &str| arguments.iter().any(|argument| argument == name);
    let all = !PARTS.iter().any(|(name, _)| is_named(name));
    // `cargo test --benches` only wants to know that it runs.
    let mut readings = Readings::new(is_named("--test"));
    for (name, measure) in PARTS {
        if all || is_named(name) {
            measure(&mut readings);
        }
    }
    readings.write();
}
