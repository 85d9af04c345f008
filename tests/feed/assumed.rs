//! Assumed objects: read as any other, and unknown to every rule of the source's.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex, OnceLock, Weak};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use watchcache::store::feed::{Subscribe, TryNextError};
use watchcache::store::{Applied, DeliveryKind, FeedLimits, Index, Outcome};
use watchcache::{Batch, Change, Listing, Object, Sink, Store};

use crate::common::Pod;
use crate::common::canary::{Canary, Ledger, panicked};
use crate::common::watchdog::{eventually, sized, watched};
use crate::follower::{Follower, SHORTEST};

const LONG: Duration = Duration::from_secs(3600);

/// What somebody assumes of a pod has another uid, which is no part of these tests otherwise.
fn guess(key: &str, version: u64) -> Pod {
    Pod::new(key, version).with_uid("assumed")
}

fn is_guess(store: &Store<Pod>, key: &str) -> bool {
    store.get(key).is_some_and(|pod| pod.uid == "assumed")
}

fn list(pods: &[(&str, u64)], version: u64) -> Listing<Pod> {
    let pods: Vec<_> = pods.iter().map(|(key, version)| Pod::new(key, *version)).collect();
    Listing::new(pods, Some(version.to_string().into())).unwrap()
}

fn gone(key: &str, last: Option<u64>) -> Batch<Pod> {
    let mut batch = Batch::new();
    batch.push(key, Change::Delete(last.map(|version| Arc::new(Pod::new(key, version))))).unwrap();
    batch
}

fn adds(pods: Vec<Arc<Pod>>) -> Batch<Pod> {
    let mut batch = Batch::new();
    for pod in pods {
        batch.add(pod).unwrap();
    }
    batch
}

#[test]
fn everybody_finds_it_at_once() {
    let by_uid = Index::new("uid", |pod: &Pod| [pod.uid.clone()]);
    let store = Store::builder().index(&by_uid).build();
    store.add(Pod::new("a/x", 7)).unwrap();
    let before = store.snapshot();
    let mut subscription = store.subscribe().start().unwrap();
    let written = store.assume(guess("a/x", 7), LONG).unwrap();
    assert_eq!((written.outcome, written.revision), (Outcome::Updated, store.revision()));
    assert!(is_guess(&store, "a/x") && store.assumed("a/x").is_some());
    assert_eq!(store.snapshot().by(&by_uid, "assumed").len(), 1);
    assert!(before.get("a/x").is_some_and(|pod| pod.uid == "uid"));
    let delivery = subscription.try_next().unwrap();
    assert!(delivery.iter().all(|item| item.new.is_some_and(|pod| pod.uid == "assumed")));
    drop(delivery);
    // One that is not there yet.
    assert_eq!(store.assume(guess("a/y", 7), LONG).unwrap().outcome, Outcome::Added);
    assert_eq!(store.len(), 2);
}

#[test]
fn a_repetition_is_no_news_and_the_next_word_is() {
    let store = Store::new();
    store.replace(&list(&[("a/x", 7)], 7));
    store.assume(guess("a/x", 7), LONG).unwrap();
    assert_eq!(store.add(Pod::new("a/x", 7)).unwrap().outcome, Outcome::Unchanged);
    assert_eq!(store.add(Pod::new("a/x", 6)).unwrap().outcome, Outcome::Stale);
    let relist = store.replace(&list(&[("a/x", 7)], 8));
    assert_eq!((relist.applied.unchanged, relist.applied.updated), (1, 0));
    assert!(is_guess(&store, "a/x"));
    assert_eq!(store.add(Pod::new("a/x", 9)).unwrap().outcome, Outcome::Updated);
    assert!(!is_guess(&store, "a/x") && store.assumed("a/x").is_none());
    assert!(store.forget("a/x").is_none());
}

#[test]
fn a_relist_neither_counts_nor_deletes_what_is_assumed_to_come() {
    let store = Store::new();
    store.replace(&list(&[("a/x", 7)], 7));
    store.assume(guess("a/y", 20), LONG).unwrap();
    for _ in 0..2 {
        let relist = store.replace(&list(&[("a/x", 7)], 8));
        assert_eq!((relist.applied.unchanged, relist.applied.deleted), (1, 0));
        assert!(relist.deleted.is_empty());
        assert!(is_guess(&store, "a/y"));
    }
    let relist = store.replace(&list(&[("a/y", 9)], 9));
    assert_eq!((relist.applied.added, relist.applied.deleted), (1, 1));
    assert_eq!(relist.deleted, ["a/x".parse().unwrap()]);
    assert!(!is_guess(&store, "a/y"));
}

#[test]
fn what_the_source_no_longer_has_is_gone_whatever_was_assumed() {
    let store = Store::new();
    for by_list in [true, false] {
        store.replace(&list(&[("a/x", 7)], 7).unordered());
        store.assume(guess("a/x", 7), LONG).unwrap();
        match by_list {
            true => drop(store.replace(&list(&[], 8))),
            false => drop(store.apply(&gone("a/x", Some(8)))),
        }
        assert!(store.is_empty() && store.assumed("a/x").is_none());
    }
    // One that came and went before it was told.
    store.assume(guess("a/y", 9), LONG).unwrap();
    store.apply(&gone("a/y", Some(9)));
    assert!(store.is_empty());
}

#[test]
fn a_word_that_is_older_than_what_was_assumed_is_remembered() {
    let store = Store::new();
    store.add(Pod::new("a/x", 7)).unwrap();
    // What a write was answered.
    store.assume(guess("a/x", 20), LONG).unwrap();
    assert_eq!(store.add(Pod::new("a/x", 15)).unwrap().outcome, Outcome::Updated);
    assert!(is_guess(&store, "a/x"));
    assert_eq!(store.forget("a/x").map(|pod| pod.version()), Some(20));
    assert_eq!(store.get("a/x").map(|pod| pod.version()), Some(15));
}

/// The usual resync sends a store's list to every sink, the store among them.
#[test]
fn a_resync_is_no_word_of_the_sources() {
    let store = Store::new();
    store.replace(&list(&[("a/x", 7), ("a/z", 7)], 7).unordered());
    store.assume(guess("a/x", 20), LONG).unwrap();
    store.assume(guess("a/y", 20), LONG).unwrap();
    let mut said = store.subscribe().confirmed().start().unwrap();
    Sink::resync(&store, &adds(store.list()));
    assert!(store.assumed("a/x").is_some() && store.assumed("a/y").is_some());
    assert!(said.try_next().is_err());
    // What the other sinks are to be sent.
    let mut sent = store.list_confirmed();
    sent.sort_by(|one, other| one.key.cmp(&other.key));
    assert_eq!(sent, [Pod::new("a/x", 7), Pod::new("a/z", 7)].map(Arc::new));
    // Nor does it say that versions have an order.
    assert_eq!(store.assume(guess("a/z", 6), LONG).unwrap().outcome, Outcome::Updated);
    for key in ["a/x", "a/y", "a/z"] {
        store.forget(key);
    }
    assert!(!store.contains("a/y"), "a ghost");
    assert_eq!(store.get("a/x").map(|pod| pod.version()), Some(7));
}

#[test]
fn the_first_content_costs_what_it_is_about_whatever_else_is_assumed() {
    let asked = Arc::new(AtomicUsize::new(0));
    let by_uid = Index::new("uid", {
        let asked = Arc::clone(&asked);
        move |pod: &Pod| {
            asked.fetch_add(1, Ordering::Relaxed);
            [pod.uid.clone()]
        }
    });
    let store = Store::builder().index(&by_uid).build();
    for i in 0..sized(1_000, 20) {
        store.add(Pod::new(&format!("a/{i}"), 7).with_uid("many")).unwrap();
    }
    store.add(Pod::new("a/x", 7).with_uid("one")).unwrap();
    store.add(Pod::new("a/y", 7).with_uid("one")).unwrap();
    store.assume(guess("a/y", 7), LONG).unwrap();
    store.assume(guess("a/z", 7).with_uid("one"), LONG).unwrap();
    asked.store(0, Ordering::Relaxed);
    let one = store.subscribe().index(&by_uid, "one").confirmed().with_content();
    let mut subscription = one.start().unwrap();
    let delivery = subscription.try_next().unwrap();
    assert_eq!(delivery.kind(), DeliveryKind::Initial);
    let mut keys: Vec<_> = delivery.iter().map(|item| item.key.to_string()).collect();
    keys.sort();
    assert_eq!(keys, ["a/x", "a/y"]);
    assert!(asked.load(Ordering::Relaxed) < 10, "every object was looked at");
}

#[test]
fn what_is_assumed_elsewhere_is_told_to_nobody_who_is_not_about_it() {
    let store = Store::new();
    store.replace(&list(&[("a/x", 7), ("b/x", 7)], 7));
    for (each, version) in [(Duration::ZERO, 10), (SHORTEST, 20)] {
        let said = store.subscribe().namespace("a").confirmed().settle(each);
        let mut a = Follower::new(said.start().unwrap(), BTreeMap::new());
        // The first one begins the log.
        store.delete("b/y");
        store.add(Pod::new("b/y", version)).unwrap();
        a.drain();
        store.assume(guess("b/x", version + 5), LONG).unwrap();
        // Only remembered.
        store.add(Pod::new("b/x", version + 1)).unwrap();
        store.forget("b/x");
        assert_eq!(a.drain(), 0);
        assert_eq!(a.subscription.revision(), store.revision());
        let mut bookmark = Batch::new();
        bookmark.set_resource_version((version + 1).to_string().into());
        store.apply(&bookmark);
        assert_eq!(a.drain(), 1, "that the source is further on concerns everybody");
    }
}

/// A destructor may use the store, so it runs under no lock.
#[test]
fn nothing_is_dropped_under_the_lock_when_one_takes_the_place_of_another_that_is_due() {
    watched(|| {
        let ledger = Ledger::new();
        let (refuses, refused) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let index = Index::try_new("picky", {
            let (refuses, refused) = (Arc::clone(&refuses), Arc::clone(&refused));
            move |canary: &Canary| {
                let is_refused = canary.number == refused.load(Ordering::SeqCst);
                match is_refused && refuses.load(Ordering::SeqCst) {
                    true => Err("refused"),
                    false => Ok([canary.number]),
                }
            }
        });
        let store = Store::builder().index(&index).build();
        let let_go = block_timer(&store, &ledger);
        let told = ledger.canary("a/x").panics();
        refused.store(told.number, Ordering::SeqCst);
        store.add(told).unwrap();
        store.assume(ledger.canary("a/x"), Duration::from_millis(1)).unwrap();
        thread::sleep(Duration::from_millis(5));
        // What was superseded is freed.
        drop(store.stats());
        refuses.store(true, Ordering::SeqCst);
        assert!(!panicked(|| store.assume(ledger.canary("a/x"), LONG).unwrap()));
        assert!(store.assumed("a/x").is_some());
        let_go.send(()).unwrap();
    });
}

#[test]
fn the_end_of_a_store_is_told_though_a_waker_blocks_the_timer() {
    watched(|| {
        let (store, ledger) = (Store::new(), Ledger::new());
        let let_go = block_timer(&store, &ledger);
        let mut subscription = store.subscribe().start().unwrap();
        let sleeper = thread::spawn(move || while subscription.next().is_some() {});
        drop(store);
        sleeper.join().unwrap();
        let_go.send(()).unwrap();
    });
}

/// Has the thread that forgets what is due wait for what is sent, in a waker.
fn block_timer(store: &Store<Canary>, ledger: &Arc<Ledger>) -> Sender<()> {
    struct Blocks(Sender<()>, Mutex<Receiver<()>>);
    impl Wake for Blocks {
        fn wake(self: Arc<Self>) {
            if thread::current().name() == Some("watchcache-delays") {
                self.0.send(()).unwrap();
                self.1.lock().unwrap().recv().unwrap();
            }
        }
    }
    let ((begins, begun), (let_go, goes_on)) = (channel(), channel());
    let waker = Waker::from(Arc::new(Blocks(begins, Mutex::new(goes_on))));
    let mut subscription = store.subscribe().start().unwrap();
    loop {
        store.assume(ledger.canary("a/blocks"), Duration::from_millis(20)).unwrap();
        while subscription.try_next().is_ok() {}
        let mut wait = pin!(subscription.next_async());
        let _ = wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending();
        if begun.recv_timeout(Duration::from_millis(200)).is_ok() {
            return let_go;
        }
    }
}

#[test]
fn an_assumption_ends_in_time() {
    watched(|| {
        let store = Store::new();
        store.add(Pod::new("a/x", 7)).unwrap();
        let mut subscription = store.subscribe().start().unwrap();
        store.assume(guess("a/z", 7), LONG).unwrap();
        store.assume(guess("a/x", 7), Duration::from_millis(1)).unwrap();
        store.assume(guess("a/y", 7), Duration::from_millis(2)).unwrap();
        eventually("both are forgotten", || {
            store.assumed("a/x").is_none() && store.assumed("a/y").is_none()
        });
        eventually("what was told is back", || !is_guess(&store, "a/x") && !store.contains("a/y"));
        assert!(is_guess(&store, "a/z"));
        // Subscribers are told of it.
        let mut last = None;
        while last != Some(store.revision()) {
            last = subscription.next().map(|delivery| delivery.revision());
        }
    });
}

#[test]
fn a_reflector_is_told_what_the_source_said() {
    let store = Store::new();
    store.add(Pod::new("a/x", 7)).unwrap();
    store.assume(guess("a/x", 7), LONG).unwrap();
    store.assume(guess("a/y", 7), LONG).unwrap();
    let held = |key: &str, uid| Sink::held(&store, key.into(), Some(uid), "7");
    assert!(held("a/x", "uid").is_some() && held("a/x", "assumed").is_none());
    assert!(held("a/y", "assumed").is_none());
    assert_eq!(Sink::is_current(&store, "a/y".into(), "7"), Some(false));
}

#[test]
fn a_local_write_of_what_is_assumed_is_the_last_word() {
    let store = Store::new();
    store.add(Pod::new("a/x", 7)).unwrap();
    store.assume(guess("a/x", 7), LONG).unwrap();
    let seen = store.get("a/x");
    store.compare_and_update(seen.as_ref(), Pod::new("a/x", 7).with_uid("own")).unwrap();
    assert!(store.forget("a/x").is_none());
    assert!(store.get("a/x").is_some_and(|pod| pod.uid == "own"));

    store.assume(guess("a/x", 7), LONG).unwrap();
    assert!(store.delete("a/x").object.is_some_and(|pod| pod.uid == "assumed"));
    assert!(store.forget("a/x").is_none() && store.is_empty());
}

#[test]
fn what_no_index_takes_is_not_assumed() {
    let strict = Index::try_new("strict", |pod: &Pod| match &*pod.uid {
        "assumed" => Err("not for guesses"),
        uid => Ok([uid.to_owned()]),
    });
    let store = Store::builder().index(&strict).build();
    store.add(Pod::new("a/x", 7)).unwrap();
    assert!(store.assume(guess("a/x", 7), LONG).is_err());
    assert!(store.assumed("a/x").is_none() && !is_guess(&store, "a/x"));
}

/// An index whose function, on an object of this uid, is at the barrier twice.
fn gate(uid: &'static str) -> (Index<Pod, str>, Arc<Barrier>) {
    let barrier = Arc::new(Barrier::new(2));
    let gate = Arc::clone(&barrier);
    let index = Index::new("gate", move |pod: &Pod| {
        if pod.uid == uid {
            gate.wait();
            gate.wait();
        }
        [pod.uid.clone()]
    });
    (index, barrier)
}

#[test]
fn it_stands_while_the_source_speaks() {
    watched(|| {
        let (index, barrier) = gate("slow");
        let store = Store::builder().index(&index).build();
        store.replace(&list(&[("a/x", 7), ("a/y", 7)], 7));
        store.assume(guess("a/x", 7), Duration::from_millis(20)).unwrap();
        store.assume(guess("a/y", 7), LONG).unwrap();
        let pods = [Pod::new("a/x", 7), Pod::new("a/y", 7), Pod::new("b", 8).with_uid("slow")];
        let relist = Listing::new(pods, Some("8".into())).unwrap();
        let is_asking = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| store.replace(&relist));
            barrier.wait();
            assert!(store.assumed("a/y").is_some());
            let held = |uid| Sink::held(&store, "a/y".into(), Some(uid), "7");
            assert!(held("uid").is_some() && held("assumed").is_none());
            let forget = scope.spawn(|| {
                is_asking.store(true, Ordering::Relaxed);
                store.forget("a/y")
            });
            eventually("it is asked", || is_asking.load(Ordering::Relaxed));
            // One is due in the meantime.
            thread::sleep(Duration::from_millis(50));
            barrier.wait();
            assert!(forget.join().unwrap().is_some());
        });
        eventually("what was due is forgotten", || !is_guess(&store, "a/x"));
    });
}

#[test]
fn what_the_source_said_comes_back_or_nothing_does() {
    let picky = |name, uid: &'static str, refuses: &Arc<AtomicBool>| {
        let refuses = Arc::clone(refuses);
        Index::try_new(name, move |pod: &Pod| {
            match pod.uid == uid && refuses.load(Ordering::Relaxed) {
                true => Err("refused"),
                false => Ok([pod.uid.clone()]),
            }
        })
    };
    let refuses = Arc::new(AtomicBool::new(true));
    let index = picky("picky", "uid", &refuses);
    let store = Store::new();
    store.add(Pod::new("a/x", 7)).unwrap();
    store.assume(guess("a/x", 7), LONG).unwrap();
    assert!(store.add_index(&index).is_err());
    refuses.store(false, Ordering::Relaxed);
    store.add_index(&index).unwrap();
    // What is only remembered is refused as what is stored.
    refuses.store(true, Ordering::Relaxed);
    store.assume(guess("a/x", 20), LONG).unwrap();
    assert!(store.add(Pod::new("a/x", 15)).is_err() && is_guess(&store, "a/x"));
    store.forget("a/x");
    assert!(store.is_empty() && store.assumed("a/x").is_none());
}

#[test]
fn an_observer_may_wait_for_its_end() {
    watched(|| {
        let known = Arc::new(OnceLock::<Weak<Store<Pod>>>::new());
        let store = {
            let known = Arc::clone(&known);
            let observer = move |_: &Applied, _: Duration| {
                let store = known.get().and_then(Weak::upgrade).unwrap();
                eventually("it ends", || store.assumed("a/x").is_none());
            };
            Arc::new(Store::builder().observer(observer).build())
        };
        known.set(Arc::downgrade(&store)).unwrap();
        store.assume(guess("a/x", 7), Duration::from_millis(1)).unwrap();
        assert!(store.is_empty());
    });
}

/// Looked at while it is known to the writer, and readers do not see it yet.
#[test]
fn what_is_assumed_is_what_readers_see() {
    watched(|| {
        let (index, barrier) = gate("slow");
        let store = Store::builder().index(&index).build();
        store.add(Pod::new("a/x", 7)).unwrap();
        let seen = || (store.get("a/x"), store.assumed("a/x"));
        for version in [20, 21] {
            let (held, assumed) = thread::scope(|scope| {
                // It has the lock until the other write waits for it, which it does as well, at the end.
                let first = guess("a/x", version).with_uid("slow");
                scope.spawn(|| store.assume(first, LONG).unwrap());
                barrier.wait();
                scope.spawn(|| store.add(Pod::new("b", version).with_uid("slow")).unwrap());
                thread::sleep(Duration::from_millis(50));
                barrier.wait();
                barrier.wait();
                let seen = seen();
                barrier.wait();
                seen
            });
            let was_assumed = held.as_ref().is_some_and(|held| held.version() >= 20);
            assert_eq!(assumed, held.filter(|_| was_assumed));
            assert!(store.assumed("a/x").is_some_and(|pod| pod.version() == version));
        }
    });
}

#[test]
fn many_end_in_time() {
    watched(|| {
        let store = Store::new();
        let count = sized(1_000, 20);
        for i in 0..count {
            store.assume(guess(&format!("a/{i}"), 7), LONG).unwrap();
        }
        for i in 0..count {
            store.assume(guess(&format!("a/{i}"), 7), Duration::from_micros(i as u64)).unwrap();
        }
        eventually("all are forgotten", || store.is_empty());
    });
}

#[test]
fn nothing_older_is_assumed() {
    let store = Store::new();
    store.replace(&list(&[("a/x", 7)], 10));
    let outcome = |key, version| store.assume(guess(key, version), LONG).unwrap().outcome;
    assert_eq!(outcome("a/x", 6), Outcome::Stale);
    // The source would have told it.
    assert_eq!(outcome("a/y", 10), Outcome::Stale);
    assert!(store.assumed("a/x").is_none() && store.assumed("a/y").is_none());
    assert_eq!((store.len(), is_guess(&store, "a/x")), (1, false));
    assert_eq!(outcome("a/y", 11), Outcome::Added);
    assert_eq!(outcome("a/x", 20), Outcome::Updated);
    assert_eq!(outcome("a/x", 19), Outcome::Stale);
    // Where versions have no order, none is older.
    store.replace(&list(&[("a/x", 7)], 30).unordered());
    assert_eq!(outcome("a/x", 6), Outcome::Updated);
}

#[test]
fn a_deletion_that_is_older_than_what_was_assumed_is_remembered() {
    for by_list in [true, false] {
        let store = Store::new();
        store.replace(&list(&[("a/x", 7)], 7));
        store.assume(guess("a/x", 20), LONG).unwrap();
        let deleted = match by_list {
            true => store.replace(&list(&[], 15)).applied.deleted,
            false => store.apply(&gone("a/x", Some(15))).deleted,
        };
        assert!(deleted == 1 && is_guess(&store, "a/x"));
        // One that was never told is not deleted, and is news nevertheless.
        let deleted = match by_list {
            true => store.replace(&list(&[], 20)).applied.deleted,
            false => store.apply(&gone("a/x", Some(20))).deleted,
        };
        assert!(deleted == 0 && store.is_empty());
        assert!(store.assumed("a/x").is_none());
    }
    let store = Store::new();
    store.add(Pod::new("a/x", 7)).unwrap();
    store.assume(guess("a/x", 7), LONG).unwrap();
    assert_eq!(store.apply(&gone("a/x", Some(6))).stale, 1);
    assert!(is_guess(&store, "a/x"));
    store.assume(guess("a/x", 20), LONG).unwrap();
    store.apply(&gone("a/x", Some(15)));
    store.forget("a/x");
    assert!(store.is_empty());
}

#[test]
fn a_word_that_counts_whatever_its_version_ends_it() {
    let store = Store::new();
    store.add(Pod::new("a/x", 7)).unwrap();
    store.assume(guess("a/x", 20), LONG).unwrap();
    let mut batch = Batch::new();
    batch.push("a/x", Change::Add(Arc::new(Pod::new("a/x", 15)))).unwrap();
    batch.set_unordered();
    store.apply(&batch);
    assert!(!is_guess(&store, "a/x") && store.assumed("a/x").is_none());
    // In a list, another uid is another object.
    let store = Store::new();
    store.add(Pod::new("a/x", 7)).unwrap();
    store.assume(guess("a/x", 20), LONG).unwrap();
    store.replace(&list(&[("a/x", 15)], 16));
    assert!(!is_guess(&store, "a/x") && store.assumed("a/x").is_none());
}

#[test]
fn a_repetition_is_told_to_nobody() {
    let store = Store::new();
    store.add(Pod::new("a/x", 7)).unwrap();
    store.assume(guess("a/x", 20), LONG).unwrap();
    let mut subscription = store.subscribe().start().unwrap();
    let revision = store.revision();
    store.add(Pod::new("a/x", 7)).unwrap();
    assert_eq!(store.revision(), revision);
    assert!(subscription.try_next().is_err());
    // A state that is only remembered is news to confirmed subscriptions alone.
    store.add(Pod::new("a/x", 15)).unwrap();
    assert!(subscription.try_next().is_ok_and(|delivery| delivery.is_empty()));
}

#[test]
fn what_is_remembered_is_not_refused() {
    let index = Index::try_new("strict", |pod: &Pod| match &*pod.uid {
        "bad" => Err("bad"),
        uid => Ok([uid.to_owned()]),
    });
    let store = Store::builder().index(&index).build();
    store.add(Pod::new("a/x", 7)).unwrap();
    store.assume(guess("a/x", 20), LONG).unwrap();
    let mut batch = Batch::new();
    for pod in [Pod::new("a/x", 14).with_uid("bad"), Pod::new("a/x", 15)] {
        batch.push("a/x", Change::Add(Arc::new(pod))).unwrap();
    }
    assert!(Sink::apply_reporting(&store, &batch).is_empty());
    assert_eq!(store.forget("a/x").map(|pod| pod.version()), Some(20));
    assert_eq!(store.get("a/x").map(|pod| pod.version()), Some(15));
}

#[test]
fn subscribers_are_told_what_was_being_forgotten_when_the_store_went() {
    watched(|| {
        let (index, barrier) = gate("uid");
        let store = Store::builder().index(&index).build();
        thread::scope(|scope| {
            scope.spawn(|| store.add(Pod::new("a/x", 7)));
            barrier.wait();
            barrier.wait();
        });
        store.assume(guess("a/x", 7), Duration::from_millis(1)).unwrap();
        let mut subscription = store.subscribe().start().unwrap();
        barrier.wait();
        drop(store);
        assert!(subscription.try_next().is_err_and(|error| error == TryNextError::Empty));
        barrier.wait();
        assert!(subscription.next().is_some_and(|delivery| delivery.iter().count() == 1));
        assert!(subscription.next().is_none());
    });
}

#[test]
fn the_source_has_the_last_word_whatever_meets() {
    watched(|| {
        let store = Store::new();
        let versions = sized(1_000, 5) as u64;
        let is_over = AtomicBool::new(false);
        let goes_on = || !is_over.load(Ordering::Relaxed);
        let pods = |version| KEYS.map(|key| (key, version));
        thread::scope(|scope| {
            scope.spawn(|| {
                for version in 1..=versions {
                    match version % 3 {
                        0 => drop(store.replace(&list(&pods(version), version))),
                        _ => pods(version).iter().for_each(|(key, version)| {
                            store.add(Pod::new(key, *version)).unwrap();
                        }),
                    }
                }
                is_over.store(true, Ordering::Relaxed);
            });
            scope.spawn(|| {
                for i in (0..).take_while(|_| goes_on()) {
                    let key = KEYS[i as usize % KEYS.len()];
                    let at = store.get(key).map_or(1, |pod| pod.version());
                    let until = Duration::from_micros(i % 7 * 20);
                    store.assume(guess(key, at + i % 3), until).unwrap();
                    if i % 5 == 0 {
                        store.forget(key);
                    }
                }
            });
            scope.spawn(|| {
                while goes_on() {
                    for key in KEYS {
                        let at = store.get(key).map_or(1, |pod| pod.version()).to_string();
                        assert!(Sink::held(&store, key.into(), Some("assumed"), &at).is_none());
                    }
                }
            });
            for _ in 0..10 {
                let by_uid = Index::new("uid", |pod: &Pod| [pod.uid.clone()]);
                store.add_index(&by_uid).unwrap();
                let snapshot = store.snapshot();
                let found = ["uid", "assumed"].map(|uid| snapshot.by(&by_uid, uid).len());
                assert_eq!(found[0] + found[1], snapshot.len());
            }
        });
        for key in KEYS {
            eventually("what was told is back", || {
                store.get(key) == Some(Arc::new(Pod::new(key, versions)))
            });
            eventually("nothing is assumed", || store.assumed(key).is_none());
        }
    });
}

const KEYS: [&str; 4] = ["a/0", "a/1", "b/0", "c"];

#[derive(Clone, Debug)]
enum Step {
    Assume(usize, u64),
    Forget(usize),
    Add(usize, u64),
    /// Deletions have the version of the last state, or none.
    Apply(Vec<(usize, u64, bool)>),
    Replace(Vec<(usize, u64)>, u64),
    /// As the reflector sends the content of a store to it.
    Resync,
}

fn step() -> impl Strategy<Value = Step> {
    let (key, version) = (0..KEYS.len(), 1..20_u64);
    let pods = prop::collection::vec((key.clone(), version.clone()), 0..5);
    prop_oneof![
        3 => (key.clone(), version.clone()).prop_map(|(key, version)| Step::Assume(key, version)),
        1 => key.clone().prop_map(Step::Forget),
        2 => (key.clone(), version.clone()).prop_map(|(key, version)| Step::Add(key, version)),
        3 => prop::collection::vec((key, version.clone(), any::<bool>()), 1..5).prop_map(Step::Apply),
        2 => (pods, version).prop_map(|(pods, version)| Step::Replace(pods, version)),
        1 => Just(Step::Resync),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 300 }))]

    /// A store in which something is assumed answers the source as one in which nothing is.
    /// Nor does whoever is told what the source said, at any speed.
    #[test]
    fn no_rule_ever_meets_what_is_assumed(
        steps in prop::collection::vec((step(), any::<(bool, bool, bool)>()), 1..40),
        log in 1..20_usize,
    ) {
        let limits = FeedLimits::default().log(log, usize::MAX).behind(log, usize::MAX);
        let by_uid = Index::new("uid", |pod: &Pod| [pod.uid.clone()]);
        let (store, other) = (Store::builder().feed(limits).index(&by_uid).build(), Store::new());
        let said = || store.subscribe().confirmed();
        let follower = |subscribe: Subscribe<'_, Pod>| {
            Follower::new(subscribe.start().unwrap(), BTreeMap::new())
        };
        let mut followers = [
            follower(said()),
            follower(said().with_content()),
            follower(said().with_content().keep_place()),
            follower(said().settle(SHORTEST)),
            follower(said().namespace("a").with_content().settle(SHORTEST).keep_place()),
            follower(said().index(&by_uid, "uid").with_content()),
        ];
        for (step, (looks, stalls, begins)) in steps {
            match step {
                Step::Assume(key, version) => {
                    store.assume(guess(KEYS[key], version), LONG).unwrap();
                }
                Step::Forget(key) => drop(store.forget(KEYS[key])),
                Step::Add(key, version) => {
                    let pod = Arc::new(Pod::new(KEYS[key], version));
                    let add = |store: &Store<Pod>| store.add(Arc::clone(&pod)).unwrap();
                    assert_eq!(add(&store).outcome, add(&other).outcome);
                }
                Step::Apply(changes) => {
                    let mut batch = Batch::new();
                    for (key, version, is_gone) in changes {
                        let pod = Arc::new(Pod::new(KEYS[key], version));
                        let last = Some(&pod).filter(|pod| pod.version() > 3).cloned();
                        let change = if is_gone { Change::Delete(last) } else { Change::Add(pod) };
                        batch.push(KEYS[key], change).unwrap();
                    }
                    let mut applied = [&store, &other].map(|store| store.apply(&batch));
                    applied[0].revision = applied[1].revision;
                    assert_eq!(applied[0], applied[1]);
                }
                Step::Resync => Sink::resync(&store, &adds(store.list())),
                Step::Replace(pods, version) => {
                    let pods: Vec<_> =
                        pods.iter().map(|(key, version)| (KEYS[*key], *version)).collect();
                    let listing = list(&pods, version);
                    let mut replaced = [&store, &other].map(|store| {
                        let mut replaced = store.replace(&listing);
                        replaced.deleted.sort();
                        replaced
                    });
                    replaced[0].applied.revision = replaced[1].applied.revision;
                    assert_eq!(replaced[0], replaced[1]);
                }
            }
            for key in KEYS {
                let expected = store.assumed(key).or_else(|| other.get(key));
                assert_eq!(store.get(key), expected);
            }
            assert_eq!(store.len(), store.snapshot().iter().count());
            let content: BTreeMap<_, _> =
                other.snapshot().iter().map(|(key, pod)| (key.to_string(), pod.to_arc())).collect();
            if begins {
                followers[0] = Follower::new(said().start().unwrap(), content.clone());
                followers[1] = follower(said().with_content());
            }
            let listed = store.list_confirmed().into_iter();
            assert_eq!(listed.map(|pod| (pod.key.clone(), pod)).collect::<BTreeMap<_, _>>(), content);
            for (who, follower) in followers.iter_mut().enumerate().skip(usize::from(stalls)) {
                if looks {
                    follower.drain();
                    let is_about = |key: &str| who != 4 || key.starts_with("a/");
                    let content = content.clone().into_iter().filter(|(key, _)| is_about(key));
                    assert_eq!(follower.known, content.collect());
                }
            }
        }
        for key in KEYS {
            store.forget(key);
            assert_eq!(store.get(key), other.get(key));
        }
        assert_eq!(store.len(), other.len());
        assert!(store.list().iter().all(|pod| pod.uid().is_some_and(|uid| uid == "uid")));
    }
}

/// Each write is published: no other one waits for all that is due.
#[test]
fn what_is_due_at_once_is_forgotten_in_parts() {
    watched(|| {
        const ALL: u64 = 1_000;
        let store = Store::new();
        for i in 0..ALL {
            store.assume(guess(&format!("a/{i}"), 7), Duration::from_secs(1)).unwrap();
        }
        let before = store.revision().get();
        eventually("forgotten", || store.is_empty());
        assert!(store.revision().get() - before >= 3, "all in one write");
    });
}
