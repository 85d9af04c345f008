//! Waiting for a revision, and for a version of the source's.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use watchcache::store::feed::WaitError;
use watchcache::{Batch, ResourceVersion, Store};

use crate::common::watchdog::{sized, watched};
use crate::thing::{Thing, put};
use crate::woken::Woken;

fn bookmark(store: &Store<Thing>, version: &str) {
    let mut batch = Batch::new();
    batch.set_resource_version(version.into());
    store.apply(&batch);
}

fn version(text: &str) -> ResourceVersion {
    text.into()
}

#[test]
fn threads_wait_for_a_revision_each_for_its_own() {
    watched(|| {
        let store = Store::new();
        // Revisions cannot be made up, so another store lends them.
        let other = Store::new();
        let revisions: Vec<_> = (0..20)
            .map(|value| {
                put(&other, "a/x", value);
                other.revision()
            })
            .collect();
        std::thread::scope(|scope| {
            for revision in &revisions {
                let store = &store;
                scope.spawn(move || {
                    assert_eq!(store.wait_for(*revision, None), Ok(()));
                    assert!(store.revision() >= *revision);
                });
            }
            for value in 0..20 {
                put(&store, "a/x", value);
            }
        });
        let beyond = other.revision();
        assert_eq!(store.wait_for(beyond, Some(Duration::ZERO)), Ok(()));
        put(&other, "a/x", 0);
        let waited = store.wait_for(other.revision(), Some(Duration::from_millis(5)));
        assert_eq!(waited, Err(WaitError::Timeout));
    });
}

/// Decimal versions have an order however long they are.
#[test]
fn a_version_that_no_number_holds_reaches_every_goal() {
    let store = Store::<Thing>::new();
    bookmark(&store, "41");
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut wait = pin!(store.wait_for_version_async(&version("42"), None));
    assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    bookmark(&store, "18446744073709551616");
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    assert_eq!(wait.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(Ok(())));
}

#[test]
fn ten_thousand_tasks_wait_for_one_version() {
    watched(|| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let store = Store::new();
        let waiting: Vec<_> = (0..sized(10_000, 20))
            .map(|_| runtime.spawn(store.wait_for_version_async(&version("42"), None)))
            .collect();
        bookmark(&store, "41");
        std::thread::sleep(Duration::from_millis(20));
        assert!(waiting.iter().all(|task| !task.is_finished()), "not yet");
        bookmark(&store, "43");
        for task in waiting {
            assert_eq!(runtime.block_on(task).unwrap(), Ok(()));
        }
    });
}

#[test]
fn only_those_whose_goal_is_reached_are_woken() {
    let store = Store::<Thing>::new();
    let mut context = Context::from_waker(Waker::noop());
    let mut near = pin!(store.wait_for_version_async(&version("5"), None));
    let mut far = pin!(store.wait_for_version_async(&version("50"), None));
    assert!(near.as_mut().poll(&mut context).is_pending());
    assert!(far.as_mut().poll(&mut context).is_pending());
    bookmark(&store, "10");
    assert!(near.as_mut().poll(&mut context).is_ready());
    assert!(far.as_mut().poll(&mut context).is_pending());
    bookmark(&store, "50");
    assert!(far.as_mut().poll(&mut context).is_ready());
}

/// As when the versions' order is in doubt for a moment only.
#[test]
fn who_is_woken_looks_again_at_what_the_store_has_reached() {
    let store = Store::<Thing>::new();
    let mut context = Context::from_waker(Waker::noop());
    let mut waiting = pin!(store.wait_for_version_async(&version("150"), None));
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    let mut batch = Batch::new();
    batch.set_resource_version("100".into());
    batch.set_unordered();
    store.apply(&batch);
    bookmark(&store, "101");
    assert!(waiting.as_mut().poll(&mut context).is_pending(), "it waits on");
    bookmark(&store, "150");
    assert!(waiting.as_mut().poll(&mut context).is_ready());
}

#[test]
fn a_task_has_a_time_limit_and_learns_of_the_end() {
    watched(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let store = Store::<Thing>::new();
        let limit = Some(Duration::from_millis(5));
        let waited = runtime.block_on(store.wait_for_version_async(&version("5"), limit));
        assert_eq!(waited, Err(WaitError::Timeout));
        let waiting = store.wait_for_version_async(&version("5"), None);
        let (reached, unreached) = (store.wait_for_async(store.revision(), None), waiting);
        drop(store);
        assert_eq!(runtime.block_on(unreached), Err(WaitError::Ended));
        assert_eq!(runtime.block_on(reached), Ok(()), "it had come to it");
    });
}

#[test]
fn a_version_without_an_order_is_refused_unless_it_is_there() {
    let store = Store::<Thing>::new();
    let opaque = version("eyJtMSI6IjEifQ");
    let waited = store.wait_for_version(&opaque, None);
    assert_eq!(waited, Err(WaitError::Unordered(opaque.clone())));
    bookmark(&store, opaque.as_str());
    assert_eq!(store.wait_for_version(&opaque, None), Ok(()));
}

/// What comes to the same number again is another history.
#[test]
fn a_wait_ends_when_the_source_is_set_back() {
    watched(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let store = Store::<Thing>::new();
        let started_over = || Err(WaitError::StartedOver(version("80")));
        bookmark(&store, "70");
        let start_over_at = |version: &str| {
            let mut batch = Batch::new();
            batch.set_resource_version(version.into());
            batch.set_starting_over();
            store.apply(&batch);
        };
        let late = store.wait_for_version_async(&version("80"), None);
        let mut polled = pin!(store.wait_for_version_async(&version("80"), None));
        let mut context = Context::from_waker(Waker::noop());
        // A later one is of the same, as far as anybody knows.
        start_over_at("71");
        assert!(polled.as_mut().poll(&mut context).is_pending());
        let sleeping = store.wait_for_version_async(&version("80"), None);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| runtime.block_on(sleeping));
            std::thread::sleep(Duration::from_millis(5));
            start_over_at("5");
            assert_eq!(waits.join().unwrap(), started_over());
        });
        bookmark(&store, "81");
        assert_eq!(polled.as_mut().poll(&mut context), Poll::Ready(started_over()));
        assert_eq!(runtime.block_on(late), started_over());
        assert_eq!(store.wait_for_version(&version("80"), None), Ok(()), "of the new history");
    });
}

/// As a source's that joins several others.
#[test]
fn a_larger_number_without_an_order_is_no_later_version() {
    watched(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let store = Store::<Thing>::new();
        let waiting = store.wait_for_version_async(&version("7"), None);
        let mut batch = Batch::new();
        batch.set_resource_version("900".into());
        batch.set_unordered();
        let told = || Err(WaitError::Unordered(version("7")));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| runtime.block_on(waiting));
            store.apply(&batch);
            assert_eq!(waits.join().unwrap(), told());
        });
        assert_eq!(store.wait_for_version(&version("7"), None), told());
        assert_eq!(store.wait_for_version(&version("900"), None), Ok(()), "it is this very one");
        // What says nothing of versions does not give them an order.
        store.apply(&Batch::new());
        assert_eq!(store.wait_for_version(&version("7"), None), told());
        bookmark(&store, "50");
        assert_eq!(store.wait_for_version(&version("7"), None), told(), "900 is held");
        bookmark(&store, "901");
        assert_eq!(store.wait_for_version(&version("7"), None), Ok(()), "they have an order again");
    });
}
