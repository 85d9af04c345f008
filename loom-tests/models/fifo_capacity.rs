//! A batch beside a consumer that puts something else in the place of what it got: there is room for it.

use super::Fifo;
use super::model::Item;
use crate::run::{Bound, run};
use crate::Batch;

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let fifo = Fifo::<Item>::builder().capacity(1).build().expect("nothing is zero");
        let mut batch = Batch::new();
        batch.add(Item("a", 1)).expect("the key is a key");
        let consumer = loom::thread::spawn({
            let fifo = fifo.clone();
            move || {
                if fifo.try_pop().is_ok() {
                    assert!(fifo.add(Item("b", 2)).is_ok(), "full, with nothing in it");
                }
            }
        });
        fifo.apply(&batch).expect("the queue is open");
        consumer.join().expect("no thread panics");
    });
}
