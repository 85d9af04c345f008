//! A consumer sleeps, or is about to, while the first delayed key comes and the system has no thread to give that would
//! queue it: the consumer sees by itself when it is due. (The models have no such thread.)

use std::time::Duration;

use super::Fifo;
use super::model::Item;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let fifo = Fifo::<Item>::new();
        let consumer = loom::thread::spawn({
            let fifo = fifo.clone();
            move || fifo.pop().map(|item| item.1)
        });
        // Over before anybody can look.
        fifo.add_after(Item("a", 1), Duration::from_nanos(1)).expect("the queue is open");
        assert_eq!(consumer.join().expect("no thread panics"), Ok(1));
    });
}
