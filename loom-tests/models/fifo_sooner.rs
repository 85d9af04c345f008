//! An add that brings a delayed key forward, beside a consumer that parks.

use std::time::Duration;

use super::model::Item;
use super::{Fifo, ManualClock};
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let builder = Fifo::<Item>::builder().clock(&ManualClock::new());
        let fifo = builder.build().expect("nothing is zero");
        fifo.add_after(Item("a", 1), Duration::from_secs(1)).expect("the queue is open");
        let consumer = loom::thread::spawn({
            let fifo = fifo.clone();
            move || fifo.pop().map(|item| item.1)
        });
        fifo.add(Item("a", 2)).expect("the queue is open");
        assert_eq!(consumer.join().expect("no thread panics"), Ok(2));
    });
}
