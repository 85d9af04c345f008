//! Reconciles that panic: where, and what that does to others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Semaphore;
use watchcache::reconcile::{Action, Controller, Request};
use watchcache::{Key, KeyRef, Object, Store};

use crate::driven::Driven;
use crate::thing::{Log, Reconciling, Thing, gone, put, store, there};

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("on its way out");
    }
}

/// A reconcile that panics, by the value of its object: when it is called, at once, or later.
fn explosive(log: &Log) -> impl FnMut(Request<Thing>) -> Reconciling + Send + use<> {
    let log = log.clone();
    move |thing| {
        drop(log.begin(&thing));
        assert_ne!(thing.value, 1, "when called");
        Box::pin(async move {
            assert_ne!(thing.value, 2, "at once");
            tokio::task::yield_now().await;
            assert_ne!(thing.value, 3, "later");
            Ok(Action::await_change())
        })
    }
}

#[test]
fn a_panic_is_a_failure_of_its_key_alone() {
    for value in [1, 2, 3] {
        let things = store(&[("a/bad", value), ("a/good", 0)]);
        let log = Log::default();
        let failures = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&failures);
        let controller = Controller::new(&things);
        let queue = controller.queue().clone();
        let controller = controller.reconcile(explosive(&log)).on_outcome(move |outcome| {
            count.fetch_add(u32::from(outcome.result.is_err()), Ordering::SeqCst);
        });
        let mut controller = Driven::new(controller);
        controller.drive();
        let seen = log.take();
        assert!(seen.contains(&there("a/bad", value)) && seen.contains(&there("a/good", 0)));
        assert!(failures.load(Ordering::SeqCst) >= 1);
        let stats = queue.stats();
        assert_eq!((stats.processing, stats.abandoned), (0, 0), "it is retried");
        // It comes right when it is mended.
        put(&things, "a/bad", 0);
        controller.drive();
        assert!(log.take().contains(&there("a/bad", 0)));
    }
}

#[test]
fn a_callback_that_panics_does_no_harm() {
    let things = store(&[("a/x", 0), ("a/y", 0)]);
    let log = Log::default();
    let reconcile = log.clone();
    let controller = Controller::new(&things)
        .reconcile(move |thing| reconcile.clone().reconcile(thing))
        .on_outcome(|_| panic!("no outcome is good enough"));
    let mut controller = Driven::new(controller);
    controller.drive();
    assert_eq!(log.take(), [there("a/x", 0), there("a/y", 0)]);
    put(&things, "a/x", 1);
    controller.drive();
    assert_eq!(log.take(), [there("a/x", 1)]);
}

#[test]
fn functions_that_fail_are_counted() {
    for deletions in [false, true] {
        let things = store(&[("a/x", 1)]);
        let others = store(&[("a/other", 1)]);
        let log = Log::default();
        let reconcile = log.clone();
        let judged = |thing: &Thing| assert_ne!(thing.value, 5, "not a number to judge");
        let is_fine = move |thing: &Thing| {
            judged(thing);
            true
        };
        let leads_nowhere = move |thing: &Thing| {
            judged(thing);
            None
        };
        let controller = Controller::new(&things).filter(is_fine);
        let controller = if deletions { controller.deletions() } else { controller };
        let controller = controller.watches(others.subscribe().filter(is_fine), |_| None);
        let controller = controller.watches(others.subscribe(), leads_nowhere);
        let (faults, queue) = (controller.faults(), controller.queue().clone());
        let mut controller =
            Driven::new(controller.reconcile(move |thing| reconcile.clone().reconcile(thing)));
        controller.drive();
        assert_eq!(
            (log.take(), faults.filters(), faults.mappings()),
            (vec![there("a/x", 1)], 0, 0)
        );
        put(&others, "a/other", 5);
        controller.drive();
        let of_others = faults.filters();
        assert!(of_others > 0);
        assert_eq!(faults.mappings(), 1);
        put(&things, "a/x", 5);
        controller.drive();
        let told = faults.filters();
        assert!(told > of_others);
        // It seems to be deleted.
        let expected = if deletions { vec![gone("a/x", 1)] } else { vec![] };
        assert_eq!(log.take(), expected);
        // Whatever leads there.
        queue.add("a/x".parse::<Key>().unwrap()).unwrap();
        controller.drive();
        assert_eq!(log.take(), []);
        assert!(deletions || faults.filters() > told, "the store has it");
    }
}

#[test]
fn a_destructor_that_panics_ends_there() {
    // That of a mapping, too, when its store is gone or the controller is.
    for store_lives in [true, false] {
        let things = store(&[("a/bad", 0), ("a/good", 0)]);
        let others = store(&[]);
        let bomb = Bomb;
        let leads_nowhere = move |_: &Thing| {
            let _ = &bomb;
            None
        };
        let controller = Controller::new(&things).watches(others.subscribe(), leads_nowhere);
        let queue = controller.queue().clone();
        let waits = async |_: Request<Thing>| {
            let _bomb = Bomb;
            std::future::pending::<Result<Action, ()>>().await
        };
        let mut controller = Driven::new(controller.reconcile(waits));
        let others = store_lives.then_some(others);
        controller.drive();
        assert_eq!(queue.stats().processing, 2);
        drop((controller, others));
        assert_eq!(queue.stats().processing, 0);
        assert!(queue.is_closed());
    }
}

/// An object, or an error, that panics when it goes.
struct Fragile(bool);

impl Object for Fragile {
    fn key(&self) -> KeyRef<'_> {
        "a/x".into()
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        assert!(!self.0, "on its way out");
    }
}

#[test]
fn an_object_or_an_error_that_panics_when_it_goes_ends_no_controller() {
    let things = Arc::new(Store::new());
    things.mark_synced();
    let gate = Arc::new(Semaphore::new(0));
    let pass = Arc::clone(&gate);
    let controller = Controller::new(&things).reconcile(move |thing: Request<Fragile>| {
        let pass = Arc::clone(&pass);
        async move {
            let is_fragile = thing.0;
            drop(thing);
            pass.acquire().await.unwrap().forget();
            if is_fragile { Err(Fragile(true)) } else { Ok(Action::await_change()) }
        }
    });
    let queue = controller.queue().clone();
    let mut controller = Driven::new(controller);
    things.add(Fragile(true)).unwrap();
    controller.drive();
    // The controller has the last reference to it.
    things.add(Fragile(false)).unwrap();
    gate.add_permits(1);
    controller.drive();
    assert_eq!(queue.stats().processing, 1, "the next one runs");
    gate.add_permits(1);
    controller.drive();
    things.add(Fragile(true)).unwrap();
    controller.drive();
    things.add(Fragile(false)).unwrap();
    // Where it is dropped with its reconcile, too.
    drop(controller);
    assert!(queue.is_closed());
}
