//! A process that gets no more threads: tasks are woken, and what is assumed ends, all the same.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use seccompiler::apply_filter;
use watchcache::Store;
use watchcache::store::feed::{Handler, SyncError, WaitError};

use crate::common::Pod;
use crate::common::child::in_a_process_of_its_own;
use crate::common::refused::{refuse_threads, threads};
use crate::common::watchdog::{eventually, watched};
use crate::thing::{Thing, put};
use crate::woken::Woken;

const LONG: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(5);

/// More than a writer wakes by itself where there is a thread to leave them to.
#[test]
fn many_tasks_are_woken_by_the_write_that_they_wait_for() {
    const TASKS: usize = 100;
    in_a_process_of_its_own(|| {
        watched(|| {
            refuse_threads();
            let store = Store::new();
            let woken = Arc::new(Woken::default());
            let waker = Waker::from(Arc::clone(&woken));
            let mut subscriptions = [(); TASKS].map(|()| store.subscribe().start().unwrap());
            for round in 1..=2 {
                let waits = subscriptions.iter_mut().map(|each| Box::pin(each.next_async()));
                let mut waits: Vec<_> = waits.collect();
                let mut context = Context::from_waker(&waker);
                assert!(waits.iter_mut().all(|wait| wait.as_mut().poll(&mut context).is_pending()));
                put(&store, "a/x", round as u32);
                assert_eq!(woken.0.load(Ordering::SeqCst), round * TASKS);
                assert!(waits.iter_mut().all(|wait| wait.as_mut().poll(&mut context).is_ready()));
            }
        });
    });
}

#[test]
fn a_task_is_told_in_time_and_its_limits_hold() {
    in_a_process_of_its_own(|| {
        watched(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            refuse_threads();
            let store = Store::new();
            let mut subscription = store.subscribe().settle(SOON).start().unwrap();
            runtime.block_on(async {
                for value in 0..3 {
                    put(&store, "a/x", value);
                    // Nobody but the library wakes this.
                    assert_eq!(subscription.next_async().await.unwrap().iter().count(), 1);
                }
                let waited = store.wait_for_version_async(&"7".into(), Some(SOON)).await;
                assert_eq!(waited, Err(WaitError::Timeout));
            });
        });
    });
}

#[test]
fn what_is_assumed_is_forgotten_with_the_next_assumption() {
    in_a_process_of_its_own(|| {
        watched(|| {
            refuse_threads();
            let store = Store::new();
            store.add(Pod::new("a/x", 7)).unwrap();
            store.assume(Pod::new("a/x", 8), Duration::ZERO).unwrap();
            assert!(store.assumed("a/x").is_some(), "nobody has looked");
            store.assume(Pod::new("a/y", 8), LONG).unwrap();
            assert!(store.assumed("a/x").is_none() && store.assumed("a/y").is_some());
            assert_eq!(store.get("a/x").map(|pod| pod.version()), Some(7));
        });
    });
}

#[test]
fn an_assumption_that_is_due_first_asks_for_a_thread_again() {
    watched(|| {
        let store = Store::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                threads().iter().for_each(|filter| apply_filter(filter).unwrap());
                store.assume(Pod::new("a/x", 8), LONG).unwrap();
            });
        });
        store.assume(Pod::new("a/y", 8), SOON).unwrap();
        eventually("it is forgotten", || store.assumed("a/y").is_none());
    });
}

struct Idle {
    _kept: Arc<()>,
}

impl Handler<Thing> for Idle {}

#[test]
fn a_handler_without_a_thread_is_removed_and_nothing_else_is() {
    watched(|| {
        let store = Store::new();
        put(&store, "a/x", 1);
        store.mark_synced();
        let kept = Arc::new(());
        let mut other = store.subscribe().with_content().start().unwrap();
        let handling = store.subscribe().handle(Idle { _kept: Arc::clone(&kept) }).unwrap();
        let registration = handling.registration();
        let refused = thread::spawn(|| {
            threads().iter().for_each(|filter| apply_filter(filter).unwrap());
            handling.spawn().err()
        });
        let refused = refused.join().unwrap().expect("there is no thread");
        assert_eq!(refused.raw_os_error(), Some(libc::EAGAIN));
        assert!(registration.has_ended() && Arc::strong_count(&kept) == 1);
        assert_eq!(registration.wait_synced(None), Err(SyncError::Ended));
        assert_eq!(store.stats().feed.subscriptions, 1);
        assert!(other.try_next().is_ok_and(|delivery| delivery.iter().count() == 1));
        // Whoever has a thread to give adds it again.
        let again = store.subscribe().handle(Idle { _kept: kept }).unwrap().spawn().unwrap();
        assert_eq!(again.registration.wait_synced(None), Ok(()));
    });
}
