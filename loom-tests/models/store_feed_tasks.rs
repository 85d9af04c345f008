//! A task beside news that comes twice, each of which the waking thread is to pass on: that ends as soon as it has
//! nothing to do. Before the task another one is woken, and never polled again.

use std::sync::Arc;
use std::task::{Context, Waker};

use crate::run::{Bound, run};
use crate::sync::Parker;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::waiters::{Wait, Waiters};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let published = Arc::new(AtomicUsize::new(0));
        let waiters = Arc::new(Waiters::for_frequent_news());
        let mut never_polled = Wait::new();
        let mut context = Context::from_waker(Waker::noop());
        assert!(never_polled.poll_news(&mut context, &waiters, 0, || false).is_pending());
        let main = Parker::current();
        let task = {
            let (published, waiters) = (Arc::clone(&published), Arc::clone(&waiters));
            let main = main.clone();
            loom::thread::spawn(move || {
                for round in 1..=2 {
                    let ready = || published.load(Ordering::Acquire) >= round;
                    // What it hears may be the last round's news still.
                    while !ready() {
                        let mut wait = Wait::new();
                        loom::future::block_on(std::future::poll_fn(|context| {
                            wait.poll_news(context, &waiters, 0, ready)
                        }));
                    }
                    main.unpark();
                }
            })
        };
        for round in 1..=2 {
            published.store(round, Ordering::Release);
            drop(waiters.tell(u64::MAX));
            main.park();
        }
        task.join().expect("it does not panic");
        crate::sync::join_spawned();
    });
}
