//! The Fifo as a work queue and as a plain queue.

use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use watchcache::Fifo;

use crate::item::{Item, item};
use crate::{Bench, Case, per_second};

/// How many keys wait at once.
const QUEUED: usize = 1_000;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("queue".to_owned(), Box::new(rounds)),
        ("queue".to_owned(), Box::new(hand_over)),
        ("queue".to_owned(), Box::new(pops)),
    ]
}

fn items() -> Vec<Arc<Item>> {
    (0..QUEUED).map(|i| Arc::new(item(i, Some(1)))).collect()
}

fn add(fifo: &Fifo<Item>, object: &Arc<Item>) {
    fifo.add(Arc::clone(object)).expect("the queue is open and keys are valid");
}

fn rounds(bench: &Bench) {
    let (fifo, items) = (Fifo::<Item>::new(), items());
    bench.per_operation("queue: add, take, done", || {
        for object in &items {
            add(&fifo, object);
        }
        for _ in &items {
            fifo.lease().expect("the queue is open").done();
        }
        items.len()
    });
}

/// One thread adds and one takes; every key is added anew when it is done.
fn hand_over(bench: &Bench) {
    let (fifo, items) = (Fifo::<Item>::new(), items());
    let started = Instant::now();
    let count = thread::scope(|scope| {
        let consumer = scope.spawn(|| {
            let mut count = 0;
            while let Ok(lease) = fifo.lease() {
                count += 1;
                lease.done();
            }
            count
        });
        while started.elapsed() < bench.duration {
            for object in &items {
                add(&fifo, object);
            }
        }
        fifo.close();
        consumer.join().expect("the consumer does not panic")
    });
    per_second("queue: taken, one adds, one takes", count, started.elapsed());
}

fn pops(bench: &Bench) {
    let (fifo, items) = (Fifo::<Item>::new(), items());
    bench.per_operation("queue: add, pop", || {
        for object in &items {
            add(&fifo, object);
        }
        for _ in &items {
            black_box(fifo.pop().expect("the queue is open"));
        }
        items.len()
    });
}
