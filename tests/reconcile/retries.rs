//! Back-off, looking again later, and the error policy.

use std::future::{Ready, ready};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use watchcache::fifo::{Backoff, ManualClock};
use watchcache::reconcile::{Action, Controller, Reconciler, Request};
use watchcache::{Fifo, Key, Store};

use crate::driven::Driven;
use crate::thing::{Log, Reconciled, Thing, put, store, there};

const SECOND: Duration = Duration::from_secs(1);

/// A queue whose keys come back after 1, 2, 4 and at most 60 seconds of this clock.
fn queue(clock: &ManualClock) -> Fifo<Key> {
    let backoff = Backoff::new(SECOND, SECOND * 60);
    Fifo::builder().backoff(backoff).clock(clock).build().unwrap()
}

/// Fails of an odd value.
fn fussy(
    things: &Arc<Store<Thing>>,
    queue: &Fifo<Key>,
    log: &Log,
) -> Reconciler<Thing, impl FnMut(Request<Thing>) -> Ready<Reconciled> + Send + use<>, &'static str>
{
    let log = log.clone();
    Controller::with_queue(things, queue).reconcile(move |thing: Request<Thing>| {
        drop(log.begin(&thing));
        let is_odd = thing.value % 2 == 1;
        ready(if is_odd { Err("odd") } else { Ok(Action::await_change()) })
    })
}

/// Whether something was reconciled, once this time has passed.
fn after(controller: &mut Driven, clock: &ManualClock, log: &Log, time: Duration) -> bool {
    clock.advance(time);
    assert!(controller.drive().is_none());
    !log.take().is_empty()
}

#[test]
fn each_key_that_fails_has_a_back_off_of_its_own() {
    let clock = ManualClock::new();
    let queue = queue(&clock);
    let things = store(&[("a/bad", 1), ("a/good", 2)]);
    let log = Log::default();
    let mut controller = Driven::new(fussy(&things, &queue, &log));
    controller.drive();
    assert_eq!(log.take(), [there("a/bad", 1), there("a/good", 2)]);
    for wait in [1, 2, 4, 8] {
        assert!(!after(&mut controller, &clock, &log, SECOND * wait - SECOND / 10));
        put(&things, "a/good", 2 * wait);
        controller.drive();
        assert_eq!(log.take(), [there("a/good", 2 * wait)], "others do not wait");
        assert!(after(&mut controller, &clock, &log, SECOND / 10));
    }
    assert_eq!(queue.stats().retries, 5);
    // A change comes at once, and what works starts over.
    put(&things, "a/bad", 2);
    controller.drive();
    assert_eq!(log.take(), [there("a/bad", 2)]);
    put(&things, "a/bad", 3);
    controller.drive();
    log.take();
    assert!(after(&mut controller, &clock, &log, SECOND));
}

#[test]
fn a_queue_without_a_limiter_has_the_default_back_off() {
    let clock = ManualClock::new();
    let queue = Fifo::builder().clock(&clock).build().unwrap();
    let things = store(&[("a/bad", 1)]);
    let log = Log::default();
    let mut controller = Driven::new(fussy(&things, &queue, &log));
    controller.drive();
    assert_eq!(log.take(), [there("a/bad", 1)], "once");
    for failures in 1..6 {
        // Jitter shortens it by up to a tenth.
        let wait = Backoff::default().after(failures);
        assert!(!after(&mut controller, &clock, &log, wait / 2));
        assert!(after(&mut controller, &clock, &log, wait / 2));
    }
}

#[test]
fn a_key_comes_back_when_it_was_asked_for_or_with_its_next_change() {
    let clock = ManualClock::new();
    let queue = queue(&clock);
    let things = store(&[("a/x", 1)]);
    let log = Log::default();
    let reconcile = log.clone();
    let controller = Controller::with_queue(&things, &queue).reconcile(move |thing| {
        drop(reconcile.begin(&thing));
        ready(Ok::<_, ()>(Action::requeue_after(SECOND * 600)))
    });
    let mut controller = Driven::new(controller);
    controller.drive();
    log.take();
    assert!(!after(&mut controller, &clock, &log, SECOND * 599));
    assert!(after(&mut controller, &clock, &log, SECOND));
    put(&things, "a/x", 2);
    controller.drive();
    assert_eq!(log.take(), [there("a/x", 2)]);
    assert!(!after(&mut controller, &clock, &log, SECOND * 599));
    // What is gone is not looked at again.
    things.delete("a/x");
    assert!(!after(&mut controller, &clock, &log, SECOND * 600));
    assert_eq!(queue.stats().delayed, 0);
}

#[test]
fn what_is_not_done_yet_backs_off_without_an_error() {
    let clock = ManualClock::new();
    let queue = queue(&clock);
    let things = store(&[("a/x", 1)]);
    let log = Log::default();
    let reconcile = log.clone();
    let controller = Controller::with_queue(&things, &queue).reconcile(move |thing| {
        drop(reconcile.begin(&thing));
        let is_third = thing.failures() == 2;
        let action = if is_third { Action::await_change() } else { Action::back_off() };
        ready(Ok::<_, ()>(action))
    });
    let mut controller = Driven::new(controller);
    controller.drive();
    log.take();
    assert!(after(&mut controller, &clock, &log, SECOND));
    assert!(after(&mut controller, &clock, &log, SECOND * 2));
    assert!(!after(&mut controller, &clock, &log, SECOND * 600));
}

#[test]
fn failures_count_on_whatever_the_policy_says_until_one_works() {
    let clock = ManualClock::new();
    let queue = queue(&clock);
    let things = store(&[("a/x", 1)]);
    let (log, counted) = (Log::default(), Arc::new(Mutex::new(Vec::new())));
    let count = Arc::clone(&counted);
    let controller = fussy(&things, &queue, &log).on_error(move |thing, _| {
        count.lock().unwrap().push(thing.failures());
        match thing.failures() {
            1 => Action::back_off(),
            _ => Action::requeue_after(SECOND * 30),
        }
    });
    let mut controller = Driven::new(controller);
    controller.drive();
    log.take();
    // A second failure backs off for two seconds.
    for wait in [30, 2, 30] {
        assert!(!after(&mut controller, &clock, &log, SECOND * wait - SECOND / 10));
        assert!(after(&mut controller, &clock, &log, SECOND / 10));
    }
    assert_eq!((&counted.lock().unwrap()[..], queue.stats().retries), (&[0, 1, 2, 3][..], 4));
    put(&things, "a/x", 2);
    controller.drive();
    put(&things, "a/x", 3);
    controller.drive();
    assert_eq!(counted.lock().unwrap().last(), Some(&0), "it has worked meanwhile");
}

#[test]
fn an_error_policy_says_when_to_try_again() {
    let clock = ManualClock::new();
    let queue = queue(&clock);
    let things = store(&[("a/x", 1)]);
    let log = Log::default();
    let controller = fussy(&things, &queue, &log).on_error(|thing, error| match thing.value {
        1 => Action::requeue_after(SECOND * 30),
        3 => panic!("no policy for {error}"),
        // It gives up.
        _ => Action::await_change(),
    });
    let mut controller = Driven::new(controller);
    controller.drive();
    log.take();
    assert!(!after(&mut controller, &clock, &log, SECOND * 29));
    assert!(after(&mut controller, &clock, &log, SECOND));
    put(&things, "a/x", 3);
    controller.drive();
    log.take();
    assert!(
        after(&mut controller, &clock, &log, SECOND * 4),
        "it backs off, as after a third failure"
    );
    put(&things, "a/x", 5);
    controller.drive();
    log.take();
    assert!(!after(&mut controller, &clock, &log, SECOND * 600));
}
