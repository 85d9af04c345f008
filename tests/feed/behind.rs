//! A subscriber that falls behind is told so, loses nothing, and is not fed for ever.

use std::collections::BTreeMap;
use std::time::Duration;

use watchcache::store::feed::FeedStats;
use watchcache::store::{DeliveryKind, FeedLimits};
use watchcache::{Batch, KeyRef, Object, Store};

use crate::basics::items;
use crate::common::canary::Ledger;
use crate::common::watchdog::{eventually, sized};
use crate::follower::Follower;
use crate::thing::{Thing, batch, put};

const LONG: Duration = Duration::from_secs(3600);

/// Many more changes than the smallest of logs has.
const BUSY: u32 = sized(200, 60) as u32;

fn small(changes: usize) -> Store<Thing> {
    Store::builder().feed(FeedLimits::default().log(changes, usize::MAX)).build()
}

#[test]
fn what_the_log_has_left_is_told_as_a_difference() {
    let store = small(32);
    put(&store, "a/updated", 1);
    put(&store, "a/deleted", 1);
    put(&store, "a/restored", 1);
    let mut subscription = store.subscribe().start().unwrap();
    store.delete("a/deleted");
    for value in 0..BUSY {
        put(&store, "a/busy", value);
    }
    put(&store, "a/updated", 2);
    put(&store, "a/short", 1);
    store.delete("a/short");
    let delivery = subscription.try_next().unwrap();
    assert_eq!(delivery.kind(), DeliveryKind::Coalesced);
    assert_eq!(delivery.revision(), store.revision());
    let expected = [
        ("a/busy", None, Some(BUSY - 1)),
        ("a/deleted", Some(1), None),
        ("a/updated", Some(1), Some(2)),
    ];
    assert_eq!(items(&delivery), expected.map(|(key, old, new)| (key.to_owned(), old, new)));
    drop(delivery);
    put(&store, "a/next", 1);
    assert_eq!(subscription.try_next().unwrap().kind(), DeliveryKind::Changes);
    assert!(subscription.try_next().is_err());
}

/// As what is in the log is.
#[test]
fn a_bookmark_in_a_difference_is_told_whatever_it_is_about() {
    for told in [0, 3] {
        let store = small(32);
        let odd = |thing: &Thing| thing.value % 2 == 1;
        let mut subscription = store.subscribe().filter(odd).start().unwrap();
        let bookmark = |version: u64| {
            let mut batch = Batch::new();
            batch.set_resource_version(version.to_string().into());
            store.apply(&batch);
        };
        for version in 0..told {
            bookmark(version);
            assert!(subscription.try_next().is_ok());
        }
        let busy = || (0..BUSY).for_each(|value| put(&store, "a/busy", 2 * value));
        busy();
        bookmark(50);
        busy();
        let delivery = subscription.try_next().unwrap();
        assert_eq!((delivery.kind(), delivery.is_empty()), (DeliveryKind::Coalesced, true));
        assert_eq!(delivery.resource_version(), Some(&"50".into()));
        drop(delivery);
        // Nothing of that is news to it.
        busy();
        assert!(subscription.try_next().is_err());
    }
}

#[test]
fn a_difference_begins_with_what_was_told_last() {
    // However much of a segment was told before the log went on.
    for told in (0..70).step_by(sized(1, 33)) {
        let store = small(64);
        let mut follower = Follower::new(store.subscribe().start().unwrap(), BTreeMap::new());
        for i in 0..told {
            // Keys that come, change and go within what is told.
            let key = format!("a/{}", i % 5);
            if i % 7 == 6 {
                drop(store.delete(key.as_str()))
            } else {
                put(&store, &key, i)
            }
            assert!(follower.step() || i % 7 == 6);
        }
        for i in 0..sized(300, 80) as u32 {
            let key = format!("a/{}", i % 6);
            if i % 4 == 3 { drop(store.delete(key.as_str())) } else { put(&store, &key, 1000 + i) }
        }
        let told = follower.drain();
        assert!(told < 100, "{told} deliveries of a log of 64");
        let held = store.snapshot();
        let held: BTreeMap<_, _> =
            held.iter().map(|(key, thing)| (key.to_string(), thing.to_arc())).collect();
        assert_eq!(follower.known, held);
    }
}

#[test]
fn a_publication_larger_than_the_log_is_told_as_a_difference() {
    let store = small(16);
    let mut follower = Follower::new(store.subscribe().start().unwrap(), BTreeMap::new());
    put(&store, "a/x", 1);
    let names: Vec<_> = (0..100).map(|i| format!("b/{i}")).collect();
    let changes: Vec<_> = names.iter().map(|name| (name.as_str(), Some(1))).collect();
    store.apply(&batch(&changes));
    put(&store, "a/x", 2);
    follower.drain();
    assert_eq!(follower.known.len(), 101);
    assert_eq!(follower.known["a/x"].value, 2);
}

#[test]
fn whether_a_publication_is_kept_depends_on_its_own_size_alone() {
    let changes = |count| {
        let names: Vec<_> = (0..count).map(|i| format!("b/{i}")).collect();
        let changes: Vec<_> = names.iter().map(|name| (name.as_str(), Some(1))).collect();
        batch(&changes)
    };
    for (held, size, is_kept) in
        [(0, 700, true), (100, 700, true), (0, 701, false), (100, 701, false)]
    {
        let store = small(800);
        let mut subscription = store.subscribe().start().unwrap();
        put(&store, "a/x", 0);
        while subscription.try_next().is_ok() {}
        // It is a segment behind: the first write is in it, too.
        (1..64).for_each(|value| put(&store, "a/x", value));
        store.apply(&changes(held));
        store.apply(&changes(size));
        assert!(store.stats().feed.log_changes <= 800);
        let mut kinds = Vec::new();
        while let Ok(delivery) = subscription.try_next() {
            kinds.push(delivery.kind());
        }
        let is_told_each = !kinds.contains(&DeliveryKind::Coalesced);
        assert_eq!(is_told_each, is_kept, "{size} behind {held}: {kinds:?}");
    }
}

/// Words that are only remembered, of which readers see nothing.
#[test]
fn the_log_counts_what_it_keeps_of_what_is_assumed() {
    let ledger = Ledger::new();
    let limits = FeedLimits::default().log(100, usize::MAX).always(true);
    let store = Store::builder().feed(limits).build();
    store.add(ledger.canary("a/x").version(1)).unwrap();
    store.assume(ledger.canary("a/x").version(1_000_000), LONG).unwrap();
    for version in 2..5_000 {
        store.add(ledger.canary("a/x").version(version)).unwrap();
    }
    assert!((1..=100).contains(&store.stats().feed.log_changes));
    // As below.
    eventually("most are let go", || {
        drop(store.stats());
        ledger.alive() < 300
    });

    struct Heavy(String);
    impl Object for Heavy {
        fn key(&self) -> KeyRef<'_> {
            "a/x".into()
        }
        fn resource_version(&self) -> Option<&str> {
            Some(&self.0)
        }
        fn size(&self) -> usize {
            10_000
        }
    }
    let limits = FeedLimits::default().log(usize::MAX, 100_000).always(true);
    let store = Store::builder().feed(limits).build();
    let heavy = |version: u64| Heavy(version.to_string());
    store.add(heavy(1)).unwrap();
    store.assume(heavy(1_000), LONG).unwrap();
    for version in 2..100 {
        store.add(heavy(version)).unwrap();
    }
    // Each word keeps itself, and what is assumed.
    let FeedStats { log_changes, log_bytes, .. } = store.stats().feed;
    assert!((1..=5).contains(&log_changes), "{log_changes} words are in the log");
    assert!((20_000..=100_000).contains(&log_bytes));
}

#[test]
fn large_publications_are_no_reason_to_look_seldom() {
    let limits = FeedLimits::default().log(1_000_000, usize::MAX).behind(512, usize::MAX);
    let store = Store::builder().feed(limits).build();
    let names: Vec<_> = (0..500).map(|i| format!("a/{i}")).collect();
    let all = |value| {
        let changes: Vec<_> = names.iter().map(|name| (name.as_str(), Some(value))).collect();
        store.apply(&batch(&changes));
    };
    all(0);
    // The first one stands outside of the log, and keeps the content that it began from.
    let mut stalled = store.subscribe().start().unwrap();
    (1..10).for_each(all);
    assert_eq!(stalled.try_next().unwrap().kind(), DeliveryKind::Reset);
    assert!(store.stats().feed.behind_changes <= 512);
}

#[test]
fn the_slowest_is_given_the_whole_content_at_last() {
    let limits = FeedLimits::default().log(64, usize::MAX).behind(512, usize::MAX);
    let store = Store::builder().feed(limits).build();
    for i in 0..1000 {
        put(&store, &format!("a/{i}"), 0);
    }
    let mut stalled = store.subscribe().start().unwrap();
    let mut healthy =
        Follower::new(store.subscribe().with_content().start().unwrap(), BTreeMap::new());
    healthy.drain();
    for round in 1..6 {
        for i in 0..1000 {
            put(&store, &format!("a/{i}"), round);
            assert_eq!(healthy.drain(), 1, "nobody pays for the stalled one");
        }
    }
    store.delete("a/0");
    let delivery = stalled.try_next().unwrap();
    assert_eq!((delivery.kind(), delivery.is_whole()), (DeliveryKind::Reset, true));
    assert_eq!(delivery.iter().count(), 999);
    assert!(delivery.iter().all(|item| item.old.is_none()));
    drop(delivery);
    put(&store, "a/0", 9);
    assert_eq!(items(&stalled.try_next().unwrap()), [("a/0".to_owned(), None, Some(9))]);
}

#[test]
fn what_a_stalled_one_keeps_has_a_limit() {
    let ledger = Ledger::new();
    let limits = FeedLimits::default().log(64, usize::MAX).behind(400, usize::MAX);
    let store = Store::builder().feed(limits).build();
    for i in 0..1000 {
        store.add(ledger.canary(&format!("a/{i}"))).unwrap();
    }
    let mut stalled: Vec<_> = (0..10)
        .map(|i| {
            store.add(ledger.canary(&format!("a/{i}"))).unwrap();
            store.subscribe().start().unwrap()
        })
        .collect();
    for i in 0..20_000 {
        store.add(ledger.canary(&format!("a/{}", i % 1000))).unwrap();
    }
    drop(store.stats());
    // The live ones, twice what the log may name, what is behind it, and what a pass of reclamation gathers.
    let alive = ledger.alive();
    assert!(alive < 1000 + 2 * 64 + 2 * 400 + 300, "{alive} objects are alive");
    for subscription in &mut stalled {
        assert_eq!(subscription.try_next().unwrap().kind(), DeliveryKind::Reset);
    }
    drop((store, stalled));
    ledger.assert_all_dropped_once();
}

#[test]
fn one_hot_key_is_no_reason_for_a_reset() {
    let limits = FeedLimits::default().log(64, usize::MAX).behind(512, usize::MAX);
    let is_reset = || {
        let store = Store::builder().feed(limits).build();
        let mut stalled = store.subscribe().start().unwrap();
        for value in 0..20_000 {
            put(&store, "a/hot", value);
        }
        let delivery = stalled.try_next().unwrap();
        assert_eq!(items(&delivery), [("a/hot".to_owned(), None, Some(19_999))]);
        delivery.kind() != DeliveryKind::Coalesced
    };
    // A thread of another test that stops in the middle of a read keeps everything from being freed, and what
    // this store keeps therefore counts as well.
    assert!(!(0..20).all(|_| is_reset()), "it keeps next to nothing");
}

#[test]
fn a_log_in_bytes_keeps_to_them() {
    // Each change names two objects of 1,000 bytes.
    let store = Store::builder().feed(FeedLimits::default().log(usize::MAX, 50_000)).build();
    put(&store, "a/x", 0);
    let mut subscription = store.subscribe().start().unwrap();
    for value in 1..20 {
        put(&store, "a/x", value);
    }
    assert_eq!(subscription.try_next().unwrap().kind(), DeliveryKind::Changes);
    for value in 20..200 {
        put(&store, "a/x", value);
    }
    // What it had begun to read is told to its end first.
    let mut told = 0;
    while subscription.try_next().is_ok_and(|delivery| !delivery.is_coalesced()) {
        told += 1;
    }
    assert!(told < 25, "{told} publications of 2,000 bytes were kept");
    assert_eq!(subscription.revision(), store.revision());
}

#[test]
fn a_log_that_nobody_follows_is_let_go() {
    let ledger = Ledger::new();
    let store = Store::new();
    let subscription = store.subscribe().start().unwrap();
    for _ in 0..500 {
        store.add(ledger.canary("a/x")).unwrap();
    }
    assert!(ledger.alive() >= 500, "the log has them");
    drop(subscription);
    // A thread of another test that stops in the middle of a read keeps everything for as long.
    eventually("the log is let go", || {
        store.add(ledger.canary("a/x")).unwrap();
        drop(store.stats());
        ledger.alive() < 150
    });
}
