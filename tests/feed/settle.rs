//! Deliveries no more often than asked for, coalesced.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use watchcache::store::feed::{NextError, TryNextError};
use watchcache::store::{DeliveryKind, FeedLimits};
use watchcache::{Fifo, Sink, Store};

use crate::basics::items;
use crate::common::watchdog::watched;
use crate::handlers::{Calls, add, update};
use crate::thing::{Thing, batch, put};
use crate::woken::Woken;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(20);

#[test]
fn what_comes_meanwhile_is_coalesced() {
    watched(|| {
        let store = Store::new();
        put(&store, "a/x", 1);
        let mut subscription = store.subscribe().settle(SHORT).start().unwrap();
        put(&store, "a/x", 2);
        assert_eq!(items(&subscription.next().unwrap()), [("a/x".to_owned(), Some(1), Some(2))]);
        let told = Instant::now();
        put(&store, "a/x", 3);
        put(&store, "a/y", 1);
        store.apply(&batch(&[("a/x", Some(4)), ("a/y", None), ("a/z", Some(1))]));
        let delivery = subscription.next().unwrap();
        assert!(told.elapsed() + Duration::from_millis(1) >= SHORT);
        assert_eq!(delivery.kind(), DeliveryKind::Coalesced);
        assert_eq!(delivery.revision(), store.revision());
        let expected = [("a/x", Some(2), Some(4)), ("a/z", None, Some(1))];
        assert_eq!(items(&delivery), expected.map(|(key, old, new)| (key.to_owned(), old, new)));
    });
}

#[test]
fn nothing_comes_before_its_time() {
    watched(|| {
        let store = Store::new();
        let mut subscription = store.subscribe().settle(LONG).start().unwrap();
        put(&store, "a/x", 1);
        assert!(subscription.try_next().is_ok(), "the first comes at once");
        put(&store, "a/x", 2);
        assert!(subscription.try_next().is_err());
        assert_eq!(subscription.next_timeout(SHORT).err(), Some(NextError::Timeout));
        let mut wait = pin!(subscription.next_async());
        assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    });
}

#[test]
fn the_longest_time_is_one_that_never_ends() {
    let store = Store::new();
    let mut subscription = store.subscribe().settle(Duration::MAX).start().unwrap();
    put(&store, "a/x", 1);
    assert!(subscription.try_next().is_ok());
    put(&store, "a/x", 2);
    assert!(subscription.try_next().is_err());
}

#[test]
fn what_is_left_comes_at_once_when_the_store_is_gone() {
    watched(|| {
        let store = Store::new();
        put(&store, "a/x", 1);
        store.mark_synced();
        let calls = Calls::default();
        let handling = store.subscribe().settle(LONG).handle(calls.clone()).unwrap();
        let running = handling.spawn().unwrap();
        running.registration.wait_synced(None).unwrap();
        let mut subscription = store.subscribe().settle(LONG).start().unwrap();
        let mut other = store.subscribe().settle(LONG).start().unwrap();
        put(&store, "a/x", 2);
        assert!(subscription.next().is_some() && other.next().is_some());
        put(&store, "a/x", 3);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut wait = pin!(other.next_async());
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        put(&store, "a/x", 4);
        assert_eq!(woken.0.load(Ordering::SeqCst), 0, "it is not due");
        drop(store);
        drop(running.join().unwrap());
        assert_eq!(calls.in_order(), [add("a/x", 1, true), update("a/x", 1, 4)]);
        let expected = [("a/x".to_owned(), Some(2), Some(4))];
        assert_eq!(items(&subscription.try_next().unwrap()), expected);
        assert_eq!(subscription.try_next().err(), Some(TryNextError::Ended));
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        let polled = wait.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(matches!(polled, Poll::Ready(Some(delivery)) if items(&delivery) == expected));
    });
}

#[test]
fn one_that_is_removed_or_whose_source_ends_is_told_so_at_once() {
    watched(|| {
        let store = Store::new();
        store.mark_synced();
        let spawn = |fifo: &Fifo<Thing>| {
            let handling = store.subscribe().settle(LONG).enqueue(fifo).unwrap();
            let running = handling.spawn().unwrap();
            running.registration.wait_synced(None).unwrap();
            running
        };
        let removed = spawn(&Fifo::new());
        removed.registration.remove();
        drop(removed.join().unwrap());
        let fifo = Fifo::new();
        let ended = spawn(&fifo);
        put(&store, "a/x", 1);
        Sink::ended(&store, None);
        assert_eq!(fifo.lease().map(|lease| lease.value), Ok(1));
        drop(store);
        drop(ended.join().unwrap());
    });
}

#[test]
fn a_task_is_woken_when_the_time_has_come() {
    watched(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = Store::new();
            let mut subscription = store.subscribe().settle(SHORT).start().unwrap();
            for value in 0..3 {
                put(&store, "a/x", value);
                // Nobody but the library wakes this.
                assert_eq!(subscription.next_async().await.unwrap().iter().count(), 1);
            }
        });
    });
}

#[test]
fn one_that_falls_behind_the_log_meanwhile_loses_nothing() {
    watched(|| {
        let store = Store::builder().feed(FeedLimits::default().log(16, usize::MAX)).build();
        put(&store, "a/x", 1);
        let mut subscription = store.subscribe().settle(SHORT).start().unwrap();
        put(&store, "a/x", 2);
        assert!(subscription.next().is_some());
        for value in 3..100 {
            put(&store, "a/x", value);
        }
        let expected = [("a/x".to_owned(), Some(2), Some(99))];
        assert_eq!(items(&subscription.next().unwrap()), expected);
    });
}

#[test]
fn that_the_content_is_whole_is_told_at_once() {
    watched(|| {
        let store = Store::new();
        let subscribe = || store.subscribe().settle(LONG).with_content().start().unwrap();
        let (mut sleeps, mut polled) = (subscribe(), subscribe());
        assert!(sleeps.next().is_some() && polled.next().is_some());
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut wait = pin!(polled.next_async());
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        put(&store, "a/x", 1);
        assert_eq!(woken.0.load(Ordering::SeqCst), 0, "it is not due");
        std::thread::scope(|threads| {
            let sleeper = threads.spawn(move || {
                let delivery = sleeps.next().unwrap();
                (delivery.is_synced(), delivery.iter().count())
            });
            store.mark_synced();
            assert_eq!(sleeper.join().unwrap(), (true, 1));
        });
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        let told = wait.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(matches!(told, Poll::Ready(Some(delivery)) if delivery.is_synced()));
    });
}
