//! Each change once, publication by publication, with what was before and what is now.

use std::collections::BTreeMap;

use watchcache::store::feed::{SubscribeError, TryNextError};
use watchcache::store::{Delivery, DeliveryKind, FeedLimits};
use watchcache::{ArcRef, Batch, Listing, Store};

use crate::common::Pod;
use crate::common::watchdog::sized;
use crate::follower::Follower;
use crate::thing::{Thing, batch, listing, put};

type Told = Vec<(String, Option<u32>, Option<u32>)>;

pub(crate) fn items(delivery: &Delivery<'_, Thing>) -> Told {
    let value = |object: Option<ArcRef<'_, Thing>>| object.map(|thing| thing.value);
    let mut items: Vec<_> = delivery
        .iter()
        .map(|item| (item.key.to_string(), value(item.old), value(item.new)))
        .collect();
    items.sort();
    items
}

fn told(key: &str, old: Option<u32>, new: Option<u32>) -> (String, Option<u32>, Option<u32>) {
    (key.to_owned(), old, new)
}

#[test]
fn each_publication_is_a_delivery_with_old_and_new() {
    let store = Store::new();
    put(&store, "a/x", 1);
    let mut subscription = store.subscribe().start().unwrap();
    assert_eq!(subscription.try_next().err(), Some(TryNextError::Empty));
    put(&store, "a/x", 2);
    store.apply(&batch(&[("a/y", Some(3)), ("a/x", None)]));

    let first = subscription.try_next().unwrap();
    assert_eq!(first.kind(), DeliveryKind::Changes);
    assert_eq!(first.revision().get(), 2);
    assert_eq!(items(&first), [told("a/x", Some(1), Some(2))]);
    drop(first);
    let second = subscription.try_next().unwrap();
    assert_eq!(items(&second), [told("a/x", Some(2), None), told("a/y", None, Some(3))]);
    assert_eq!(second.revision(), store.revision());
    drop(second);
    assert_eq!(subscription.try_next().err(), Some(TryNextError::Empty));
    assert_eq!(subscription.revision(), store.revision());
}

#[test]
fn a_key_that_changes_twice_in_a_batch_changes_once() {
    let store = Store::new();
    put(&store, "a/x", 1);
    let mut subscription = store.subscribe().start().unwrap();
    store.apply(&batch(&[
        ("a/x", None),
        ("a/x", Some(2)),
        ("a/x", Some(3)),
        ("a/came-and-went", Some(1)),
        ("a/came-and-went", None),
        ("a/new", Some(1)),
        ("a/new", None),
        ("a/new", Some(5)),
    ]));
    let delivery = subscription.try_next().unwrap();
    assert_eq!(items(&delivery), [told("a/new", None, Some(5)), told("a/x", Some(1), Some(3))]);
}

#[test]
fn begins_with_the_content_and_goes_on_from_there() {
    let store = Store::new();
    put(&store, "a/x", 1);
    put(&store, "a/y", 1);
    let subscription = store.subscribe().with_content().start().unwrap();
    let mut follower = Follower::new(subscription, BTreeMap::new());
    put(&store, "a/x", 2);
    // The content is that of the moment when it is asked for.
    assert_eq!(follower.drain(), 1);
    assert_eq!(follower.known["a/x"].value, 2);
    store.delete("a/x");
    assert_eq!(follower.drain(), 1);
    assert_eq!(follower.known.keys().collect::<Vec<_>>(), ["a/y"]);
}

#[test]
fn an_empty_content_is_told_too() {
    let store = Store::<Thing>::new();
    let mut subscription = store.subscribe().with_content().start().unwrap();
    let delivery = subscription.try_next().unwrap();
    assert_eq!((delivery.kind(), delivery.is_empty()), (DeliveryKind::Initial, true));
}

#[test]
fn begins_behind_a_snapshot_with_what_changed_since() {
    for always in [false, true] {
        let store = Store::builder().feed(FeedLimits::default().always(always)).build();
        put(&store, "a/x", 1);
        put(&store, "a/gone", 1);
        let snapshot = store.snapshot();
        put(&store, "a/x", 2);
        store.delete("a/gone");
        put(&store, "a/x", 3);

        let mut subscription = store.subscribe().since(&snapshot).start().unwrap();
        put(&store, "a/y", 4);
        let known = snapshot.iter().map(|(key, thing)| (key.to_string(), thing.to_arc()));
        let first = subscription.try_next().unwrap();
        // With a log the publications are told one by one.
        assert_eq!(first.is_coalesced(), !always);
        drop(first);
        let subscription = store.subscribe().since(&snapshot).start().unwrap();
        let mut follower = Follower::new(subscription, known.collect());
        follower.drain();
        let values: Vec<_> = follower.known.values().map(|thing| thing.value).collect();
        assert_eq!(values, [3, 4]);
        assert_eq!(follower.subscription.revision(), store.revision());
    }
}

#[test]
fn a_snapshot_of_another_store_is_refused() {
    let (store, other) = (Store::<Thing>::new(), Store::<Thing>::new());
    let refused = store.subscribe().since(&other.snapshot()).start();
    assert!(matches!(refused, Err(SubscribeError::DifferentStores(_))));
}

#[test]
fn a_relist_tells_real_differences_in_one_delivery() {
    let store = Store::new();
    let kept = Pod::new("a/kept", 1);
    for pod in [kept.clone(), Pod::new("a/changed", 1), Pod::new("a/gone", 1)] {
        store.add(pod).unwrap();
    }
    let mut subscription = store.subscribe().start().unwrap();
    let listed = vec![kept, Pod::new("a/changed", 2), Pod::new("a/new", 1)];
    store.replace(&Listing::new(listed, Some("9".into())).unwrap());
    let delivery = subscription.try_next().unwrap();
    assert!(delivery.is_relist());
    assert_eq!(delivery.resource_version().map(|version| version.as_str()), Some("9"));
    let mut told: Vec<_> = delivery
        .iter()
        .map(|item| (item.key.to_string(), item.old.is_some(), item.new.is_some()))
        .collect();
    told.sort();
    let expected = [("a/changed", true, true), ("a/gone", true, false), ("a/new", false, true)];
    assert_eq!(told, expected.map(|(key, old, new)| (key.to_owned(), old, new)));
    drop(delivery);
    assert!(subscription.try_next().is_err());
}

#[test]
fn a_version_without_a_change_is_progress() {
    let store = Store::new();
    let mut all = store.subscribe().start().unwrap();
    let mut some = store.subscribe().namespace("b").start().unwrap();
    let mut bookmark = Batch::<Thing>::new();
    bookmark.set_resource_version("7".into());
    store.apply(&bookmark);
    for subscription in [&mut all, &mut some] {
        let delivery = subscription.try_next().unwrap();
        assert_eq!((delivery.kind(), delivery.is_empty()), (DeliveryKind::Progress, true));
        assert_eq!(delivery.resource_version().map(|version| version.as_str()), Some("7"));
    }
}

#[test]
fn what_changes_nothing_is_not_told() {
    let store = Store::new();
    store.add(Pod::new("a/x", 1)).unwrap();
    let mut subscription = store.subscribe().start().unwrap();
    store.add(Pod::new("a/x", 1)).unwrap();
    store.delete("a/absent");
    assert!(subscription.try_next().is_err());
}

#[test]
fn what_was_published_before_the_store_went_is_told_before_the_end() {
    let store = Store::new();
    let mut subscription = store.subscribe().start().unwrap();
    put(&store, "a/x", 1);
    let revision = store.revision();
    drop(store);
    assert_eq!(subscription.try_next().unwrap().revision(), revision);
    assert_eq!(subscription.try_next().err(), Some(TryNextError::Ended));
    assert!(subscription.next().is_none());
}

#[test]
fn deliveries_can_be_kept() {
    const EACH: u32 = sized(200, 10) as u32;
    let store = Store::new();
    let subscription = store.subscribe().start().unwrap();
    for value in 0..EACH {
        put(&store, "a/x", value);
    }
    drop(store);
    let deliveries: Vec<_> = subscription.into_iter().collect();
    assert_eq!(deliveries.len(), EACH as usize);
    for (value, delivery) in (0..).zip(&deliveries) {
        let before = u32::checked_sub(value, 1);
        assert_eq!(items(delivery), [told("a/x", before, Some(value))]);
    }
}

#[test]
fn subscriptions_that_come_and_go_find_their_place() {
    let store = Store::new();
    for round in 0..sized(300, 9) as u32 {
        let known = |store: &Store<Thing>| {
            let snapshot = store.snapshot();
            snapshot.iter().map(|(key, thing)| (key.to_string(), thing.to_arc())).collect()
        };
        let mut follower = Follower::new(store.subscribe().start().unwrap(), known(&store));
        put(&store, &format!("a/{}", round % 7), round);
        // Ends while nobody else follows, or is given all at once by the next.
        if round % 3 == 0 {
            continue;
        }
        store.replace(&listing(&[("a/1", round), ("a/2", round)], None));
        assert_eq!(follower.drain(), 2);
        assert_eq!(follower.known, known(&store).into_iter().collect());
    }
}
