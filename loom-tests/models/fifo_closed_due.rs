//! A close beside a key that comes due: whoever sleeps learns of the end from one of the two.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use super::{Fifo, ManualClock};
use super::model::Item;
use crate::run::{Bound, run};
use crate::sync::Arc;

/// Looked at when all threads have ended.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let clock = ManualClock::new();
        let fifo = Fifo::<Item>::builder().clock(&clock).build().expect("nothing is zero");
        let second = Duration::from_secs(1);
        fifo.add_after(Item("a", 1), second).expect("the queue is open");
        let (first, last) = (Arc::<Woken>::default(), Arc::<Woken>::default());
        let (mut one, mut other) = (pin!(fifo.pop_async()), pin!(fifo.pop_async()));
        let wakers = [Waker::from(first), Waker::from(Arc::clone(&last))];
        assert!(one.as_mut().poll(&mut Context::from_waker(&wakers[0])).is_pending());
        assert!(other.as_mut().poll(&mut Context::from_waker(&wakers[1])).is_pending());
        let closer = loom::thread::spawn({
            let fifo = fifo.clone();
            move || fifo.close()
        });
        // The key is for the first. The other gets nothing any more.
        clock.advance(second);
        closer.join().expect("no thread panics");
        assert!(last.0.load(Ordering::Relaxed), "sleeps beside the end");
    });
}
