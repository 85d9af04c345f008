//! A task that is cancelled when it may have been woken: another consumer gets the item.

use super::Fifo;
use super::model::Item;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let fifo = Fifo::<Item>::new();
        let cancelled = loom::thread::spawn({
            let fifo = fifo.clone();
            move || {
                let mut future = Box::pin(fifo.pop_async());
                loom::future::block_on(std::future::poll_fn(|context| {
                    // Once, and then it is dropped.
                    std::task::Poll::Ready(match future.as_mut().poll(context) {
                        std::task::Poll::Ready(item) => item.map(|item| item.1).ok(),
                        std::task::Poll::Pending => None,
                    })
                }))
            }
        });
        let consumer = loom::thread::spawn({
            let fifo = fifo.clone();
            move || loom::future::block_on(async { fifo.pop_async().await.map(|item| item.1) })
        });
        fifo.add(Item("a", 1)).expect("the queue is open");
        if cancelled.join().expect("no consumer panics").is_some() {
            // It was not cancelled after all: the other one needs an item, too.
            fifo.add(Item("a", 2)).expect("the queue is open");
        }
        assert!(consumer.join().expect("no consumer panics").is_ok());
    });
}
