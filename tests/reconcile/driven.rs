//! Controllers polled by hand, so that a test knows when there is nothing left to do; and one on a thread that
//! sleeps while there is nothing.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use watchcache::Object;
use watchcache::reconcile::{Action, Reconciler, Request, RunError, Stopped};

pub(crate) type Ended = Result<Stopped, RunError>;

/// A controller that runs while it is driven.
pub(crate) struct Driven {
    run: Pin<Box<dyn Future<Output = Ended> + Send>>,
    stop: Arc<AtomicBool>,
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Driven {
    pub(crate) fn new<K, F, Fut, E>(reconciler: Reconciler<K, F, E>) -> Self
    where
        K: Object,
        F: FnMut(Request<K>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Action, E>> + Send + 'static,
        E: 'static,
    {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let is_stopped = poll_fn(move |_| match stopped.load(Ordering::SeqCst) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        });
        Self { run: Box::pin(reconciler.run(is_stopped)), stop }
    }

    /// Lets it go as far as it gets.
    pub(crate) fn drive(&mut self) -> Option<Ended> {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        loop {
            if let Poll::Ready(ended) = self.run.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Some(ended);
            }
            if !woken.0.swap(false, Ordering::SeqCst) {
                return None;
            }
        }
    }

    /// As [`drive`](Self::drive), once it was told to stop.
    pub(crate) fn stop(&mut self) -> Option<Ended> {
        self.stop.store(true, Ordering::SeqCst);
        self.drive()
    }
}

/// Runs a future on this thread, which sleeps until it is woken.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = std::pin::pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
