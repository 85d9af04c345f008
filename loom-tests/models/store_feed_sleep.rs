//! Two threads that sleep, or are about to, beside news: both hear it, though whoever has it wakes only one.

use std::sync::Arc;

use crate::run::{Bound, run};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::waiters::Waiters;

pub fn model() {
    run(Bound { preemptions: 3 }, || {
        let published = Arc::new(AtomicBool::new(false));
        let waiters = Arc::new(Waiters::for_news());
        let sleepers = [(); 2].map(|()| {
            let (published, waiters) = (Arc::clone(&published), Arc::clone(&waiters));
            loom::thread::spawn(move || {
                let is_published = || published.load(Ordering::Acquire);
                assert!(waiters.wait_for_news(0, None, is_published));
                assert!(is_published(), "woken for nothing");
            })
        });
        published.store(true, Ordering::Release);
        drop(waiters.tell(u64::MAX));
        for sleeper in sleepers {
            sleeper.join().expect("the sleeper's assertions hold");
        }
    });
}
