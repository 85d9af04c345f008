//! A close beside an add and a consumer: what is accepted is handed out before the consumer ends.

use super::Fifo;
use super::model::Item;
use crate::run::{Bound, run};

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let fifo = Fifo::<Item>::new();
        let producer = loom::thread::spawn({
            let fifo = fifo.clone();
            move || u64::from(fifo.add(Item("a", 1)).is_ok())
        });
        let consumer = loom::thread::spawn({
            let fifo = fifo.clone();
            move || {
                let mut taken = 0;
                while let Ok(lease) = fifo.lease() {
                    taken += 1;
                    lease.done();
                }
                taken
            }
        });
        fifo.close();
        loom::future::block_on(fifo.wait_drained());
        let accepted = producer.join().expect("no thread panics");
        let taken: u64 = consumer.join().expect("no thread panics");
        assert_eq!(taken, accepted, "accepted and lost");
    });
}
