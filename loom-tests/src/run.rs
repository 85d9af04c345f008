//! Exploring a model.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How far a model is explored.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Preemptive switches of threads in one execution.
    pub preemptions: usize,
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
        model();
    });
}

/// Executions explored so far.
pub fn executions() -> usize {
    EXECUTIONS.load(Ordering::Relaxed)
}
