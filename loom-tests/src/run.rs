//! Exploring a model.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How far a model is explored.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Preemptive switches of threads in one execution.
    pub preemptions: usize,
}

/// The twin whose edits are in force in the copy that has those of many. Set once, before its model runs.
static TWIN: OnceLock<&'static str> = OnceLock::new();

/// Puts a twin's edits in force.
pub fn become_twin(name: &'static str) {
    TWIN.set(name).expect("one twin a process");
}

/// Whether the edits of one of these are in force: the copy's sources ask at each edit.
pub fn is_twin(names: &[&str]) -> bool {
    TWIN.get().is_some_and(|twin| names.contains(twin))
}

static EXECUTIONS: AtomicUsize = AtomicUsize::new(0);

/// Explores a model. `WATCHCACHE_LOOM_PREEMPTIONS` takes the place of the model's own bound.
pub fn run(bound: Bound, model: impl Fn() + Send + Sync + 'static) {
    let asked = std::env::var("WATCHCACHE_LOOM_PREEMPTIONS").ok();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound =
        Some(asked.map_or(bound.preemptions, |text| text.parse().expect("a number")));
    builder.max_branches = 100_000;
    builder.check(move || {
        EXECUTIONS.fetch_add(1, Ordering::Relaxed);
        crate::sync::begin();
        model();
    });
}

/// Executions explored so far.
pub fn executions() -> usize {
    EXECUTIONS.load(Ordering::Relaxed)
}
