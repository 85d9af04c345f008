//! Two items for two threads, of which one may spin while the other sleeps. What is told of the first item waits for
//! the second: whoever has the first wakes the other before that.

use std::time::Duration;

use super::model::Item;
use super::{Fifo, Observer};
use crate::run::{Bound, run};
use crate::sync::Parker;
use crate::sync::atomic::{AtomicUsize, Ordering};

struct Meets {
    handed_out: AtomicUsize,
    second: Parker,
}

impl Observer for Meets {
    fn handed_out(&self, _: Duration) {
        match self.handed_out.fetch_add(1, Ordering::Relaxed) {
            0 => self.second.park(),
            _ => self.second.unpark(),
        }
    }
}

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let observer = Meets { handed_out: AtomicUsize::new(0), second: Parker::current() };
        let fifo = Fifo::<Item>::builder().observer(observer).build().expect("nothing is zero");
        let consumers = [(); 2].map(|()| {
            let fifo = fifo.clone();
            loom::thread::spawn(move || fifo.pop().map(|item| item.1))
        });
        fifo.add(Item("a", 1)).expect("the queue is open");
        fifo.add(Item("b", 2)).expect("the queue is open");
        let got = consumers.map(|consumer| consumer.join().expect("no consumer panics"));
        assert_eq!(got.iter().flatten().sum::<u32>(), 3, "each value once");
    });
}
