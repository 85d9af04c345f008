//! A relist beside a consumer that parks: a deletion that waits, and that it does not list, is not out of sight for good.

use super::Fifo;
use super::model::Item;
use crate::Listing;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let fifo = Fifo::<Item>::builder().deletions().build().expect("nothing is zero");
        fifo.add(Item("a", 1)).expect("the queue is open");
        fifo.delete("a").expect("it waits");
        let consumer = loom::thread::spawn({
            let fifo = fifo.clone();
            move || {
                let lease = fifo.lease().expect("the queue is open");
                let is_deleted = lease.is_deleted();
                lease.done();
                is_deleted
            }
        });
        let empty = Listing::new(Vec::<Item>::new(), None).expect("there is no key");
        fifo.replace(&empty).expect("the queue is open");
        assert!(consumer.join().expect("no thread panics"));
        assert!(fifo.is_empty(), "deleted twice");
    });
}
