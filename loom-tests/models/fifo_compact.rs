//! A sweep beside a consumer: the order of the line stays.

use super::Fifo;
use super::model::Item;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 3 }, || {
        let fifo = Fifo::<Item>::new();
        for key in ["a", "b", "c"] {
            fifo.add(Item(key, 1)).expect("the queue is open");
        }
        let popper = loom::thread::spawn({
            let fifo = fifo.clone();
            move || [(); 2].map(|()| fifo.try_pop().map(|item| item.0))
        });
        // Leaves a stale ticket, which is one too many: what is in the queue goes to the front.
        fifo.delete("a");
        // Leaves another, so the front is gone through.
        fifo.add(Item("d", 1)).expect("the queue is open");
        fifo.delete("d");
        let mut popped = popper.join().expect("no thread panics").to_vec();
        popped.extend(std::iter::from_fn(|| fifo.try_pop().ok()).map(|item| Ok(item.0)));
        popped.retain(|key| key.is_ok_and(|key| !["a", "d"].contains(&key)));
        assert_eq!(popped, [Ok("b"), Ok("c")], "out of order");
    });
}
