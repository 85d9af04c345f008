//! As `fifo_deletion`, where lists have a lane of their own: the deletion of what waits there goes to the other one.

use super::Fifo;
use super::model::Item;
use crate::Listing;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let builder = Fifo::<Item>::builder().deletions().lower_priority_for_lists(true);
        let fifo = builder.build().expect("nothing is zero");
        let listing = Listing::new([Item("a", 1)], None).expect("keys are valid");
        fifo.replace(&listing).expect("the queue is open");
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
        let had_deletion = consumer.join().expect("no thread panics");
        let left = fifo.try_lease().map(|lease| lease.into_change()).is_ok();
        assert_eq!(had_deletion, !left, "one deletion, after the object or in its place");
    });
}
