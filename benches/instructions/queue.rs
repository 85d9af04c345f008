//! The queue's cases. Each fills a queue and empties it several times, and measures a part of that.

use std::hint::black_box;
use std::sync::Arc;

use watchcache::{Batch, Fifo, Object};

use crate::measured;
use crate::object::{Item, Parts, key};

const ROUNDS: usize = 4;

fn items(objects: usize) -> Vec<Arc<Item>> {
    (0..objects).map(|i| Arc::new(Item::new(key(i), 1))).collect()
}

fn parts(objects: usize) -> Vec<Arc<Parts>> {
    (0..objects).map(|i| Arc::new(Parts::new(i))).collect()
}

fn fill<T: Object>(fifo: &Fifo<T>, objects: &[Arc<T>]) {
    for object in objects {
        fifo.add(Arc::clone(object)).expect("the queue is open");
    }
}

fn empty<T: Object>(fifo: &Fifo<T>) {
    while let Ok(object) = fifo.try_pop() {
        black_box(object);
    }
}

fn rounds<T: Object>(objects: &[Arc<T>], mut round: impl FnMut(&Fifo<T>)) -> usize {
    let fifo = Fifo::new();
    // The first grows its tables.
    fill(&fifo, objects);
    empty(&fifo);
    (0..ROUNDS).for_each(|_| round(&fifo));
    objects.len() * ROUNDS
}

fn new<T: Object>(objects: &[Arc<T>]) -> usize {
    rounds(objects, |fifo| {
        measured(|| fill(fifo, objects));
        empty(fifo);
    })
}

pub(crate) fn add_new(objects: usize) -> usize {
    new(&items(objects))
}

pub(crate) fn add_new_of_parts(objects: usize) -> usize {
    new(&parts(objects))
}

pub(crate) fn add_queued(objects: usize) -> usize {
    let items = items(objects);
    rounds(&items, |fifo| {
        fill(fifo, &items);
        measured(|| fill(fifo, &items));
        empty(fifo);
    })
}

/// Makes the batches, too: where keys are copied, it is in one or in the other.
fn batches<T: Object>(objects: &[Arc<T>]) -> usize {
    let batch = |objects: &[Arc<T>]| {
        let mut batch = Batch::new();
        for object in objects {
            batch.add(Arc::clone(object)).expect("keys are valid");
        }
        batch
    };
    rounds(objects, |fifo| {
        measured(|| {
            for objects in objects.chunks(64) {
                fifo.apply(&batch(objects)).expect("the queue is open");
            }
        });
        empty(fifo);
    })
}

pub(crate) fn add_batch_64(objects: usize) -> usize {
    batches(&items(objects))
}

pub(crate) fn add_batch_64_of_parts(objects: usize) -> usize {
    batches(&parts(objects))
}

pub(crate) fn pop(objects: usize) -> usize {
    let items = items(objects);
    rounds(&items, |fifo| {
        fill(fifo, &items);
        measured(|| empty(fifo));
    })
}

pub(crate) fn lease_done(objects: usize) -> usize {
    let items = items(objects);
    rounds(&items, |fifo| {
        fill(fifo, &items);
        measured(|| {
            while let Ok(lease) = fifo.try_lease() {
                lease.done();
            }
        });
    })
}
