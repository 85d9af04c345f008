//! Tasks that wait for a queue, polled by hand.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Counts how often a task is woken.
#[derive(Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A task parked on a queue, polled by hand.
pub(crate) struct Parked<'a, R> {
    future: Pin<Box<dyn Future<Output = R> + 'a>>,
    wakes: Arc<Wakes>,
}

impl<'a, R> Parked<'a, R> {
    pub(crate) fn new(future: impl Future<Output = R> + 'a) -> Self {
        let mut parked = Self { future: Box::pin(future), wakes: Arc::default() };
        assert!(parked.poll().is_pending(), "nothing to get yet");
        parked
    }

    pub(crate) fn poll(&mut self) -> Poll<R> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    pub(crate) fn wakes(&self) -> usize {
        self.wakes.count()
    }
}

/// A waker that does this.
struct Does<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Does<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

/// Parks a task that has such a waker on a queue.
pub(crate) fn park<'a, R>(
    future: impl Future<Output = R> + 'a,
    wake: impl Fn() + Send + Sync + 'static,
) -> Pin<Box<dyn Future<Output = R> + 'a>> {
    let mut future: Pin<Box<dyn Future<Output = R> + 'a>> = Box::pin(future);
    let waker = Waker::from(Arc::new(Does(wake)));
    assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    future
}
