//! A clock that is moved beside an add: a key that is due by then does not wait for the next move.

use std::time::Duration;

use super::{Fifo, ManualClock};
use super::model::Item;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let clock = ManualClock::new();
        let fifo = Fifo::<Item>::builder().clock(&clock).build().expect("nothing is zero");
        let second = Duration::from_secs(1);
        let producer = loom::thread::spawn({
            let fifo = fifo.clone();
            move || _ = fifo.add_after(Item("a", 1), second).expect("the queue is open")
        });
        clock.advance(second);
        producer.join().expect("no thread panics");
        assert!(fifo.shared.due().is_none(), "due, and not in line");
    });
}
