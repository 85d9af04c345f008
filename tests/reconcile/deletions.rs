//! What is gone.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;
use watchcache::fifo::{Backoff, ManualClock};
use watchcache::reconcile::{Action, Controller, Request};
use watchcache::store::FeedLimits;
use watchcache::{Batch, Fifo, KeyRef, Listing, Object, Store};

use crate::basics::held;
use crate::driven::Driven;
use crate::thing::{Log, Thing, gone, key, put, put_owned, store, there};

#[test]
fn what_is_gone_is_left_alone_by_default() {
    let things = store(&[("a/x", 1), ("a/y", 1)]);
    let (log, gate) = (Log::default(), Arc::new(Semaphore::new(0)));
    let controller = Controller::new(&things).concurrency(1);
    let queue = controller.queue().clone();
    let mut controller = Driven::new(controller.reconcile(held(&log, &gate)));
    controller.drive();
    let first = log.take();
    assert_eq!(first.len(), 1);
    // One of them runs, the other waits.
    things.delete("a/x");
    things.delete("a/y");
    controller.drive();
    assert_eq!(queue.stats().depth, 0);
    gate.add_permits(2);
    controller.drive();
    assert_eq!(log.take(), []);
}

#[test]
fn what_is_gone_comes_with_its_last_state_until_that_works() {
    let things = store(&[("a/x", 1), ("a/y", 1)]);
    let others = store(&[]);
    let (log, works) = (Log::default(), Arc::new(AtomicBool::new(false)));
    let (reconcile, may) = (log.clone(), Arc::clone(&works));
    // What fails is tried again at once.
    let queue = Fifo::builder().backoff(Backoff::new(Duration::ZERO, Duration::ZERO));
    let controller = Controller::with_queue(&things, &queue.build().unwrap())
        .deletions()
        .watches(others.subscribe(), |other: &Thing| other.owner.clone())
        .reconcile(move |thing: Request<Thing>| {
            drop(reconcile.begin(&thing));
            let works = !thing.is_deleted() || may.load(Ordering::SeqCst);
            may.store(true, Ordering::SeqCst);
            std::future::ready(if works { Ok(Action::await_change()) } else { Err("not yet") })
        });
    let mut controller = Driven::new(controller);
    controller.drive();
    log.take();
    works.store(false, Ordering::SeqCst);
    put(&things, "a/x", 2);
    things.delete("a/x");
    controller.drive();
    assert_eq!(log.take(), [gone("a/x", 2), gone("a/x", 2)]);
    // That was it, whatever leads there.
    put_owned(&others, "a/other", "a/x");
    controller.drive();
    assert_eq!(log.take(), []);
    // However it is learnt of.
    let y = Thing { key: key("a/z"), value: 1, owner: None };
    things.replace(&Listing::new([y], None).unwrap());
    controller.drive();
    assert_eq!(log.take(), [gone("a/y", 1), there("a/z", 1)]);
}

#[test]
fn a_deletion_that_asks_for_another_look_gets_it() {
    let things = store(&[("a/x", 1)]);
    let log = Log::default();
    let reconcile = log.clone();
    let mut looks = 0;
    let controller = Controller::new(&things).deletions().reconcile(move |thing| {
        drop(reconcile.begin(&thing));
        looks += u32::from(thing.is_deleted());
        let again = looks == 1;
        let action = Action::requeue_after(Duration::ZERO);
        std::future::ready(Ok::<_, ()>(if again { action } else { Action::await_change() }))
    });
    let mut controller = Driven::new(controller);
    controller.drive();
    log.take();
    things.delete("a/x");
    controller.drive();
    assert_eq!(log.take(), [gone("a/x", 1), gone("a/x", 1)]);
}

#[test]
fn what_is_made_anew_is_not_gone() {
    let things = store(&[("a/x", 1)]);
    let (log, gate) = (Log::default(), Arc::new(Semaphore::new(0)));
    let controller = Controller::new(&things).deletions();
    let mut controller = Driven::new(controller.reconcile(held(&log, &gate)));
    controller.drive();
    assert_eq!(log.take(), [there("a/x", 1)]);
    things.delete("a/x");
    put(&things, "a/x", 2);
    controller.drive();
    gate.add_permits(1);
    controller.drive();
    assert_eq!(log.take(), [there("a/x", 2)]);
    gate.add_permits(1);
    controller.drive();
    assert_eq!(log.take(), []);
}

#[test]
fn what_goes_again_while_its_end_is_reconciled_ends_again() {
    let things = store(&[("a/x", 1)]);
    let (log, gate) = (Log::default(), Arc::new(Semaphore::new(1)));
    let controller = Controller::new(&things).deletions();
    let mut controller = Driven::new(controller.reconcile(held(&log, &gate)));
    controller.drive();
    log.take();
    things.delete("a/x");
    controller.drive();
    assert_eq!(log.take(), [gone("a/x", 1)]);
    put(&things, "a/x", 2);
    controller.drive();
    things.delete("a/x");
    controller.drive();
    gate.add_permits(2);
    controller.drive();
    assert_eq!(log.take(), [gone("a/x", 2)]);
}

#[test]
fn what_came_and_went_before_anybody_looked_is_nothing() {
    let things = Store::new();
    things.mark_synced();
    let things = Arc::new(things);
    let log = Log::default();
    let reconcile = log.clone();
    let controller = Controller::new(&things)
        .deletions()
        .reconcile(move |thing| reconcile.clone().reconcile(thing));
    let mut controller = Driven::new(controller);
    controller.drive();
    let mut batch = Batch::new();
    batch.add(Thing { key: key("a/x"), value: 1, owner: None }).unwrap();
    batch.delete("a/x");
    things.apply(&batch);
    controller.drive();
    assert_eq!(log.take(), []);
}

#[test]
fn nothing_is_there_that_was_not_told_or_its_end_would_not_come() {
    let things = store(&[]);
    let log = Log::default();
    let reconcile = log.clone();
    let controller = Controller::new(&things).settle(Duration::from_secs(3600)).deletions();
    let queue = controller.queue().clone();
    let mut controller =
        Driven::new(controller.reconcile(move |thing| reconcile.clone().reconcile(thing)));
    for name in ["a/1", "a/2", "a/3"] {
        put(&things, name, 1);
        controller.drive();
    }
    let told = log.take();
    assert!(!told.contains(&there("a/3", 1)), "{told:?}");
    queue.add(key("a/3")).unwrap();
    controller.drive();
    assert_eq!(log.take(), []);
}

/// The end of what a filter fails on is told, though it is there, and wanted when the filter is asked again.
#[test]
fn what_seems_gone_as_a_filter_failed_once_is_there() {
    // The subscription asks it once or twice.
    for (others, fail) in [(false, 1), (true, 1), (false, 2), (true, 2)] {
        let things = store(&[("a/x", 1)]);
        let log = Log::default();
        let reconcile = log.clone();
        let fails = AtomicU32::new(fail);
        let clock = ManualClock::new();
        let queue = Fifo::builder().clock(&clock).build().unwrap();
        let controller = Controller::with_queue(&things, &queue)
            .filter(move |thing: &Thing| {
                let fails = thing.value == 2
                    && fails
                        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                            left.checked_sub(1)
                        })
                        .is_ok();
                assert!(!fails, "it fails at first");
                thing.key != key("a/unwanted")
            })
            .deletions()
            .reconcile(move |thing| reconcile.clone().reconcile(thing));
        let mut controller = Driven::new(controller);
        controller.drive();
        assert_eq!(log.take(), [there("a/x", 1)]);
        put(&things, "a/x", 2);
        if others {
            // Of which nothing is told.
            put(&things, "a/unwanted", 1);
        }
        for second in 0..3 {
            controller.drive();
            clock.advance(Duration::from_secs(1));
            let mut batch = Batch::new();
            batch.set_resource_version((100 + second).to_string().into());
            things.apply(&batch);
        }
        controller.drive();
        assert_eq!(log.take(), [there("a/x", 2)], "{others} {fail}");
        clock.advance(Duration::from_secs(60));
        controller.drive();
        assert_eq!(log.take(), []);
        things.delete("a/x");
        controller.drive();
        assert_eq!(log.take(), [gone("a/x", 2)]);
    }
}

/// An object with a version, which is what it has instead of a value.
struct Volume(String);

impl Object for Volume {
    fn key(&self) -> KeyRef<'_> {
        "a/x".into()
    }

    fn resource_version(&self) -> Option<&str> {
        Some(&self.0)
    }
}

#[test]
fn what_is_gone_was_at_least_what_was_reconciled_last() {
    let volumes = Arc::new(Store::new());
    let put = |version: u64| _ = volumes.add(Volume(version.to_string())).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&seen);
    let controller = Controller::new(&volumes).settle(Duration::from_millis(300)).deletions();
    let queue = controller.queue().clone();
    let controller = controller.reconcile(move |volume: Request<Volume>| {
        note.lock().unwrap().push((volume.0.clone(), volume.is_deleted()));
        std::future::ready(Ok::<_, ()>(Action::await_change()))
    });
    let mut controller = Driven::new(controller);
    volumes.mark_synced();
    put(1);
    let mut seen = |count: usize| {
        while seen.lock().unwrap().len() < count {
            controller.drive();
            std::thread::sleep(Duration::from_millis(1));
        }
        std::mem::take(&mut *seen.lock().unwrap())
    };
    assert_eq!(seen(1), [("1".to_owned(), false)]);
    // The store is ahead of what is told: this is reconciled, and told only as what is gone.
    put(2);
    queue.add(key("a/x")).unwrap();
    let reconciled = seen(1);
    volumes.delete("a/x");
    assert_eq!(reconciled, [("2".to_owned(), false)]);
    assert_eq!(seen(1), [("2".to_owned(), true)]);
}

/// One that is made anew has another uid, if it has any. Its value is its version.
struct Made {
    name: &'static str,
    uid: Option<&'static str>,
    version: String,
}

impl Object for Made {
    fn key(&self) -> KeyRef<'_> {
        ("a", self.name).into()
    }

    fn uid(&self) -> Option<&str> {
        self.uid
    }

    fn resource_version(&self) -> Option<&str> {
        Some(&self.version)
    }
}

/// After how many deliveries a handler leaves others their turn.
const TURN: u64 = 64;

/// The end of one, and the next of its key, are told in two turns, when the next is reconciled already. Later it
/// goes, too, if `goes`, in the turn in between, and so that this is told to nobody. Returns what was reconciled of
/// it: its version, and whether it was gone.
fn made_anew_between_two_turns(uids: [Option<&'static str>; 2], goes: bool) -> Vec<(String, bool)> {
    let limits = FeedLimits::default().log(8 * TURN as usize, usize::MAX);
    let store = Arc::new(Store::<Made>::builder().feed(limits).build());
    let put = |store: &Store<Made>, name, uid, version: u64| {
        store.add(Made { name, uid, version: version.to_string() }).unwrap();
    };
    let busy = move |store: &Store<Made>, versions: Range<u64>| {
        versions.for_each(|version| put(store, "busy", None, version));
    };
    put(&store, "x", uids[0], 1);
    store.mark_synced();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (clock, is_armed) = (ManualClock::new(), Arc::new(AtomicBool::new(false)));
    let queue = Fifo::builder().clock(&clock).build().unwrap();
    let (note, armed, held) = (Arc::clone(&seen), Arc::clone(&is_armed), Arc::clone(&store));
    let controller = Controller::with_queue(&store, &queue).deletions();
    let mut controller = Driven::new(controller.reconcile(move |made: Request<Made>| {
        if made.name == "x" {
            note.lock().unwrap().push((made.version.clone(), made.is_deleted()));
        }
        // Of the other one: when this turn's reconciles have begun.
        let is_second = made.name == "busy" && armed.swap(true, Ordering::SeqCst);
        let held = (is_second && goes).then(|| Arc::clone(&held));
        async move {
            if let Some(store) = held {
                store.delete("a/x");
                busy(&store, 1000..1000 + 20 * TURN);
            }
            Ok::<_, ()>(Action::await_change())
        }
    }));
    controller.drive();
    put(&store, "x", uids[0], 2);
    busy(&store, 3..2 * TURN);
    store.delete("a/x");
    // Not in the part of the log that the end is in.
    busy(&store, 2 * TURN..4 * TURN);
    put(&store, "x", uids[1], 500);
    for _ in 0..2 {
        controller.drive();
        clock.advance(Duration::from_secs(60));
    }
    controller.drive();
    std::mem::take(&mut *seen.lock().unwrap())
}

#[test]
fn what_was_made_anew_and_reconciled_before_it_was_told_is_not_gone() {
    for uids in [[Some("1"), Some("2")], [None, None]] {
        let seen = made_anew_between_two_turns(uids, false);
        assert!(seen.contains(&("500".into(), false)), "{seen:?}");
        assert!(!seen.contains(&("500".into(), true)), "{uids:?}: {seen:?}");
    }
}

/// Nothing is told of what came and went in between: its end is found out all the same.
#[test]
fn what_was_reconciled_before_it_was_told_ends_though_it_never_is() {
    for uids in [[Some("1"), Some("2")], [None, None]] {
        let seen = made_anew_between_two_turns(uids, true);
        assert_eq!(seen.last(), Some(&("500".into(), true)), "{uids:?}: {seen:?}");
        assert_eq!(seen.iter().filter(|(_, gone)| *gone).count(), 1, "{uids:?}: {seen:?}");
    }
}
