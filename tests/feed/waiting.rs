//! Whoever waits is woken: threads, tasks, by a change, by the end, and whatever others do meanwhile.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::StreamExt;
use watchcache::Store;
use watchcache::store::feed::NextError;

use crate::common::watchdog::{eventually, sized, watched};
use crate::thing::{Thing, put};
use crate::woken::Woken;

#[test]
fn sleepers_are_woken_by_one_publication_and_by_the_end() {
    const SLEEPERS: usize = sized(20, 4);
    watched(|| {
        let store = Store::new();
        let told = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..SLEEPERS)
            .map(|_| {
                let mut subscription = store.subscribe().start().unwrap();
                let told = Arc::clone(&told);
                std::thread::spawn(move || {
                    while let Some(delivery) = subscription.next() {
                        told.fetch_add(delivery.iter().count(), Ordering::SeqCst);
                    }
                })
            })
            .collect();
        for round in 1..sized(50, 4) {
            put(&store, "a/x", round as u32);
            eventually("all are told", || told.load(Ordering::SeqCst) == SLEEPERS * round);
        }
        drop(store);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

#[test]
fn a_wait_with_a_limit_ends() {
    watched(|| {
        let store = Store::<Thing>::new();
        let mut subscription = store.subscribe().start().unwrap();
        let nothing = subscription.next_timeout(Duration::from_millis(5)).err();
        assert_eq!(nothing, Some(NextError::Timeout));
        put(&store, "a/x", 1);
        assert!(subscription.next_timeout(Duration::ZERO).is_ok());
        drop(store);
        let nothing = subscription.next_timeout(Duration::from_secs(3600)).err();
        assert_eq!(nothing, Some(NextError::Ended));
    });
}

#[test]
fn a_task_that_is_never_polled_again_keeps_nobody_asleep() {
    watched(|| {
        let store = Store::new();
        let mut first = store.subscribe().start().unwrap();
        let mut forgotten = pin!(first.next_async());
        let waker = Waker::from(Arc::new(Woken::default()));
        assert!(forgotten.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());

        let mut second = store.subscribe().start().unwrap();
        let count = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut waiting = pin!(second.next_async());
        assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        put(&store, "a/x", 1);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
        // The forgotten one is told when it is polled after all.
        assert!(forgotten.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    });
}

#[test]
fn a_wait_that_is_dropped_has_taken_nothing() {
    let store = Store::new();
    let mut subscription = store.subscribe().start().unwrap();
    let mut context = Context::from_waker(Waker::noop());
    {
        let mut wait = pin!(subscription.next_async());
        assert!(wait.as_mut().poll(&mut context).is_pending());
        put(&store, "a/x", 1);
        // Woken, and dropped.
    }
    put(&store, "a/x", 2);
    for value in [1, 2] {
        let mut wait = pin!(subscription.next_async());
        let Poll::Ready(Some(delivery)) = wait.as_mut().poll(&mut context) else {
            panic!("{value} is there");
        };
        assert!(delivery.iter().all(|item| item.new.is_some_and(|thing| thing.value == value)));
    }
}

#[test]
fn threads_and_tasks_together() {
    const CHANGES: usize = sized(2_000, 5);
    watched(|| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        let store = Store::new();
        let tasks: Vec<_> = (0..sized(50, 10))
            .map(|_| {
                let deliveries = store.subscribe().start().unwrap().into_stream();
                runtime
                    .spawn(deliveries.map(|delivery| delivery.iter().count()).collect::<Vec<_>>())
            })
            .collect();
        let threads: Vec<_> = (0..sized(5, 2))
            .map(|_| {
                let subscription = store.subscribe().start().unwrap();
                std::thread::spawn(move || subscription.into_iter().count())
            })
            .collect();
        for value in 0..CHANGES {
            put(&store, "a/x", value as u32);
        }
        drop(store);
        for task in tasks {
            assert_eq!(runtime.block_on(task).unwrap(), vec![1; CHANGES]);
        }
        for thread in threads {
            assert_eq!(thread.join().unwrap(), CHANGES);
        }
    });
}

#[test]
fn a_delivery_can_be_held_across_an_await() {
    fn is_send(_: &impl Send) {}
    let store = Store::<Thing>::new();
    let mut subscription = store.subscribe().start().unwrap();
    let task = async move {
        while let Some(delivery) = subscription.next_async().await {
            for item in &delivery {
                std::future::ready(item.key).await;
            }
        }
    };
    is_send(&task);
}
