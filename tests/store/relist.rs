//! A listing that is older than the store does not undo what the store learnt since.

use std::sync::Arc;

use watchcache::store::Outcome;
use watchcache::{Batch, Change, KeyRef, Listing, Object, Store};

use crate::common::Pod;

fn listing(version: u64, pods: impl IntoIterator<Item = Pod>) -> Listing<Pod> {
    Listing::new(pods, Some(version.to_string().into())).unwrap()
}

/// The store at 12: `a/gone` was there at 10, and was deleted at 12.
fn after_a_delete(last_state_is_told: bool) -> Store<Pod> {
    let store = Store::new();
    store.replace(&listing(10, [Pod::new("a/gone", 5), Pod::new("a/stays", 6)]));
    let mut batch = Batch::new();
    let last = last_state_is_told.then(|| Arc::new(Pod::new("a/gone", 12)));
    batch.push("a/gone", Change::Delete(last)).unwrap();
    batch.set_resource_version("12".into());
    assert_eq!(store.apply(&batch).deleted, 1);
    store
}

#[test]
fn a_deleted_key_does_not_come_back() {
    for last_state_is_told in [false, true] {
        let store = after_a_delete(last_state_is_told);
        store.replace(&listing(10, [Pod::new("a/gone", 5), Pod::new("a/stays", 6)]));
        assert!(!store.contains("a/gone"), "told {last_state_is_told}");
        assert_eq!(store.get("a/stays").unwrap().version(), 6);
        assert_eq!(store.resource_version().unwrap().as_str(), "12");
        // Nor with the next one that is old.
        store.replace(&listing(11, [Pod::new("a/gone", 5), Pod::new("a/stays", 6)]));
        assert!(!store.contains("a/gone"), "told {last_state_is_told}");
    }
}

#[test]
fn a_key_that_was_deleted_and_made_anew_keeps_its_new_object() {
    let store = after_a_delete(true);
    store.add(Pod::new("a/gone", 13).with_uid("another")).unwrap();
    store.replace(&listing(10, [Pod::new("a/gone", 5), Pod::new("a/stays", 6)]));
    assert_eq!(store.get("a/gone").unwrap().version(), 13);
}

#[test]
fn a_listing_that_is_newer_brings_a_key_back() {
    let store = after_a_delete(true);
    let replaced = store.replace(&listing(20, [Pod::new("a/gone", 15), Pod::new("a/stays", 6)]));
    assert_eq!(replaced.applied.added, 1);
    assert_eq!(store.get("a/gone").unwrap().version(), 15);
}

#[test]
fn a_listing_of_the_very_version_of_the_store_is_no_older() {
    let store = after_a_delete(true);
    let replaced = store.replace(&listing(12, [Pod::new("a/other", 11)]));
    assert_eq!((replaced.applied.added, replaced.deleted.len()), (1, 1));
    assert!(store.contains("a/other") && !store.contains("a/stays"));
}

/// Without versions nothing can be told to be older: what is listed counts.
#[test]
fn a_listing_without_a_version_is_taken_as_it_is() {
    let store = after_a_delete(true);
    store.replace(&Listing::new([Pod::new("a/gone", 5)], None).unwrap());
    assert!(store.contains("a/gone") && !store.contains("a/stays"));
}

#[test]
fn what_is_newer_than_an_old_listing_stays() {
    let store = Store::new();
    store.replace(&listing(10, [Pod::new("a/b", 5), Pod::new("a/c", 6)]));
    let mut batch = Batch::new();
    batch.add(Pod::new("a/new", 12)).unwrap();
    batch.add(Pod::new("a/b", 13)).unwrap();
    batch.set_resource_version("13".into());
    store.apply(&batch);
    store.replace(&listing(10, [Pod::new("a/b", 5), Pod::new("a/c", 6)]));
    assert_eq!(store.get("a/b").unwrap().version(), 13);
    assert!(store.contains("a/new") && store.contains("a/c"));
    assert_eq!(store.resource_version().unwrap().as_str(), "13");
}

/// Without a version of its own an object is not known to be older than what is listed.
#[test]
fn an_older_listing_undoes_nothing_that_cannot_be_compared() {
    struct Plain(&'static str, u32);
    impl Object for Plain {
        fn key(&self) -> KeyRef<'_> {
            self.0.into()
        }
    }
    let store = Store::new();
    for (key, version) in [("ns/a", "90"), ("ns/b", "100")] {
        let mut batch = Batch::new();
        batch.add(Plain(key, 2)).unwrap();
        batch.set_resource_version(version.into());
        store.apply(&batch);
    }
    let older = Listing::new([Plain("ns/a", 1), Plain("ns/c", 1)], Some("90".into())).unwrap();
    let replaced = store.replace(&older);
    assert_eq!((replaced.applied.stale, replaced.deleted.len()), (2, 0));
    let mut held: Vec<_> = store.list().iter().map(|plain| (plain.0, plain.1)).collect();
    held.sort_unstable();
    assert_eq!(held, [("ns/a", 2), ("ns/b", 2)]);
    // The store's next list, of a newer version, decides again.
    let newer = Listing::new([Plain("ns/a", 3)], Some("101".into())).unwrap();
    assert_eq!(store.replace(&newer).deleted.len(), 1);
    assert_eq!(store.get("ns/a").unwrap().1, 3);
}

/// Versions have an order however long they are.
#[test]
fn versions_past_64_bits_are_compared() {
    struct At(&'static str);
    impl Object for At {
        fn key(&self) -> KeyRef<'_> {
            "ns/a".into()
        }
        fn resource_version(&self) -> Option<&str> {
            Some(self.0)
        }
    }
    let (old, new) = ("100000000000000000000001", "100000000000000000000002");
    let store = Store::new();
    let mut batch = Batch::new();
    batch.add(At(new)).unwrap();
    batch.set_resource_version(new.into());
    store.apply(&batch);
    assert_eq!(store.add(At(old)).unwrap().outcome, Outcome::Stale);
    let mut late = Batch::new();
    late.push("ns/a", Change::Delete(Some(Arc::new(At(old))))).unwrap();
    assert_eq!(store.apply(&late).stale, 1);
    store.replace(&Listing::new([] as [At; 0], Some(old.into())).unwrap());
    assert_eq!(store.get("ns/a").unwrap().0, new);
}
