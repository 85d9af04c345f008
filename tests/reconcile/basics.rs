//! What is reconciled, when, and how many at a time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;
use watchcache::Store;
use watchcache::reconcile::{Action, Controller, Failure, Request};

use crate::driven::Driven;
use crate::thing::{Log, Reconciling, Thing, key, put, store, there};

/// A reconcile that ends when it is let go.
pub(crate) fn held(
    log: &Log,
    gate: &Arc<Semaphore>,
) -> impl FnMut(Request<Thing>) -> Reconciling + Send + use<> {
    let (log, gate) = (log.clone(), Arc::clone(gate));
    move |request| {
        let (log, gate) = (log.clone(), Arc::clone(&gate));
        Box::pin(async move {
            let running = log.begin(&request);
            gate.acquire().await.unwrap().forget();
            drop(running);
            Ok(Action::await_change())
        })
    }
}

#[test]
fn what_is_there_is_reconciled_and_then_what_changes() {
    let things = store(&[("a/x", 1), ("a/y", 1)]);
    let log = Log::default();
    let reconcile = log.clone();
    let controller =
        Controller::new(&things).reconcile(move |thing| reconcile.clone().reconcile(thing));
    let mut controller = Driven::new(controller);
    assert!(controller.drive().is_none());
    assert_eq!(log.take(), [there("a/x", 1), there("a/y", 1)]);
    controller.drive();
    assert_eq!(log.take(), []);
    put(&things, "a/x", 2);
    put(&things, "a/new", 1);
    controller.drive();
    assert_eq!(log.take(), [there("a/new", 1), there("a/x", 2)]);
    let stopped = controller.stop().unwrap().unwrap();
    assert!(stopped.left.is_empty() && stopped.cancelled.is_empty());
}

#[test]
fn changes_that_come_while_a_key_waits_are_one_reconcile() {
    let things = store(&[]);
    let log = Log::default();
    let reconcile = log.clone();
    let controller =
        Controller::new(&things).reconcile(move |thing| reconcile.clone().reconcile(thing));
    let mut controller = Driven::new(controller);
    controller.drive();
    for value in 0..10 {
        put(&things, "a/x", value);
    }
    controller.drive();
    assert_eq!(log.take(), [there("a/x", 9)]);
}

#[test]
fn nothing_begins_before_every_store_has_its_content() {
    let things = Arc::new(Store::new());
    let others = Store::new();
    put(&things, "a/x", 1);
    let log = Log::default();
    let reconcile = log.clone();
    let controller = Controller::new(&things)
        .watches(others.subscribe(), |other: &Thing| other.owner.clone())
        .reconcile(move |thing| reconcile.clone().reconcile(thing));
    let mut controller = Driven::new(controller);
    controller.drive();
    assert_eq!(log.take(), []);
    things.mark_synced();
    put(&things, "a/y", 1);
    controller.drive();
    assert_eq!(log.take(), []);
    others.mark_synced();
    controller.drive();
    assert_eq!(log.take(), [there("a/x", 1), there("a/y", 1)]);
}

#[test]
fn a_settling_time_does_not_delay_the_beginning() {
    let (things, others) = (Arc::new(Store::new()), Store::new());
    put(&things, "a/x", 1);
    let (log, hour) = (Log::default(), Duration::from_secs(3600));
    let reconcile = log.clone();
    let controller = Controller::new(&things)
        .settle(hour)
        .watches(others.subscribe().settle(hour), |other: &Thing| other.owner.clone())
        .reconcile(move |thing| reconcile.clone().reconcile(thing));
    let mut controller = Driven::new(controller);
    controller.drive();
    put(&things, "a/y", 1);
    things.mark_synced();
    controller.drive();
    others.mark_synced();
    controller.drive();
    assert_eq!(log.take(), [there("a/x", 1), there("a/y", 1)]);
    put(&things, "a/y", 2);
    controller.drive();
    assert_eq!(log.take(), [], "it settles");
}

#[test]
fn what_changes_while_it_is_reconciled_is_reconciled_once_more() {
    let things = store(&[("a/x", 1)]);
    let (log, gate) = (Log::default(), Arc::new(Semaphore::new(0)));
    let mut controller = Driven::new(Controller::new(&things).reconcile(held(&log, &gate)));
    controller.drive();
    assert_eq!(log.take(), [there("a/x", 1)]);
    for value in 2..5 {
        put(&things, "a/x", value);
        controller.drive();
    }
    assert_eq!(log.take(), [], "one at a time");
    gate.add_permits(1);
    controller.drive();
    assert_eq!(log.take(), [there("a/x", 4)]);
    gate.add_permits(1);
    controller.drive();
    assert_eq!((log.take(), log.running()), (vec![], 0));
}

#[test]
fn no_more_run_at_once_than_may() {
    let names: Vec<String> = (0..20).map(|i| format!("a/{i}")).collect();
    let content: Vec<_> = names.iter().map(|name| (name.as_str(), 0)).collect();
    for (asked, most) in [(0, 20), (1, 1), (3, 3), (50, 20)] {
        let things = store(&content);
        let (log, gate) = (Log::default(), Arc::new(Semaphore::new(0)));
        let controller = Controller::new(&things).concurrency(asked);
        let mut controller = Driven::new(controller.reconcile(held(&log, &gate)));
        controller.drive();
        assert_eq!(log.running(), most);
        for done in 1..=20 {
            gate.add_permits(1);
            controller.drive();
            assert_eq!(log.running(), most.min(20 - done), "the next takes its place");
        }
        assert_eq!((log.take().len(), log.most_at_once()), (20, most));
    }
}

#[test]
fn what_is_queued_by_hand_is_reconciled_if_there_is_such_a_thing() {
    let things = store(&[("a/x", 1)]);
    let log = Log::default();
    let reconcile = log.clone();
    let controller = Controller::new(&things);
    let queue = controller.queue().clone();
    let mut controller =
        Driven::new(controller.reconcile(move |thing| reconcile.clone().reconcile(thing)));
    controller.drive();
    log.take();
    queue.add(key("a/x")).unwrap();
    queue.add(key("a/nothing")).unwrap();
    controller.drive();
    assert_eq!(log.take(), [there("a/x", 1)]);
    let stats = queue.stats();
    assert_eq!((stats.depth, stats.processing, stats.delayed), (0, 0, 0));
}

#[test]
fn many_that_have_nothing_to_wait_for_leave_others_their_turn() {
    let names: Vec<String> = (0..1_000).map(|i| format!("a/{i}")).collect();
    let content: Vec<_> = names.iter().map(|name| (name.as_str(), 0)).collect();
    let things = store(&content);
    let log = Log::default();
    let reconcile = log.clone();
    let controller =
        Controller::new(&things).reconcile(move |thing| reconcile.clone().reconcile(thing));
    let mut run = std::pin::pin!(controller.run(std::future::pending()));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(run.as_mut().poll(&mut context).is_pending());
    let in_one_poll = log.take().len();
    assert!((1..1_000).contains(&in_one_poll), "{in_one_poll}");
}

#[test]
fn each_outcome_is_told() {
    let things = store(&[("a/1", 1), ("a/2", 2), ("a/3", 3)]);
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let reconcile = async |thing: Request<Thing>| match thing.value {
        1 => Ok(Action::await_change()),
        2 => Err("two is too many"),
        _ => panic!("three is worse"),
    };
    let controller = Controller::new(&things).reconcile(reconcile);
    let controller = controller.on_outcome(move |outcome| {
        let failure = outcome.result.err().map(|failure| match failure {
            Failure::Error(error) => error.to_owned(),
            other => other.to_string(),
        });
        tell.lock().unwrap().push((outcome.request.value, failure, outcome.action));
    });
    Driven::new(controller).drive();
    let mut told = std::mem::take(&mut *told.lock().unwrap());
    told.sort_by_key(|(value, ..)| *value);
    // What failed may have come back since.
    told.dedup();
    let back_off = Action::back_off();
    let expected = [
        (1, None, Action::await_change()),
        (2, Some("two is too many".to_owned()), back_off),
        (3, Some("it panicked: three is worse".to_owned()), back_off),
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_was_assumed_and_turns_out_wrong_is_a_change() {
    let things = store(&[("a/x", 1)]);
    let log = Log::default();
    let reconcile = log.clone();
    let controller =
        Controller::new(&things).reconcile(move |thing| reconcile.clone().reconcile(thing));
    let mut controller = Driven::new(controller);
    controller.drive();
    assert_eq!(log.take(), [there("a/x", 1)]);
    let assumed = Thing { key: key("a/x"), value: 2, owner: None };
    things.assume(assumed, Duration::from_millis(20)).unwrap();
    controller.drive();
    assert_eq!(log.take(), [there("a/x", 2)]);
    let told = (0..1000).find_map(|_| {
        std::thread::sleep(Duration::from_millis(5));
        controller.drive();
        Some(log.take()).filter(|told| !told.is_empty())
    });
    assert_eq!(told.unwrap(), [there("a/x", 1)]);
}
