//! How a controller ends: when it is told to, by force, with its sources, and while it sleeps.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use watchcache::reconcile::{Action, Controller, Request, RunError, StopReason, Stopped};
use watchcache::store::feed::{SubscribeError, SyncError};
use watchcache::{Fifo, Key, Sink, Store};

use crate::basics::held;
use crate::common::watchdog::watched;
use crate::driven::{Driven, block_on};
use crate::thing::{Log, Thing, key, put, store, there};

fn ended(controller: &mut Driven) -> (StopReason, Vec<Key>, Vec<Key>) {
    let stopped = controller.drive().unwrap().unwrap();
    (stopped.reason, stopped.cancelled, stopped.left)
}

fn sorted(mut keys: Vec<Key>) -> Vec<Key> {
    keys.sort();
    keys
}

#[test]
fn what_has_begun_ends_and_nothing_else_begins() {
    let things = store(&[("a/1", 1), ("a/2", 1), ("a/3", 1)]);
    let (log, gate) = (Log::default(), Arc::new(Semaphore::new(0)));
    let controller = Controller::new(&things).concurrency(2);
    let queue = controller.queue().clone();
    let mut controller = Driven::new(controller.reconcile(held(&log, &gate)));
    controller.drive();
    let begun = log.take();
    assert_eq!(begun.len(), 2);
    assert!(controller.stop().is_none(), "it waits");
    // What changes now is for the next controller.
    put(&things, "a/4", 1);
    assert!(queue.is_closed());
    gate.add_permits(1);
    assert!(controller.drive().is_none());
    gate.add_permits(1);
    let stopped = controller.drive().unwrap().unwrap();
    assert_eq!(log.take(), []);
    assert_eq!((stopped.cancelled.len(), stopped.left.len()), (0, 1));
    assert!(!begun.contains(&there(stopped.left[0].as_str(), 1)));
}

#[test]
fn what_failed_or_waited_is_told() {
    let things = store(&[("a/fails", 1), ("a/later", 2), ("a/done", 3)]);
    let gate = Arc::new(Semaphore::new(0));
    let pass = Arc::clone(&gate);
    let controller = Controller::new(&things).reconcile(move |thing: Request<Thing>| {
        let pass = Arc::clone(&pass);
        async move {
            match thing.value {
                2 => return Ok(Action::requeue_after(Duration::from_secs(3600))),
                1 => pass.acquire().await.unwrap().forget(),
                _ => return Ok(Action::await_change()),
            }
            Err("it was in vain")
        }
    });
    let mut controller = Driven::new(controller);
    controller.drive();
    assert!(controller.stop().is_none());
    gate.add_permits(1);
    let stopped = controller.drive().unwrap().unwrap();
    assert_eq!(sorted(stopped.left), [key("a/fails"), key("a/later")]);
}

#[test]
fn what_does_not_end_in_time_is_dropped() {
    watched(|| {
        let things = store(&[("a/ends", 1), ("a/hangs", 2)]);
        let log = Log::default();
        let reconcile = log.clone();
        let controller = Controller::new(&things).grace(Duration::from_millis(20)).reconcile(
            move |thing: Request<Thing>| {
                let running = reconcile.begin(&thing);
                async move {
                    if thing.value == 2 {
                        std::future::pending::<()>().await;
                    }
                    drop(running);
                    Ok::<_, ()>(Action::await_change())
                }
            },
        );
        let queue = controller.queue().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let running =
            thread::spawn(move || block_on(controller.run(async { drop(stopped.await) })));
        while queue.stats().popped < 2 || queue.stats().processing > 1 {
            thread::yield_now();
        }
        drop(stop);
        let stopped = running.join().unwrap().unwrap();
        assert_eq!(stopped.cancelled, [key("a/hangs")]);
        assert_eq!(stopped.left, [key("a/hangs")]);
        assert_eq!(log.running(), 0);
    });
}

#[test]
fn a_controller_that_is_dropped_drops_its_reconciles() {
    let things = store(&[("a/1", 1), ("a/2", 1)]);
    let (log, gate) = (Log::default(), Arc::new(Semaphore::new(0)));
    let controller = Controller::new(&things).concurrency(1);
    let queue = controller.queue().clone();
    let mut controller = Driven::new(controller.reconcile(held(&log, &gate)));
    controller.drive();
    assert_eq!(log.running(), 1);
    drop(controller);
    assert_eq!(log.running(), 0);
    let stats = queue.stats();
    assert_eq!((stats.processing, stats.depth, stats.delayed), (0, 0, 0));
    assert!(queue.is_closed());
    // The next one finds everything.
    log.take();
    gate.add_permits(2);
    Driven::new(Controller::new(&things).reconcile(held(&log, &gate))).drive();
    assert_eq!(log.take().len(), 2);
}

#[test]
fn a_controller_that_sleeps_is_woken_to_stop_and_to_work() {
    watched(|| {
        let things = store(&[]);
        let log = Log::default();
        let reconcile = log.clone();
        let controller =
            Controller::new(&things).reconcile(move |thing| reconcile.clone().reconcile(thing));
        let (stop, stopped) = oneshot::channel::<()>();
        let running =
            thread::spawn(move || block_on(controller.run(async { drop(stopped.await) })));
        for value in 0..20 {
            thread::sleep(Duration::from_millis(1));
            put(&things, "a/x", value);
            while log.take().is_empty() {
                thread::yield_now();
            }
        }
        thread::sleep(Duration::from_millis(5));
        drop(stop);
        assert_eq!(running.join().unwrap(), Ok(Stopped::default()));
    });
}

#[test]
fn it_may_stop_before_it_has_begun() {
    let things = Arc::new(Store::<Thing>::new());
    put(&things, "a/x", 1);
    let log = Log::default();
    let reconcile = log.clone();
    let controller =
        Controller::new(&things).reconcile(move |thing| reconcile.clone().reconcile(thing));
    let mut controller = Driven::new(controller);
    controller.drive();
    let stopped = controller.stop().unwrap().unwrap();
    assert_eq!((log.take(), stopped.left), (vec![], vec![key("a/x")]));
}

fn refused() -> io::Error {
    io::Error::other("things is forbidden")
}

#[test]
fn a_source_that_ends_before_its_content_is_there_is_an_error() {
    // Whatever the others still wait for.
    for ends in [0, 1, 2] {
        let stores: [Arc<Store<Thing>>; 3] = Default::default();
        let [things, others, more] = &stores;
        let log = Log::default();
        let reconcile = log.clone();
        let controller = Controller::new(things)
            .watches(others.subscribe(), |other: &Thing| other.owner.clone())
            .watches(more.subscribe(), |other: &Thing| other.owner.clone())
            .reconcile(move |thing| reconcile.clone().reconcile(thing));
        let mut controller = Driven::new(controller);
        assert!(controller.drive().is_none());
        Sink::ended(&*stores[ends], Some(&refused()));
        let error = Some("things is forbidden".into());
        let not_synced = RunError::NotSynced(SyncError::SourceEnded { error });
        assert_eq!(controller.drive(), Some(Err(not_synced)));
    }
}

#[test]
fn content_that_takes_too_long_is_an_error() {
    watched(|| {
        let things = Arc::new(Store::<Thing>::new());
        Sink::failed(&things, &refused());
        let log = Log::default();
        let controller = Controller::new(&things)
            .synced_within(Duration::from_millis(10))
            .reconcile(move |thing| log.clone().reconcile(thing));
        let last_error = Some("things is forbidden".into());
        let too_late = RunError::NotSynced(SyncError::Timeout { last_error });
        assert_eq!(block_on(controller.run(std::future::pending())), Err(too_late));
    });
}

#[test]
fn a_controller_ends_with_its_sources_unless_it_outlives_them() {
    let things = store(&[("a/1", 1), ("a/2", 1)]);
    let make = |log: &Log, gate: &Arc<Semaphore>, outlives: bool| {
        let controller = Controller::new(&things).concurrency(1);
        let controller = if outlives { controller.outlives_sources() } else { controller };
        Driven::new(controller.reconcile(held(log, gate)))
    };
    let (log, gate) = (Log::default(), Arc::new(Semaphore::new(0)));
    let (mut ends, mut outlives) = (make(&log, &gate, false), make(&Log::default(), &gate, true));
    ends.drive();
    outlives.drive();
    Sink::ended(&*things, Some(&refused()));
    assert!(ends.drive().is_none() && outlives.drive().is_none());
    gate.add_permits(1);
    match ends.drive() {
        Some(Err(RunError::SourceEnded { error, stopped })) => {
            assert_eq!((&*error, stopped.left.len()), ("things is forbidden", 1));
        }
        other => panic!("{other:?}"),
    }
    assert!(outlives.drive().is_none());
    // One that was stopped has told all that it had.
    let things = store(&[]);
    let mut controller = Driven::new(Controller::new(&things).reconcile(held(&log, &gate)));
    controller.drive();
    Sink::ended(&*things, None);
    assert_eq!(ended(&mut controller), (StopReason::SourceEnded, vec![], vec![]));
}

#[test]
fn a_queue_that_its_owner_closes_is_worked_off() {
    let things = store(&[("a/1", 1), ("a/2", 1)]);
    let (log, gate) = (Log::default(), Arc::new(Semaphore::new(0)));
    let controller = Controller::new(&things).concurrency(1);
    let queue = controller.queue().clone();
    let mut controller = Driven::new(controller.reconcile(held(&log, &gate)));
    controller.drive();
    queue.close();
    assert!(controller.drive().is_none());
    gate.add_permits(2);
    assert_eq!(ended(&mut controller), (StopReason::QueueClosed, vec![], vec![]));
    assert_eq!(log.take().len(), 2);
}

#[test]
fn a_source_that_ends_is_not_waited_for_because_another_has_no_content_yet() {
    for outlives in [false, true] {
        let (things, others) = (store(&[("a/x", 1)]), Arc::new(Store::<Thing>::new()));
        let controller = Controller::new(&things)
            .watches(others.subscribe(), |other: &Thing| other.owner.clone());
        let controller = if outlives { controller.outlives_sources() } else { controller };
        let log = Log::default();
        let reconcile = log.clone();
        let mut controller =
            Driven::new(controller.reconcile(move |thing| reconcile.clone().reconcile(thing)));
        assert!(controller.drive().is_none());
        Sink::ended(&*things, Some(&refused()));
        let error = Some("things is forbidden".into());
        let not_synced = RunError::NotSynced(SyncError::SourceEnded { error });
        assert_eq!(controller.drive(), (!outlives).then_some(Err(not_synced)));
        assert_eq!(log.take(), []);
    }
}

#[test]
fn an_error_counts_whichever_source_ended_first() {
    for failed in [0, 1] {
        let stores = [store(&[]), store(&[])];
        let [things, others] = &stores;
        let controller = Controller::new(things)
            .watches(others.subscribe(), |other: &Thing| other.owner.clone())
            .reconcile(async |_: Request<Thing>| Ok::<_, ()>(Action::await_change()));
        let mut controller = Driven::new(controller);
        controller.drive();
        Sink::ended(&*stores[1 - failed], None);
        Sink::ended(&*stores[failed], Some(&refused()));
        let ended = controller.drive();
        assert!(matches!(ended, Some(Err(RunError::SourceEnded { .. }))), "{ended:?}");
    }
}

/// It would remember each key for ever.
#[test]
fn a_queue_that_hands_out_deletions_is_no_controllers() {
    let things = store(&[("a/x", 1)]);
    let queue = Fifo::builder().deletions().build().unwrap();
    let log = Log::default();
    let controller = Controller::with_queue(&things, &queue).deletions();
    let reconcile = log.clone();
    let mut controller =
        Driven::new(controller.reconcile(move |thing| reconcile.clone().reconcile(thing)));
    let refused = RunError::Subscribe(SubscribeError::NeverDeleted);
    assert_eq!(controller.drive(), Some(Err(refused)));
    assert_eq!(log.take(), []);
}

#[test]
fn a_queue_is_closed_with_its_controller_and_serves_no_other() {
    let things = store(&[("a/x", 1)]);
    let log = Log::default();
    let make = |queue: &Fifo<Key>| {
        let reconcile = log.clone();
        let controller = Controller::with_queue(&things, queue);
        Driven::new(controller.reconcile(move |thing| reconcile.clone().reconcile(thing)))
    };
    // One that never began, too.
    let queue = Fifo::new();
    drop(make(&queue));
    assert!(queue.is_closed());
    let queue = Fifo::new();
    drop(Controller::with_queue(&things, &queue));
    assert!(queue.is_closed());
    assert_eq!(make(&queue).drive(), Some(Err(RunError::QueueClosed)));
    assert_eq!(log.take(), []);
}
