//! Whether the whole content was told is part of each view, and whoever waits for it is told why it was not.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use watchcache::store::DeliveryKind;
use watchcache::store::feed::SyncError;
use watchcache::{Batch, Sink, Store};

use crate::common::watchdog::watched;
use crate::handlers::{Calls, drive};
use crate::thing::{Thing, batch, listing, put};
use crate::woken::Woken;

#[test]
fn a_view_is_in_step_from_the_first_whole_content_on() {
    let store = Store::new();
    put(&store, "a/x", 1);
    store.apply(&batch(&[("a/y", Some(1))]));
    let before = store.snapshot();
    store.replace(&listing(&[("a/x", 1)], Some(1)));
    let after = store.snapshot();
    store.delete("a/x");
    let mut bookmark = Batch::<Thing>::new();
    bookmark.set_resource_version("2".into());
    store.apply(&bookmark);
    assert!(!before.is_synced());
    assert!(after.is_synced() && store.is_synced() && store.pin().is_synced());
    assert!(store.snapshot().is_synced());
}

#[test]
fn whoever_waits_for_a_slow_handler_is_not_woken_by_each_write() {
    let store = Store::new();
    store.mark_synced();
    let handling = store.subscribe().handle(Calls::default()).unwrap();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    let mut wait = pin!(handling.registration().wait_synced_async(None));
    assert!(wait.as_mut().poll(&mut context).is_pending());
    // Once, perhaps, since nobody has been told yet.
    for value in 0..10 {
        put(&store, "a/x", value);
        assert!(wait.as_mut().poll(&mut context).is_pending());
    }
    assert!(woken.0.load(Ordering::SeqCst) <= 1);
    drive(pin!(handling.run_async()).as_mut());
    assert_eq!(wait.as_mut().poll(&mut context), Poll::Ready(Ok(())));
}

#[test]
fn an_empty_list_without_a_version_is_news_once() {
    let store = Store::<Thing>::new();
    let mut subscription = store.subscribe().start().unwrap();
    store.replace(&listing(&[], None));
    let delivery = subscription.try_next().unwrap();
    assert_eq!((delivery.kind(), delivery.is_synced()), (DeliveryKind::Progress, true));
    drop(delivery);
    store.replace(&listing(&[], None));
    assert!(subscription.try_next().is_err());
}

#[test]
fn each_subscription_is_told_of_it_whatever_it_is_about() {
    let store = Store::new();
    let mut other = store.subscribe().namespace("b").start().unwrap();
    put(&store, "a/x", 1);
    assert!(other.try_next().is_err());
    store.replace(&listing(&[("a/x", 1)], Some(1)));
    let delivery = other.try_next().unwrap();
    assert!(delivery.is_synced() && delivery.is_empty());
    drop(delivery);
    put(&store, "a/x", 2);
    assert!(other.try_next().is_err());
}

#[test]
fn threads_and_tasks_wait_for_it() {
    watched(|| {
        let store = Store::<Thing>::new();
        let mut task = pin!(store.wait_synced_async(None));
        let mut context = Context::from_waker(Waker::noop());
        assert!(task.as_mut().poll(&mut context).is_pending());
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..8).map(|_| scope.spawn(|| store.wait_synced(None))).collect();
            put(&store, "a/x", 1);
            store.replace(&listing(&[("a/x", 1)], None));
            for thread in waiting {
                assert_eq!(thread.join().unwrap(), Ok(()));
            }
        });
        assert_eq!(task.as_mut().poll(&mut context), Poll::Ready(Ok(())));
    });
}

#[test]
fn a_list_that_keeps_failing_is_reported_with_its_last_error() {
    watched(|| {
        let store = Store::<Thing>::new();
        let soon = Some(Duration::from_millis(1));
        let error = |text: &str| Err(SyncError::Timeout { last_error: Some(text.into()) });
        assert_eq!(store.wait_synced(soon), Err(SyncError::Timeout { last_error: None }));
        for text in ["connection refused", "forbidden"] {
            Sink::failed(&store, &std::io::Error::other(text));
            assert_eq!(store.wait_synced(soon), error(text));
        }
        let text = store.wait_synced(soon).unwrap_err().to_string();
        assert!(text.ends_with(": forbidden"), "{text}");

        // The end of the source ends the wait.
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| store.wait_synced(None));
            Sink::ended(&store, Some(&std::io::Error::other("gone for good")));
            let ended = SyncError::SourceEnded { error: Some("gone for good".into()) };
            assert_eq!(waiting.join().unwrap(), Err(ended));
        });
        // Another one may do better.
        Sink::failed(&store, &std::io::Error::other("not yet"));
        assert_eq!(store.wait_synced(soon), error("not yet"));
        store.replace(&listing(&[], None));
        assert_eq!(store.wait_synced(None), Ok(()));
        Sink::ended(&store, None);
        assert_eq!(store.wait_synced(None), Ok(()), "what was told stays told");
    });
}

#[test]
fn a_task_that_waits_for_a_store_that_goes_is_told() {
    let store = Store::<Thing>::new();
    let mut task = pin!(store.wait_synced_async(None));
    let mut context = Context::from_waker(Waker::noop());
    assert!(task.as_mut().poll(&mut context).is_pending());
    drop(store);
    assert_eq!(task.as_mut().poll(&mut context), Poll::Ready(Err(SyncError::Ended)));
}
