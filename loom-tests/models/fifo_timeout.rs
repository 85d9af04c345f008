//! A consumer whose time runs out as it is woken: another one gets the item.

use std::time::Duration;

use super::Fifo;
use super::model::Item;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let fifo = Fifo::<Item>::new();
        let hasty = loom::thread::spawn({
            let fifo = fifo.clone();
            move || fifo.pop_timeout(Duration::ZERO).is_ok()
        });
        let patient = loom::thread::spawn({
            let fifo = fifo.clone();
            move || fifo.pop().map(|item| item.1)
        });
        fifo.add(Item("a", 1)).expect("the queue is open");
        if hasty.join().expect("no consumer panics") {
            fifo.add(Item("a", 2)).expect("the queue is open");
        }
        assert!(patient.join().expect("no consumer panics").is_ok());
    });
}
