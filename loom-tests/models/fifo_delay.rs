//! A consumer that parks beside a key that comes due.

use std::time::Duration;

use super::{Fifo, ManualClock};
use super::model::Item;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let clock = ManualClock::new();
        let fifo = Fifo::<Item>::builder().clock(&clock).build().expect("nothing is zero");
        let second = Duration::from_secs(1);
        fifo.add_after(Item("a", 1), second).expect("the queue is open");
        let consumer = loom::thread::spawn({
            let fifo = fifo.clone();
            move || fifo.pop().map(|item| item.1)
        });
        clock.advance(second);
        assert_eq!(consumer.join().expect("no thread panics"), Ok(1));
    });
}
