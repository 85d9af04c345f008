//! A sweep beside a consumer that parks: it does not sleep while tickets are on their way.

use super::Fifo;
use super::model::Item;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let fifo = Fifo::<Item>::new();
        fifo.add(Item("a", 1)).expect("the queue is open");
        fifo.add(Item("b", 2)).expect("the queue is open");
        let consumer = loom::thread::spawn({
            let fifo = fifo.clone();
            move || fifo.pop().map(|item| item.1)
        });
        // Leaves a stale ticket, which is one too many.
        let deleted = fifo.delete("a").is_some();
        let popped = consumer.join().expect("no thread panics").expect("the queue is open");
        assert_eq!(popped, if deleted { 2 } else { 1 });
    });
}
