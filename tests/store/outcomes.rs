//! Every write says what became of it: added, updated, unchanged, stale, or refused.

use std::sync::Arc;

use watchcache::store::{Index, Outcome, UpdateError};
use watchcache::{Batch, Change, KeyRef, Object, Store};

use crate::common::Pod;
use crate::common::watchdog::{sized, watched};

#[test]
fn a_put_says_what_became_of_its_object() {
    let store = Store::new();
    let added = store.add(Pod::new("ns/a", 5)).unwrap();
    assert_eq!((added.outcome, added.revision), (Outcome::Added, store.revision()));
    let updated = store.add(Pod::new("ns/a", 6)).unwrap();
    assert_eq!((updated.outcome, updated.revision), (Outcome::Updated, store.revision()));
    assert!(updated.revision > added.revision);
    let unchanged = store.add(Pod::new("ns/a", 6)).unwrap();
    assert_eq!((unchanged.outcome, unchanged.revision), (Outcome::Unchanged, updated.revision));
    let stale = store.add(Pod::new("ns/a", 5)).unwrap();
    assert_eq!((stale.outcome, stale.revision), (Outcome::Stale, updated.revision));
    // Of another uid it is another object, whatever its version.
    let other = store.add(Pod::new("ns/a", 6).with_uid("other")).unwrap();
    assert_eq!(other.outcome, Outcome::Updated);
    assert_eq!(store.get("ns/a").unwrap().uid, "other");
    let stored = [added, updated, unchanged, stale, other].map(|write| write.outcome.is_stored());
    assert_eq!(stored, [true, true, false, false, true]);
}

#[test]
fn a_delete_says_what_it_took_and_at_which_revision() {
    let store = Store::new();
    store.add(Pod::new("ns/a", 1)).unwrap();
    let deleted = store.delete("ns/a");
    assert_eq!(deleted.object.unwrap().version(), 1);
    assert_eq!(deleted.revision, store.revision());
    for absent in ["ns/a", "never", "not//a//key"] {
        let nothing = store.delete(absent);
        assert!(nothing.object.is_none());
        assert_eq!(nothing.revision, store.revision());
    }
    assert_eq!(store.add(Pod::new("ns/a", 1)).unwrap().outcome, Outcome::Added);
}

/// The usual shape of read, modify, write: the local copy has the version that was read.
#[test]
fn a_conditional_update_with_the_version_that_was_seen_is_stored() {
    let store = Store::new();
    store.add(Pod::new("ns/a", 5)).unwrap();
    let seen = store.get("ns/a").unwrap();
    let changed = Arc::new(Pod::clone(&seen));
    let before = store.snapshot();
    let written = store.compare_and_update(Some(&seen), Arc::clone(&changed)).unwrap();
    assert!(written.outcome.is_stored(), "{written:?}");
    assert!(Arc::ptr_eq(&store.get("ns/a").unwrap(), &changed), "a lost update");
    assert!(Arc::ptr_eq(&before.get("ns/a").unwrap(), &seen));
    // Whoever saw the old one is told of the new one.
    let late = store.compare_and_update(Some(&seen), Pod::new("ns/a", 5)).unwrap_err();
    assert!(
        matches!(&late, UpdateError::Conflict { held: Some(held), .. } if Arc::ptr_eq(held, &changed))
    );
    // And again, from the local copy on.
    let written = store.compare_and_update(Some(&changed), Pod::new("ns/a", 5)).unwrap();
    assert!(written.outcome.is_stored());
    assert!(!Arc::ptr_eq(&store.get("ns/a").unwrap(), &changed));
    // What the source then says counts.
    assert_eq!(store.add(Pod::new("ns/a", 6)).unwrap().outcome, Outcome::Updated);
}

#[test]
fn a_conditional_update_with_the_very_object_that_is_held_changes_nothing() {
    let store = Store::new();
    store.add(Pod::new("ns/a", 5)).unwrap();
    let seen = store.get("ns/a").unwrap();
    let written = store.compare_and_update(Some(&seen), Arc::clone(&seen)).unwrap();
    assert_eq!(written.revision, store.revision());
    assert!(Arc::ptr_eq(&store.get("ns/a").unwrap(), &seen));
}

#[test]
fn a_conditional_update_says_what_it_did() {
    let store = Store::new();
    let added = store.compare_and_update(None, Pod::new("ns/a", 5)).unwrap();
    assert_eq!((added.outcome, added.revision), (Outcome::Added, store.revision()));
    let seen = store.get("ns/a").unwrap();
    let older = store.compare_and_update(Some(&seen), Pod::new("ns/a", 4)).unwrap_err();
    assert!(matches!(older, UpdateError::Conflict { .. }), "{older:?}");
    let newer = store.compare_and_update(Some(&seen), Pod::new("ns/a", 6)).unwrap();
    assert_eq!((newer.outcome, newer.revision), (Outcome::Updated, store.revision()));
}

/// The counts of a batch add up to its changes, however they end.
#[test]
fn a_batch_accounts_for_each_of_its_changes() {
    let even = Index::try_new("even", |pod: &Pod| match pod.version() {
        odd if odd % 2 == 1 => Err("odd"),
        even => Ok([even]),
    });
    let store = Store::builder().index(&even).build();
    store.add(Pod::new("ns/a", 10)).unwrap();
    store.add(Pod::new("ns/b", 10)).unwrap();
    let mut batch = Batch::new();
    batch.add(Pod::new("ns/a", 12)).unwrap();
    batch.add(Pod::new("ns/a", 12)).unwrap();
    batch.add(Pod::new("ns/a", 4)).unwrap();
    batch.add(Pod::new("ns/new", 2)).unwrap();
    batch.add(Pod::new("ns/odd", 3)).unwrap();
    batch.delete("ns/b");
    batch.delete("ns/b");
    batch.push("ns/a", Change::Delete(Some(Arc::new(Pod::new("ns/a", 6))))).unwrap();
    let applied = store.apply(&batch);
    let counts =
        (applied.added, applied.updated, applied.deleted, applied.unchanged, applied.stale);
    assert_eq!(counts, (1, 1, 1, 2, 2));
    assert_eq!(applied.rejected.len(), 1);
    assert_eq!(applied.revision, store.revision());
}

/// Versions of several sources joined: a smaller number is no older state.
#[test]
fn where_versions_have_no_order_each_change_counts_as_it_comes() {
    let last = |version| Change::Delete(Some(Arc::new(Pod::new("ns/a", version))));
    let put = |version| Change::Add(Arc::new(Pod::new("ns/a", version)));
    let apply = |unordered: bool, changes: Vec<Change<Pod>>| {
        let store = Store::new();
        store.add(Pod::new("ns/a", 10)).unwrap();
        let mut batch = Batch::new();
        for change in changes {
            batch.push("ns/a", change).unwrap();
        }
        if unordered {
            batch.set_unordered();
        }
        let applied = store.apply(&batch);
        let held = store.get("ns/a").map(|pod| pod.version());
        ((applied.added, applied.updated, applied.deleted, applied.stale), held)
    };
    assert_eq!(apply(true, vec![last(6)]), ((0, 0, 1, 0), None));
    assert_eq!(apply(true, vec![put(7)]), ((0, 1, 0, 0), Some(7)));
    assert_eq!(apply(true, vec![put(12), last(6), put(4)]), ((1, 1, 1, 0), Some(4)));
    assert_eq!(apply(false, vec![last(6), put(7)]), ((0, 0, 0, 2), Some(10)));
}

/// Writes of several threads that are done together still say each its own.
#[test]
fn a_combined_write_says_what_became_of_it_and_not_of_another() {
    struct Numbered(String, u64);
    impl Object for Numbered {
        fn key(&self) -> KeyRef<'_> {
            (&self.0).into()
        }
    }
    watched(|| {
        let store = Store::new();
        std::thread::scope(|scope| {
            for writer in 0..6_u64 {
                let store = &store;
                scope.spawn(move || {
                    let key = format!("ns/{writer}");
                    for i in 0..sized(300, 6) as u64 {
                        let written = store.add(Numbered(key.clone(), i)).unwrap();
                        let expected = if i % 3 == 0 { Outcome::Added } else { Outcome::Updated };
                        assert_eq!(written.outcome, expected);
                        let snapshot = store.snapshot();
                        assert!(
                            snapshot.revision() >= written.revision,
                            "told before it is visible"
                        );
                        assert_eq!(snapshot.get(&key).unwrap().1, i);
                        if i % 3 == 2 {
                            let deleted = store.delete(&key);
                            assert_eq!(deleted.object.unwrap().1, i);
                            assert!(store.revision() >= deleted.revision);
                        }
                    }
                });
            }
        });
        assert!(store.is_empty());
    });
}
