//! The end of a lease that brings a delayed key forward, beside a close: the key is handed out before
//! the queue ends, and then it ends.

use std::time::Duration;

use super::{Backoff, Fifo, ManualClock};
use super::model::Item;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let (clock, second) = (ManualClock::new(), Duration::from_secs(1));
        let builder = Fifo::<Item>::builder().clock(&clock).backoff(Backoff::new(second, second));
        let fifo = builder.build().expect("nothing is zero");
        fifo.add(Item("a", 1)).expect("the queue is open");
        let lease = fifo.try_lease().expect("one is there");
        fifo.add_after(Item("a", 2), second * 60).expect("the queue is open");
        let worker = loom::thread::spawn(move || lease.retry());
        let consumer = loom::thread::spawn({
            let fifo = fifo.clone();
            move || std::iter::from_fn(|| fifo.pop().ok()).map(|item| item.1).sum::<u32>()
        });
        fifo.close();
        worker.join().expect("no thread panics");
        let left = fifo.try_pop().map_or(0, |item| item.1);
        let taken = consumer.join().expect("no thread panics");
        assert_eq!(taken + left, 2, "accepted and lost");
    });
}
