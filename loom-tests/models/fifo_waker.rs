//! A task is polled with another waker beside an add: it gets the item by that, or the new waker is woken.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::Fifo;
use super::model::Item;
use crate::run::{Bound, run};
use crate::sync::Arc;

/// Looked at when the producer has ended.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let fifo = Fifo::<Item>::new();
        let (first, second) = (Arc::<Woken>::default(), Arc::<Woken>::default());
        let wakers = [Waker::from(first), Waker::from(Arc::clone(&second))];
        let mut pop = pin!(fifo.pop_async());
        assert!(pop.as_mut().poll(&mut Context::from_waker(&wakers[0])).is_pending());
        let producer = loom::thread::spawn({
            let fifo = fifo.clone();
            move || _ = fifo.add(Item("a", 1)).expect("the queue is open")
        });
        let polled = pop.as_mut().poll(&mut Context::from_waker(&wakers[1]));
        producer.join().expect("no thread panics");
        let popped = match polled {
            Poll::Ready(popped) => popped,
            Poll::Pending => {
                assert!(second.0.load(Ordering::Relaxed), "asleep beside an item");
                let Poll::Ready(popped) = pop.as_mut().poll(&mut Context::from_waker(&wakers[1]))
                else {
                    panic!("woken for nothing")
                };
                popped
            }
        };
        assert_eq!(popped.map(|item| item.1), Ok(1));
    });
}
