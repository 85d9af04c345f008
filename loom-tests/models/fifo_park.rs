//! A push beside a thread that parks, and a close beside another: both get what is theirs.

use super::Fifo;
use super::model::Item;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let fifo = Fifo::<Item>::new();
        let consumer = loom::thread::spawn({
            let fifo = fifo.clone();
            move || {
                let first = fifo.pop().map(|item| item.1);
                (first, fifo.pop().map(|item| item.1).is_err())
            }
        });
        fifo.add(Item("a", 1)).expect("the queue is open");
        fifo.close();
        let (first, closed) = consumer.join().expect("the consumer does not panic");
        assert_eq!(first, Ok(1), "what was accepted is lost");
        assert!(closed);
    });
}
