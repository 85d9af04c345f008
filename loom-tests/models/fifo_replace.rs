//! A replace beside a consumer that parks: what it lists is not out of sight for good.

use super::Fifo;
use super::model::Item;
use crate::run::{Bound, run};
use crate::Listing;

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let fifo = Fifo::<Item>::new();
        fifo.add(Item("a", 1)).expect("the queue is open");
        let consumer = loom::thread::spawn({
            let fifo = fifo.clone();
            move || fifo.pop().map(|item| item.1)
        });
        let listing = Listing::new([Item("a", 2)], None).expect("keys are valid");
        fifo.replace(&listing).expect("the queue is open");
        let popped = consumer.join().expect("no thread panics").expect("the queue is open");
        let left = fifo.try_pop().map(|item| item.1).ok();
        assert!(matches!((popped, left), (1, Some(2)) | (2, None)), "{popped}, {left:?}");
    });
}
