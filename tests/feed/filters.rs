//! A subscription that is about some objects: one that comes to be such is new, one that ceases is gone.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use watchcache::Store;
use watchcache::store::feed::{Handler, NextError, Registration, Subscribe, TryNextError};
use watchcache::store::{DeliveryKind, FeedLimits, Index};

use crate::basics::items;
use crate::common::watchdog::{sized, watched};
use crate::follower::Follower;
use crate::handlers::drive;
use crate::thing::{Thing, app, batch, put};

fn owned(expected: &[(&str, Option<u32>, Option<u32>)]) -> Vec<(String, Option<u32>, Option<u32>)> {
    expected.iter().map(|(key, old, new)| ((*key).to_owned(), *old, *new)).collect()
}

#[test]
fn a_namespace() {
    let store = Store::new();
    put(&store, "a/x", 1);
    put(&store, "b/x", 1);
    put(&store, "node", 1);
    let mut a = store.subscribe().namespace("a").with_content().start().unwrap();
    let mut cluster = store.subscribe().namespace(None).with_content().start().unwrap();
    assert_eq!(items(&a.try_next().unwrap()), owned(&[("a/x", None, Some(1))]));
    assert_eq!(items(&cluster.try_next().unwrap()), owned(&[("node", None, Some(1))]));
    put(&store, "b/x", 2);
    store.apply(&batch(&[("b/x", Some(3)), ("a/x", Some(2)), ("node", None)]));
    put(&store, "b/x", 4);
    assert_eq!(items(&a.try_next().unwrap()), owned(&[("a/x", Some(1), Some(2))]));
    assert_eq!(items(&cluster.try_next().unwrap()), owned(&[("node", Some(1), None)]));
    assert!(a.try_next().is_err(), "what it is not about is not told");
    assert_eq!(a.revision(), store.revision(), "and it is beyond that");
}

#[test]
fn each_one_that_is_given_narrows_it() {
    let by_value = Index::new("value", |thing: &Thing| [thing.value]);
    let store = Store::builder().index(&by_value).build();
    let counts = |subscribe: Subscribe<'_, Thing>| {
        let mut subscription = subscribe.with_content().start().unwrap();
        subscription.try_next().unwrap().iter().count()
    };
    put(&store, "a/x", 1);
    put(&store, "b/x", 2);
    let all = || store.subscribe();
    assert_eq!(counts(all().namespace("a").namespace("b")), 0);
    assert_eq!(counts(all().namespace("a").namespace("a")), 1);
    assert_eq!(counts(all().namespace("")), 0, "the cluster-scoped ones");
    let (odd, even) = ("app=odd".parse().unwrap(), "app=even".parse().unwrap());
    assert_eq!(counts(all().labels(odd).labels(even)), 0);
    assert_eq!(counts(all().index(&by_value, 1_u32).index(&by_value, 2_u32)), 0);
}

/// Whoever is asked may write, and so there is always more.
#[test]
fn a_look_ends_however_much_comes_meanwhile() {
    watched(|| {
        let store = Arc::new(Store::new());
        let writes = Arc::downgrade(&store);
        let write = move |_: &Thing| {
            if let Some(store) = writes.upgrade() {
                put(&store, "b/x", 1);
            }
            false
        };
        let mut subscription = store.subscribe().filter(write).start().unwrap();
        put(&store, "a/x", 1);
        assert_eq!(subscription.try_next().err(), Some(TryNextError::Empty));
        let waited = subscription.next_timeout(Duration::from_millis(1));
        assert_eq!(waited.err(), Some(NextError::Timeout));
        let mut wait = pin!(subscription.next_async());
        assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    });
}

#[test]
fn labels_enter_and_leave() {
    let store = Store::new();
    let selector = "app=even".parse().unwrap();
    let mut subscription = store.subscribe().labels(selector).start().unwrap();
    for value in [1, 2, 4, 5, 7, 8] {
        put(&store, "a/x", value);
    }
    store.delete("a/x");
    let mut told = Vec::new();
    while let Ok(delivery) = subscription.try_next() {
        told.extend(items(&delivery));
    }
    let expected = [
        ("a/x", None, Some(2)),
        ("a/x", Some(2), Some(4)),
        ("a/x", Some(4), None),
        ("a/x", None, Some(8)),
        ("a/x", Some(8), None),
    ];
    assert_eq!(told, owned(&expected));
}

#[test]
fn an_index_value_enters_and_leaves() {
    let by_app = Index::new("app", |thing: &Thing| [app(thing.value)]);
    let store = Store::builder().index(&by_app).build();
    put(&store, "a/old", 2);
    let subscription = store.subscribe().index(&by_app, "even").with_content().start().unwrap();
    let mut follower = Follower::new(subscription, BTreeMap::new());
    for value in 0..10 {
        put(&store, "a/x", value);
        put(&store, "b/x", value + 1);
        follower.drain();
        let held = store.snapshot();
        let held: BTreeMap<_, _> = held
            .by(&by_app, "even")
            .map(|(key, thing)| (key.to_string(), thing.to_arc()))
            .collect();
        assert_eq!(follower.known, held);
    }
    let by_value = Index::new("value", |thing: &Thing| [thing.value]);
    let mut without = store.subscribe().index(&by_value, 9_u32).with_content().start().unwrap();
    let expected: Vec<_> =
        store.snapshot().by(&by_value, &9).map(|(key, _)| key.to_string()).collect();
    let told = without.try_next().unwrap();
    let told: Vec<_> = told.iter().map(|item| item.key.to_string()).collect();
    assert_eq!((told.len(), told), (1, expected), "by an index that the store does not have");
}

#[test]
fn all_of_them_at_once_and_behind_the_log() {
    let by_key = Index::new("key", |thing: &Thing| [thing.key.clone()]);
    let store =
        Store::builder().feed(FeedLimits::default().log(16, usize::MAX)).index(&by_key).build();
    let mut subscription = store
        .subscribe()
        .namespace("a")
        .labels("app=even".parse().unwrap())
        .index(&by_key, "a/x")
        .start()
        .unwrap();
    put(&store, "a/x", 2);
    put(&store, "a/y", 2);
    put(&store, "b/x", 2);
    assert_eq!(items(&subscription.try_next().unwrap()), owned(&[("a/x", None, Some(2))]));
    for i in 0..sized(100, 40) as u32 {
        put(&store, "b/x", i);
    }
    put(&store, "a/x", 3);
    for i in 0..sized(100, 40) as u32 {
        put(&store, "b/x", i);
    }
    let delivery = subscription.try_next().unwrap();
    assert_eq!(delivery.kind(), DeliveryKind::Coalesced);
    assert_eq!(items(&delivery), owned(&[("a/x", Some(2), None)]));
}

/// The handler, and a queue's, is told that it is gone, which it is not.
#[test]
fn a_registration_tells_of_filters_that_fail() {
    let store = Store::new();
    let fifo = watchcache::Fifo::new();
    let odd = |thing: &Thing| match thing.value {
        5 => panic!("not a number to judge"),
        value => value % 2 == 1,
    };
    let handling = store.subscribe().filter(odd).handle(Nothing).unwrap();
    let feeding = store.subscribe().filter(odd).enqueue(&fifo).unwrap();
    let registrations = [handling.registration(), feeding.registration()];
    put(&store, "a/x", 3);
    let mut tasks = (pin!(handling.run_async()), pin!(feeding.run_async()));
    drive(tasks.0.as_mut());
    drive(tasks.1.as_mut());
    assert_eq!(registrations.each_ref().map(Registration::failures), [0, 0]);
    assert_eq!(fifo.len(), 1);
    put(&store, "a/x", 5);
    drive(tasks.0.as_mut());
    drive(tasks.1.as_mut());
    assert!(fifo.is_empty());
    assert!(registrations.iter().all(|registration| registration.failures() > 0));
}

struct Nothing;

impl Handler<Thing> for Nothing {}

#[test]
fn a_selector_that_panics_harms_nobody_else() {
    let store = Store::new();
    let mut selecting = store.subscribe().labels("app=even".parse().unwrap()).start().unwrap();
    let mut all = store.subscribe().start().unwrap();
    let trap = Arc::new(AtomicBool::new(true));
    store.add(Thing { trap: Some(Arc::clone(&trap)), ..Thing::new("a/trap", 2) }).unwrap();
    put(&store, "a/x", 2);

    assert_eq!(items(&all.try_next().unwrap()), owned(&[("a/trap", None, Some(2))]));
    assert_eq!(items(&all.try_next().unwrap()), owned(&[("a/x", None, Some(2))]));
    assert_eq!(items(&selecting.try_next().unwrap()), owned(&[("a/x", None, Some(2))]));
    assert_eq!(selecting.failures(), 1);
    store.delete("a/trap");
    assert!(selecting.try_next().is_err(), "it never was what this is about");
    trap.store(false, Ordering::Relaxed);
}
