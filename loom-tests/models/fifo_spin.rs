//! Two items for two threads, of which one may spin while the other sleeps: neither sleeps beside an item.
//!
//! By the event count alone: the queue's own locks would order the spinner behind the producer.

use crate::waiters::{Owes, Waiters};
use crate::run::{Bound, run};
use crate::sync::Arc;
use crate::sync::atomic::{AtomicUsize, Ordering};

struct Items(AtomicUsize);

impl Items {
    fn len(&self) -> usize {
        // ORDERING: Relaxed: what the fences of the event count order needs no more.
        self.0.load(Ordering::Relaxed)
    }

    fn take(&self) -> Option<()> {
        let one_less = |items: usize| items.checked_sub(1);
        // ORDERING: Relaxed, as in `len`.
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).ok().map(|_| ())
    }
}

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let waiters = Arc::new(Waiters::new());
        let items = Arc::new(Items(AtomicUsize::new(0)));
        let consumers = [(); 2].map(|()| {
            let (waiters, items) = (Arc::clone(&waiters), Arc::clone(&items));
            loom::thread::spawn(move || {
                waiters.wait(None, || items.len() > 0, || None, |owes| {
                    let taken = items.take()?;
                    if owes == Owes::Wakeups {
                        waiters.notify(items.len());
                    }
                    Some(taken)
                })
            })
        });
        for _ in 0..2 {
            // ORDERING: Relaxed, as in `len`.
            items.0.fetch_add(1, Ordering::Relaxed);
            waiters.notify(1);
        }
        for consumer in consumers {
            assert!(consumer.join().expect("no consumer panics").is_some());
        }
    });
}
