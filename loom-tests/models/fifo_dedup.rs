//! An add, a pop and a delete of one key at once: each value ends once, and the counts agree.

use super::Fifo;
use super::model::Item;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 3 }, || {
        let fifo = Fifo::<Item>::new();
        fifo.add(Item("a", 1)).expect("the queue is open");
        let popper = loom::thread::spawn({
            let fifo = fifo.clone();
            move || fifo.try_pop().ok().map(|item| item.1)
        });
        let deleter = loom::thread::spawn({
            let fifo = fifo.clone();
            move || fifo.delete("a").map(|item| item.1)
        });
        fifo.add(Item("a", 2)).expect("the queue is open");
        assert!(fifo.keys().len() <= 1, "a key was in line twice");
        let mut ends = vec![
            popper.join().expect("no thread panics"),
            deleter.join().expect("no thread panics"),
            fifo.try_pop().ok().map(|item| item.1),
        ];
        assert!(fifo.try_pop().is_err(), "a ticket too many");
        ends.retain(Option::is_some);
        let stats = fifo.stats();
        assert!(ends.contains(&Some(2)), "the newest value is lost");
        assert_eq!(ends.len() as u64, 2 - stats.coalesced, "a value ended twice, or never");
        assert_eq!((stats.depth, stats.popped + stats.deleted), (0, ends.len() as u64));
    });
}
