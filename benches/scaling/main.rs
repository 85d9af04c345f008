//! What more threads gain: reads, alone and beside a writer; the queue; the feed. Prints a line of JSON for each
//! figure, of which `benches/scaling/run` makes a file and a chart.
//!
//! `scaling [--threads MOST] [--seconds ALL] [--objects COUNT]`
#![allow(missing_docs, unreachable_pub)]

#[allow(dead_code, reason = "`store` uses the rest")]
#[path = "../store/contestants/mod.rs"]
mod contestants;
mod crew;
mod feed;
mod queue;
#[allow(dead_code, reason = "`fifo` uses the rest")]
#[path = "../fifo/contestants.rs"]
mod queues;
mod reads;
#[allow(dead_code, reason = "`store` uses the rest")]
#[path = "../store/threads.rs"]
mod threads;
#[path = "../feed/workload.rs"]
mod workload;

use std::time::Duration;

use serde_json::json;

// One good allocator for all, so that it is not the allocator that is compared.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is measured, and for how long.
struct Plan {
    objects: usize,
    /// 1, 2, 4, and so on, up to the most.
    threads: Vec<usize>,
    /// For each number of threads of each series.
    each: Duration,
}

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    let test = std::env::args().any(|argument| argument == "--test");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let most = option("--threads").unwrap_or(if test { 2 } else { cores });
    let seconds = option("--seconds").unwrap_or(if test { 1 } else { 400 });
    let objects = option("--objects").unwrap_or(if test { 1_000 } else { 100_000 });

    let doubled = std::iter::successors(Some(1), |threads| Some(2 * threads));
    let threads: Vec<_> = doubled.take_while(|&threads| threads < most).chain([most]).collect();
    let points = threads.len() * (reads::SERIES + queue::SERIES + feed::SERIES);
    let each = Duration::from_secs(seconds as u64).div_f64(points as f64);
    let plan = Plan { objects, threads, each };
    reads::measure(&plan);
    queue::measure(&plan);
    feed::measure(&plan);
}

/// What follows the option, if it is a number.
fn option(name: &str) -> Option<usize> {
    std::env::args().skip_while(|argument| argument != name).nth(1)?.parse().ok()
}

fn report(what: &str, contestant: &str, threads: usize, per_second: f64) {
    println!(
        "{}",
        json!({
            "what": what, "contestant": contestant, "threads": threads, "per_second": per_second.round(),
        })
    );
}
