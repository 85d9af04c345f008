//! One entry per key, in order.

use std::sync::Arc;

use watchcache::fifo::{AddError, Added, TryPopError};
use watchcache::{Batch, Fifo, Key, KeyError};

use crate::item::{item, keys, listing, popped};

#[test]
fn objects_come_out_in_the_order_of_arrival() {
    let fifo = Fifo::new();
    for (value, key) in ["c", "a", "ns/b"].into_iter().enumerate() {
        assert_eq!(fifo.add(item(key, value as u64)).unwrap(), Added::Queued);
    }
    assert_eq!(keys(&fifo), ["c", "a", "ns/b"]);
    assert_eq!(fifo.list().iter().map(|i| i.value).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(popped(&fifo), [("c".into(), 0), ("a".into(), 1), ("ns/b".into(), 2)]);
    assert!(fifo.is_empty());
}

#[test]
fn a_queued_key_keeps_its_place_and_takes_the_new_value() {
    let fifo = Fifo::new();
    fifo.add(item("a", 1)).unwrap();
    fifo.add(item("b", 2)).unwrap();
    assert_eq!(fifo.add(item("a", 3)).unwrap(), Added::Coalesced);
    assert_eq!(fifo.get("a").unwrap().value, 3);
    assert_eq!((fifo.stats().adds, fifo.stats().coalesced, fifo.len()), (3, 1, 2));
    assert_eq!(popped(&fifo), [("a".into(), 3), ("b".into(), 2)]);
}

#[test]
fn a_key_deleted_and_added_again_goes_to_the_back() {
    let fifo = Fifo::new();
    fifo.add(item("a", 1)).unwrap();
    fifo.add(item("b", 2)).unwrap();
    assert_eq!(fifo.delete("a").unwrap().value, 1);
    assert_eq!((fifo.contains("a"), fifo.get("a"), fifo.delete("a")), (false, None, None));
    fifo.add(item("a", 3)).unwrap();
    assert_eq!(fifo.stats().deleted, 1);
    assert_eq!(popped(&fifo), [("b".into(), 2), ("a".into(), 3)]);
}

#[test]
fn deleting_and_adding_for_ever_leaves_nothing_behind() {
    let fifo = Fifo::new();
    fifo.add(item("stays", 0)).unwrap();
    let mut gone = Vec::new();
    for value in 0..1000 {
        let object = Arc::new(item("a", value));
        gone.push(Arc::downgrade(&object));
        fifo.add(object).unwrap();
        fifo.delete("a").unwrap();
    }
    assert_eq!(keys(&fifo), ["stays"]);
    assert!(gone.iter().all(|weak| weak.strong_count() == 0));
}

#[test]
fn replace_keeps_the_order_of_the_list_and_drops_the_rest() {
    let fifo = Fifo::new();
    fifo.add(item("gone", 1)).unwrap();
    fifo.add(item("a", 1)).unwrap();
    fifo.replace(&listing(&["z", "a", "m"])).unwrap();
    assert_eq!(keys(&fifo), ["z", "a", "m"]);
    assert_eq!(fifo.get("a").unwrap().value, 0);
    let stats = fifo.stats();
    assert_eq!((stats.deleted, stats.coalesced, stats.depth), (1, 1, 3));
    fifo.add(item("gone", 2)).unwrap();
    assert_eq!(keys(&fifo), ["z", "a", "m", "gone"]);
}

#[test]
fn lookups_take_every_form_of_a_key() {
    let fifo = Fifo::new();
    fifo.add(item("ns/a", 7)).unwrap();
    let key: Key = "ns/a".parse().unwrap();
    assert!(fifo.contains("ns/a") && fifo.contains(("ns", "a")) && fifo.contains(&key));
    assert!(!fifo.contains("a") && !fifo.contains("") && !fifo.contains("ns/a/b"));
    assert_eq!(fifo.delete(&key).unwrap().value, 7);
}

#[test]
fn a_batch_is_applied_in_order() {
    let fifo = Fifo::new();
    fifo.add(item("a", 1)).unwrap();
    let mut batch = Batch::new();
    batch.add(item("b", 2)).unwrap();
    batch.delete("a");
    batch.add(item("a", 3)).unwrap();
    batch.add(item("b", 4)).unwrap();
    fifo.apply(&batch).unwrap();
    assert_eq!(popped(&fifo), [("b".into(), 4), ("a".into(), 3)]);
}

#[test]
fn add_if_absent_never_overwrites() {
    let fifo = Fifo::new();
    assert!(fifo.add_if_absent(item("a", 1)).unwrap());
    assert!(!fifo.add_if_absent(item("a", 0)).unwrap());
    let lease = fifo.lease().unwrap();
    assert!(
        !fifo.add_if_absent(item("a", 0)).unwrap(),
        "whoever holds the key may have a newer one"
    );
    lease.done();
    assert!(fifo.is_empty());
    assert!(fifo.add_if_absent(item("a", 2)).unwrap());
    assert_eq!(popped(&fifo), [("a".into(), 2)]);
}

#[test]
fn an_object_without_a_key_comes_back() {
    let fifo = Fifo::new();
    for error in [fifo.add(item("", 5)).unwrap_err(), fifo.add_if_absent(item("", 5)).unwrap_err()]
    {
        assert!(matches!(error, AddError::Key { source: KeyError::Empty, .. }));
        assert_eq!(error.into_inner().value, 5);
    }
    assert!(!fifo.has_synced(), "a refused object is no first call");
}

#[test]
fn a_batch_of_everything_is_everything() {
    let fifo = Fifo::new();
    for i in 0..3_000 {
        fifo.add(item(&i.to_string(), i)).unwrap();
    }
    let all = fifo.try_pop_batch(usize::MAX).unwrap();
    assert!(all.iter().map(|item| item.value).eq(0..3_000));
    assert_eq!(fifo.try_pop_batch(usize::MAX).unwrap_err(), TryPopError::Empty);
}
