//! Deliveries no more often than asked for, coalesced.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use watchcache::Store;
use watchcache::store::feed::NextError;
use watchcache::store::{DeliveryKind, FeedLimits};

use crate::basics::items;
use crate::common::watchdog::watched;
use crate::thing::{batch, put};

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
