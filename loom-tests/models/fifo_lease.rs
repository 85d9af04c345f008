//! Two workers and a change of the only key: never in two hands, and the newest value is run.

use std::sync::Arc;

use super::Fifo;
use super::model::Item;
use crate::run::{Bound, run};

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let fifo = Fifo::<Item>::new();
        // Not of loom: they watch, and take no part.
        let held = Arc::new(AtomicBool::new(false));
        let newest = Arc::new(AtomicU32::new(0));
        fifo.add(Item("a", 1)).expect("the queue is open");
        let work = |fifo: Fifo<Item>, held: Arc<AtomicBool>, newest: Arc<AtomicU32>| {
            while let Ok(lease) = fifo.try_lease() {
                assert!(!held.swap(true, Ordering::SeqCst), "a key in two hands");
                loom::thread::yield_now();
                let before = newest.swap(lease.1, Ordering::SeqCst);
                assert!(before < lease.1, "an older value after a newer one, or one twice");
                held.store(false, Ordering::SeqCst);
                lease.done();
            }
        };
        let workers = [(); 2].map(|()| {
            let (fifo, held, newest) = (fifo.clone(), Arc::clone(&held), Arc::clone(&newest));
            loom::thread::spawn(move || work(fifo, held, newest))
        });
        fifo.add(Item("a", 2)).expect("the queue is open");
        workers.map(|worker| worker.join().expect("the worker's assertions hold"));
        work(fifo.clone(), held, Arc::clone(&newest));
        assert_eq!(newest.load(Ordering::SeqCst), 2, "the change was not run");
        assert_eq!(fifo.stats().depth, 0);
    });
}
