//! The feed's figures: who follows, and what is kept for them.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use watchcache::Store;
use watchcache::store::feed::FeedStats;
use watchcache::store::{DeliveryKind, FeedLimits};

use crate::common::watchdog::sized;
use crate::handlers::Calls;
use crate::thing::{Thing, batch, put};

#[test]
fn a_store_that_nobody_follows_keeps_nothing() {
    for always in [false, true] {
        let store = Store::builder().feed(FeedLimits::default().always(always)).build();
        put(&store, "a/x", 1);
        let stats = store.stats().feed;
        assert_eq!(stats.subscriptions, 0);
        assert_eq!((stats.log_changes > 0, stats.log_bytes > 0), (always, always));
    }
}

#[test]
fn those_who_follow_and_wait_are_counted() {
    let store = Store::<Thing>::new();
    let subscription = store.subscribe().start().unwrap();
    let handling = store.subscribe().handle(Calls::default()).unwrap();
    let mut goal = Box::pin(store.wait_for_version_async(&"7".into(), None));
    let mut ready = pin!(store.wait_synced_async(None));
    let mut context = Context::from_waker(Waker::noop());
    assert!(goal.as_mut().poll(&mut context).is_pending());
    assert!(ready.as_mut().poll(&mut context).is_pending());
    let stats = store.stats().feed;
    assert_eq!((stats.subscriptions, stats.waiting), (2, 2));
    drop((subscription, handling, goal));
    let stats = store.stats().feed;
    assert_eq!((stats.subscriptions, stats.waiting), (0, 1));
}

#[test]
fn the_log_is_counted_while_there_is_one() {
    let store = Store::builder().feed(FeedLimits::default().log(100, usize::MAX)).build();
    let subscription = store.subscribe().start().unwrap();
    store.apply(&batch(&[("a/x", Some(1)), ("a/y", Some(1))]));
    // The first one begins the log.
    put(&store, "a/x", 2);
    let stats = store.stats().feed;
    // Two objects of 1000 bytes, before and after, and what is around them.
    assert!(stats.log_changes >= 1 && stats.log_bytes > 2000, "{stats:?}");
    for value in 0..sized(1_000, 110) as u32 {
        put(&store, "a/x", value);
    }
    let stats = store.stats().feed;
    assert!(stats.log_changes <= 100 && stats.log_changes > 50, "{stats:?}");
    drop(subscription);
    put(&store, "a/x", 1);
    let FeedStats { log_changes, log_bytes, .. } = store.stats().feed;
    assert_eq!((log_changes, log_bytes), (0, 0));
}

#[test]
fn what_is_kept_for_those_behind_is_counted_and_so_is_what_they_are_told() {
    let limits = FeedLimits::default().log(64, usize::MAX).behind(1000, usize::MAX);
    let store = Store::builder().feed(limits).build();
    let churn = |changes: u32| {
        for value in 0..changes {
            put(&store, &format!("a/{value}"), value);
        }
    };
    churn(2000);
    let mut slow = store.subscribe().start().unwrap();
    let mut stalled = store.subscribe().start().unwrap();
    churn(600);
    let stats = store.stats().feed;
    assert!(stats.behind_changes > 0 && stats.behind_changes <= 1000, "{stats:?}");
    while slow.try_next().is_ok() {}
    assert_eq!(store.stats().feed.differences, 1);
    churn(2000);
    assert_eq!(store.stats().feed.resets, 0);
    assert_eq!(stalled.try_next().unwrap().kind(), DeliveryKind::Reset);
    assert_eq!(store.stats().feed.resets, 1);
}
