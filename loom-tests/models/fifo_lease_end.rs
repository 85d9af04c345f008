//! A consumer that parks beside a lease: its end brings a change, or the key itself.

use super::Fifo;
use super::model::Item;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        for changed in [true, false] {
            let fifo = Fifo::<Item>::new();
            fifo.add(Item("a", 1)).expect("the queue is open");
            let lease = fifo.lease().expect("a is there");
            if changed {
                fifo.add(Item("a", 2)).expect("the queue is open");
            }
            let consumer = loom::thread::spawn({
                let fifo = fifo.clone();
                move || {
                    let lease = fifo.lease()?;
                    let value = lease.1;
                    lease.done();
                    Ok::<_, super::Closed>(value)
                }
            });
            if changed {
                lease.done()
            } else {
                lease.retry()
            }
            let value = consumer.join().expect("no thread panics").expect("the queue is open");
            assert_eq!(value, if changed { 2 } else { 1 });
        }
    });
}
