//! Keys are asked for once, and what the first answer was is what counts: an object whose `key` says
//! something else each time, or panics, confuses nothing but itself.
#![allow(clippy::unwrap_used, missing_docs)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use watchcache::fifo::AddError;
use watchcache::store::{UpdateError, WriteError};
use watchcache::{Batch, Fifo, Key, KeyError, KeyRef, Listing, Object, Store};

/// Says its answers one after the other, and then the last one for ever; `!` stands for a panic.
struct Fickle {
    answers: &'static [&'static str],
    asked: AtomicUsize,
}

impl Object for Fickle {
    fn key(&self) -> KeyRef<'_> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        match self.answers[asked.min(self.answers.len() - 1)] {
            "!" => panic!("asked too often"),
            answer => answer.into(),
        }
    }
}

fn fickle(answers: &'static [&'static str]) -> Arc<Fickle> {
    Arc::new(Fickle { answers, asked: AtomicUsize::new(0) })
}

fn keys_of(store: &Store<Fickle>) -> Vec<String> {
    let snapshot = store.snapshot();
    let by_namespace: usize = snapshot.namespaces().map(|(_, count)| count).sum();
    assert_eq!((snapshot.len(), snapshot.iter().count()), (by_namespace, by_namespace));
    let keys: Vec<_> = snapshot.prefix("").map(|(key, _)| key.to_string()).collect();
    assert!(keys.iter().all(|key| snapshot.contains(key)), "each is found");
    keys
}

#[test]
fn an_object_is_stored_under_what_it_said_first() {
    let store = Store::<Fickle>::new();
    let object = fickle(&["a/1", "b/2", "", "/a", "!"]);
    store.add(Arc::clone(&object)).unwrap();
    assert_eq!(object.asked.load(Ordering::Relaxed), 1);
    assert_eq!(keys_of(&store), ["a/1"]);
    store.add(Arc::clone(&object)).unwrap();
    assert_eq!(keys_of(&store), ["a/1", "b/2"]);
    for error in [KeyError::Empty, KeyError::EmptyNamespace("/a".to_owned())] {
        let refused = store.add(Arc::clone(&object)).unwrap_err();
        assert_eq!(refused, WriteError::Key(error));
    }
    assert!(catch_unwind(AssertUnwindSafe(|| store.add(Arc::clone(&object)))).is_err());
    assert_eq!(keys_of(&store), ["a/1", "b/2"]);
    assert!(store.delete("a/1").object.is_some_and(|held| Arc::ptr_eq(&held, &object)));
    assert_eq!(keys_of(&store), ["b/2"]);
}

#[test]
fn a_conditional_update_is_of_what_the_object_said_first() {
    let store = Store::<Fickle>::new();
    let object = fickle(&["a/1", "b/2", "", "!"]);
    store.compare_and_update(None, Arc::clone(&object)).unwrap();
    store.compare_and_update(None, Arc::clone(&object)).unwrap();
    let refused = store.compare_and_update(None, Arc::clone(&object)).unwrap_err();
    assert!(matches!(refused, UpdateError::Write { error: WriteError::Key(KeyError::Empty), .. }));
    let update = || store.compare_and_update(Some(&object), Arc::clone(&object));
    assert!(catch_unwind(AssertUnwindSafe(update)).is_err());
    assert_eq!(keys_of(&store), ["a/1", "b/2"]);
}

#[test]
fn all_sinks_of_a_batch_know_its_objects_by_the_same_keys() {
    let mut batch = Batch::new();
    batch.add(fickle(&["a/1", "b/1", "!"])).unwrap();
    batch.add(fickle(&["a/2", "a/1"])).unwrap();
    batch.delete("a/3");
    batch.delete("/no-key");
    assert!(batch.add(fickle(&["", "a/4"])).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| batch.add(fickle(&["!"])))).is_err());
    let keys: Vec<_> = batch.changes().map(|(key, _)| key.to_string()).collect();
    assert_eq!(keys, ["a/1", "a/2", "a/3"]);
    let (one, other, fifo) = (Store::new(), Store::new(), Fifo::new());
    for store in [&one, &other] {
        let applied = store.apply(&batch);
        assert_eq!((applied.added, applied.unchanged), (2, 1));
        assert_eq!(keys_of(store), ["a/1", "a/2"]);
        assert_eq!(store.apply(&batch).unchanged, 3);
    }
    fifo.apply(&batch).unwrap();
    fifo.apply(&batch).unwrap();
    assert_eq!(fifo.keys(), ["a/1", "a/2"].map(|key| key.parse::<Key>().unwrap()));
}

#[test]
fn a_listing_names_each_key_once() {
    let objects = [fickle(&["a/1", "a/2"]), fickle(&["a/2", "!"]), fickle(&["a/1", ""])];
    let last = Arc::clone(&objects[2]);
    let listing = Listing::new(objects, None).unwrap();
    let keys: Vec<_> = listing.objects().map(|(key, _)| key.to_string()).collect();
    assert_eq!(keys, ["a/1", "a/2"]);
    let store = Store::<Fickle>::new();
    store.add(fickle(&["a/9", "a/1"])).unwrap();
    assert_eq!(store.replace(&listing).deleted, ["a/9".parse::<Key>().unwrap()]);
    assert_eq!(keys_of(&store), ["a/1", "a/2"]);
    assert!(Arc::ptr_eq(&store.get("a/1").unwrap(), &last), "the later one counts");
    assert!(Listing::<Fickle>::new([fickle(&["a/", "a/1"])], None).is_err());
}

#[test]
fn a_queue_hands_out_what_the_object_said_first() {
    let fifo = Fifo::<Fickle>::new();
    let object = fickle(&["a/1", "b/2", "a/1", "", "!"]);
    fifo.add(Arc::clone(&object)).unwrap();
    fifo.add(Arc::clone(&object)).unwrap();
    assert_eq!(fifo.len(), 2);
    let lease = fifo.lease().unwrap();
    assert_eq!(lease.key().as_str(), "a/1");
    assert!(!fifo.add_if_absent(Arc::clone(&object)).unwrap(), "a/1 is leased");
    let refused = fifo.add(Arc::clone(&object)).unwrap_err();
    assert!(matches!(refused, AddError::Key { source: KeyError::Empty, .. }));
    assert!(catch_unwind(AssertUnwindSafe(|| fifo.add(Arc::clone(&object)))).is_err());
    lease.retry();
    assert_eq!(fifo.keys(), ["b/2", "a/1"].map(|key| key.parse::<Key>().unwrap()));
    assert!(fifo.delete("a/1").is_some());
    assert!(fifo.pop().is_ok());
    assert!(fifo.is_empty());
}

#[test]
fn writers_that_meet_store_what_each_said_first() {
    let store = Store::<Fickle>::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    store.add(fickle(&["a/1", "b/1"])).unwrap();
                    store.add(fickle(&["a/2", "!"])).unwrap();
                    store.delete("a/2");
                    let seen = store.get("a/1");
                    let _ = store.compare_and_update(seen.as_ref(), fickle(&["a/1", ""]));
                }
            });
        }
    });
    assert_eq!(keys_of(&store), ["a/1"]);
}
