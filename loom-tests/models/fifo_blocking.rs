//! Two items for a task and a thread that sleep, or are about to: the task's waker waits for the thread to have one.
//!
//! By the event count alone: in the queue, a thread that has spun may be the one that calls the waker.

use std::task::{Context, Wake, Waker};

use crate::run::{Bound, run};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Parker};
use crate::waiters::{Wait, Waiters};

struct Blocks(Parker);

impl Wake for Blocks {
    fn wake(self: Arc<Self>) {
        self.0.park();
    }
}

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let waiters = Arc::new(Waiters::new());
        let items = Arc::new(AtomicUsize::new(0));
        let served = Parker::current();
        let mut task = Wait::new();
        let waker = Waker::from(Arc::new(Blocks(served.clone())));
        let mut context = Context::from_waker(&waker);
        assert!(task.poll(&mut context, &waiters, || false, || None, || None::<()>).is_pending());
        let thread = loom::thread::spawn({
            let (waiters, items) = (Arc::clone(&waiters), Arc::clone(&items));
            move || {
                // ORDERING: Relaxed: what the fences of the event count order needs no more.
                let ready = || items.load(Ordering::Relaxed) > 0;
                waiters.wait(None, ready, || None, |_| ready().then_some(()));
                served.unpark();
            }
        });
        // ORDERING: Relaxed, as above.
        items.store(2, Ordering::Relaxed);
        waiters.notify(2);
        thread.join().expect("no thread panics");
    });
}
