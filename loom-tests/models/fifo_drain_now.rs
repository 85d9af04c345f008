//! A drain that waits for a lease, and a close that does not.

use std::time::Duration;

use super::Fifo;
use super::model::Item;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let fifo = Fifo::<Item>::new();
        fifo.add(Item("a", 1)).expect("the queue is open");
        let lease = fifo.lease().expect("a is there");
        fifo.add(Item("b", 2)).expect("the queue is open");
        let drain = loom::thread::spawn({
            let fifo = fifo.clone();
            move || fifo.drain(Duration::MAX)
        });
        let unprocessed = fifo.close_now().len();
        let drained = drain.join().expect("no thread panics");
        assert_eq!((unprocessed + drained.unprocessed.len(), drained.leased), (1, 1));
        lease.done();
    });
}
