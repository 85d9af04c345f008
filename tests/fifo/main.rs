//! The queue's guarantees, one by one. No test depends on how long anything takes; those that could
//! hang run under a watchdog.
#![allow(clippy::unwrap_used, missing_docs)]

mod drain;
mod figures;
mod leases;
mod limits;
mod order;
mod stream;
mod stress;
mod sync_and_close;
mod time;
mod user_code;
mod wakeups;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures_util::StreamExt;
use watchcache::fifo::{
    AddError, Added, Backoff, BuildError, Closed, Failure, Lease, ManualClock, Observer, PopError,
    TryPopError, fast_slow,
};
use watchcache::{Batch, Fifo, Key, KeyRef, Listing, Object, Sink};

#[derive(Debug, PartialEq)]
struct Item {
    key: String,
    value: u64,
}

impl Object for Item {
    fn key(&self) -> KeyRef<'_> {
        (&self.key).into()
    }
}

fn item(key: &str, value: u64) -> Item {
    Item { key: key.to_owned(), value }
}

fn listing(keys: &[&str]) -> Listing<Item> {
    Listing::new(keys.iter().map(|key| item(key, 0)), None).unwrap()
}

fn keys(fifo: &Fifo<Item>) -> Vec<String> {
    fifo.keys().iter().map(Key::to_string).collect()
}

fn popped(fifo: &Fifo<Item>) -> Vec<(String, u64)> {
    std::iter::from_fn(|| fifo.try_pop().ok()).map(|item| (item.key.clone(), item.value)).collect()
}

/// Fails the test instead of hanging it.
fn watchdog(test: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let runner = thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    match finished.recv_timeout(Duration::from_secs(120)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the test hangs"),
        Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => {
            if let Err(panic) = runner.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// Counts how often a task is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A task parked on a queue, polled by hand.
struct Parked<'a, R> {
    future: Pin<Box<dyn Future<Output = R> + 'a>>,
    wakes: Arc<Wakes>,
}

impl<'a, R> Parked<'a, R> {
    fn new(future: impl Future<Output = R> + 'a) -> Self {
        let mut parked = Self { future: Box::pin(future), wakes: Arc::default() };
        assert!(parked.poll().is_pending(), "nothing to get yet");
        parked
    }

    fn poll(&mut self) -> Poll<R> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::SeqCst)
    }
}
