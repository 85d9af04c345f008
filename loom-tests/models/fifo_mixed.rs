//! Two pushes for a thread and a task, one each: neither sleeps beside an item.

use super::Fifo;
use super::model::Item;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let fifo = Fifo::<Item>::new();
        let thread = loom::thread::spawn({
            let fifo = fifo.clone();
            move || fifo.pop().map(|item| item.1)
        });
        let task = loom::thread::spawn({
            let fifo = fifo.clone();
            move || loom::future::block_on(async { fifo.pop_async().await.map(|item| item.1) })
        });
        fifo.add(Item("a", 1)).expect("the queue is open");
        fifo.add(Item("b", 2)).expect("the queue is open");
        let got = [thread, task].map(|consumer| consumer.join().expect("no consumer panics"));
        assert_eq!(got.iter().flatten().sum::<u32>(), 3, "each value once");
    });
}
