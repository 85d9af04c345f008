//! What criterion does not measure: memory, the longest writes and reads of a large store, the longest writes
//! beside readers, and percentiles of reads under write load; as tables and as `store_report.json` in the target
//! folder. `-- --charts FOLDER` draws the percentiles into a folder. `benches/bars` has what all of it comes to.
#![allow(missing_docs, unreachable_pub)]

mod chart;
#[allow(dead_code)]
mod contestants;
mod figures;
mod hot_key;
mod latency;
mod memory;
mod pauses;
mod size;
#[allow(dead_code)]
mod threads;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let test = std::env::args().any(|argument| argument == "--test");
    let objects = if test { 1_000 } else { 100_000 };
    let mut figures = figures::Figures::new(test);
    memory::print(objects, &mut figures);
    println!();
    size::print(objects, &mut figures);
    println!();
    pauses::print(&mut figures);
    println!();
    let millis = if test { 20 } else { 3_000 };
    let latencies = latency::print(objects, std::time::Duration::from_millis(millis));
    if let Some(folder) = std::env::args().skip_while(|argument| argument != "--charts").nth(1) {
        let title = format!(
            "Time of one get beside a writer at full speed, {} thousand objects",
            objects / 1_000
        );
        let path = std::path::Path::new(&folder).join("read-latency.svg");
        match std::fs::write(&path, chart::svg(&title, &latencies)) {
            Ok(()) => println!("\nwritten: {}", path.display()),
            Err(error) => println!("\n{}: {error}", path.display()),
        }
    }
}
