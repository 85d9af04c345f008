//! The reflector against a server that does everything wrong, in virtual time.
//!
//! Each seed is one history of changes and faults, and always the same one. A failure prints its
//! seed; `SIMULATION_SEED=<seed>` runs that one alone, and `SIMULATION_SEEDS=<n>` that many, from 0 or
//! from `SIMULATION_FROM=<seed>`.
#![allow(clippy::unwrap_used, missing_docs)]

mod check;
#[path = "../common/mod.rs"]
mod common;
mod mirror;
mod plan;
mod run;
mod server;
mod source;
mod tally;
mod watch;
mod world;

use std::sync::Mutex;

use tally::Tally;

/// How many seeds a plain test run takes.
const SEEDS: u64 = 500;

#[test]
fn whatever_goes_wrong_the_store_equals_the_server() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let seeds = match number("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let from = number("SIMULATION_FROM").unwrap_or(0);
            from..from + number("SIMULATION_SEEDS").unwrap_or(SEEDS)
        }
    };
    let total = seeds.end - seeds.start;
    let left = Mutex::new(seeds);
    let work = || {
        let mut sum = Tally::default();
        loop {
            // In a statement of its own: the lock is not held while the seed runs.
            let seed = left.lock().unwrap().next();
            let Some(seed) = seed else { return sum };
            sum.add(&run(seed));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut sum = Tally::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            sum.add(&worker.join().expect("the seed that failed is printed above"));
        }
    });
    println!("{total} seeds: {sum:?}");
    if total >= 500 {
        sum.assert_mixed();
    }
}

fn run(seed: u64) -> Tally {
    let _named = NameOnPanic(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(run::simulate(seed))
}

struct NameOnPanic(u64);

impl Drop for NameOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay with SIMULATION_SEED={}", self.0);
        }
    }
}
