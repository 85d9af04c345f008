//! One case, run under callgrind by `.ci/instructions`, which counts what happens within [`measured`].
//!
//! `watchcache-instructions CASE OBJECTS` prints for how many keys it ran; without a case, which there are.
#![allow(missing_docs)]

mod object;
mod queue;
mod store;
mod watch;

use std::process::ExitCode;

type Case = fn(usize) -> usize;

const CASES: [(&str, Case); 23] = [
    ("get", store::get),
    ("get_cluster_scoped", store::get_cluster_scoped),
    ("get_borrowed", store::get_borrowed),
    ("get_borrowed_cluster_scoped", store::get_borrowed_cluster_scoped),
    ("get_many_64", store::get_many_64),
    ("get_absent_churned", store::get_absent_churned),
    ("add", store::add),
    ("apply_1", store::apply::<1>),
    ("apply_64", store::apply::<64>),
    ("apply_1024", store::apply::<1024>),
    ("apply_64_indexed_same", store::apply_64_indexed_same),
    ("apply_64_indexed_moved", store::apply_64_indexed_moved),
    ("diff_10_of_100000", store::diff_10_of_100000),
    ("replace_same", store::replace_same),
    ("churn", store::churn),
    ("fifo_add_new", queue::add_new),
    ("fifo_add_new_of_parts", queue::add_new_of_parts),
    ("fifo_add_queued", queue::add_queued),
    ("fifo_add_batch_64", queue::add_batch_64),
    ("fifo_add_batch_64_of_parts", queue::add_batch_64_of_parts),
    ("fifo_pop", queue::pop),
    ("fifo_lease_done", queue::lease_done),
    ("watch_lazy", watch::watch_lazy),
];

/// Callgrind counts from where this is entered to where it is left.
#[inline(never)]
fn measured(run: impl FnOnce()) {
    run();
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let case = arguments.next();
    let Some(case) = case else {
        CASES.iter().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    let run = CASES.iter().find_map(|(name, run)| (*name == case).then_some(run));
    match (run, arguments.next().map(|text| text.parse())) {
        (Some(run), Some(Ok(objects))) => {
            println!("{}", run(objects));
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("usage: watchcache-instructions [CASE OBJECTS]");
            ExitCode::FAILURE
        }
    }
}
