//! News for two threads and a task that sleep, or are about to: the task's waker waits for both threads.

use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use crate::run::{Bound, run};
use crate::sync::Parker;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::waiters::{Wait, Waiters};

struct Blocks(Parker);

impl Wake for Blocks {
    fn wake(self: Arc<Self>) {
        self.0.park();
    }
}

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let published = Arc::new(AtomicUsize::new(0));
        let waiters = Arc::new(Waiters::for_news());
        let (heard, both) = (Arc::new(AtomicUsize::new(0)), Parker::current());
        let thread = || {
            let (published, waiters) = (Arc::clone(&published), Arc::clone(&waiters));
            let (heard, both) = (Arc::clone(&heard), both.clone());
            loom::thread::spawn(move || {
                let ready = || published.load(Ordering::Acquire) > 0;
                assert!(waiters.wait_for_news(0, None, ready));
                if heard.fetch_add(1, Ordering::AcqRel) == 1 {
                    both.unpark();
                }
            })
        };
        let threads = [thread(), thread()];
        let mut task = Wait::new();
        let waker = Waker::from(Arc::new(Blocks(both.clone())));
        assert!(task.poll_news(&mut Context::from_waker(&waker), &waiters, 0, || false).is_pending());
        published.store(1, Ordering::Release);
        drop(waiters.tell(u64::MAX));
        threads.map(|thread| thread.join().expect("the thread's assertion holds"));
    });
}
