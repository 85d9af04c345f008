//! A writer, and subscribers that look at each change, each in a thread that sleeps while there is none.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use crossbeam_utils::CachePadded;
use watchcache::store::FeedLimits;

use crate::crew::{Worker, together};
use crate::workload::{BATCH, Updates, filled, look};
use crate::{Plan, report};

pub const SERIES: usize = 1;

/// So many batches at most the writer is ahead of the slowest: a quarter of the log, so that nobody is told a
/// difference instead.
const LEAD: u64 = 256;

pub fn measure(plan: &Plan) {
    let mut updates = Updates::new(plan.objects, BATCH);
    for &subscribers in &plan.threads {
        let store = filled(plan.objects, FeedLimits::default());
        let begin = store.revision().get();
        let at: Vec<_> =
            (0..subscribers).map(|_| CachePadded::new(AtomicU64::new(begin))).collect();
        let delivered = thread::scope(|scope| {
            let began = Instant::now();
            let follow = |at| {
                let mut subscription = store.subscribe().start().expect("no snapshot is another's");
                scope.spawn(move || {
                    let mut seen = 0;
                    while let Some(delivery) = subscription.next() {
                        seen += look(&delivery);
                        let at: &AtomicU64 = at;
                        // ORDERING: only how far it is.
                        at.store(delivery.revision().get(), Relaxed);
                    }
                    seen
                })
            };
            let subscribers: Vec<_> = at.iter().map(|at| follow(at)).collect();
            let write: Worker<'_> = Box::new(|| {
                // ORDERING: only how far they are.
                let slowest = at.iter().map(|at| at.load(Relaxed)).min().unwrap_or(u64::MAX);
                if store.revision().get().saturating_sub(slowest) > LEAD {
                    thread::yield_now();
                    return 0;
                }
                store.apply(updates.next_batch());
                BATCH as u64
            });
            together(vec![write], plan.each);
            drop(store);
            let seen = subscribers.into_iter().map(|thread| thread.join().expect("no panic"));
            seen.sum::<usize>() as f64 / began.elapsed().as_secs_f64()
        });
        report("feed: deliveries, by subscribers", "watchcache", subscribers, delivered);
    }
}
