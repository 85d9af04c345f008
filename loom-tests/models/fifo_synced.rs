//! The keys of the first replace are dealt with by two threads at once.

use super::Fifo;
use super::model::Item;
use crate::run::{Bound, run};
use crate::Listing;

pub fn model() {
    run(Bound { preemptions: 3 }, || {
        let fifo = Fifo::<Item>::new();
        let listing = Listing::new([Item("a", 1), Item("b", 1)], None).expect("keys are valid");
        fifo.replace(&listing).expect("the queue is open");
        let popper = loom::thread::spawn({
            let fifo = fifo.clone();
            move || {
                let popped = fifo.try_pop().expect("two keys wait, and one is deleted");
                (popped.0 == "b", fifo.has_synced())
            }
        });
        let deleted = fifo.delete("b").is_some();
        let (popped_b, _) = popper.join().expect("no thread panics");
        assert_eq!(popped_b, !deleted, "b ended once");
        if popped_b {
            assert!(!fifo.has_synced(), "a is still to be seen");
            fifo.delete("a");
        }
        assert!(fifo.has_synced(), "each initial key is dealt with");
    });
}
