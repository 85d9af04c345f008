//! `has_synced`, and closing.

use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use watchcache::fifo::{AddError, Closed, Lease, TryPopError};
use watchcache::{Batch, Fifo, Sink};

use crate::common::watchdog::watched;
use crate::item::{Item, item, listing, popped};
use crate::parked::Parked;

#[test]
fn has_synced_waits_for_a_first_replace() {
    let fifo = Fifo::<Item>::new();
    assert!(!fifo.has_synced());
    fifo.apply(&Batch::new()).unwrap();
    assert!(fifo.try_pop().is_err() && !fifo.has_synced());
    fifo.replace(&listing(&[])).unwrap();
    assert!(fifo.has_synced());
}

#[test]
fn an_add_or_delete_before_any_replace_means_synced() {
    let first: [fn(&Fifo<Item>); 4] = [
        |fifo| drop(fifo.add(item("a", 1))),
        |fifo| drop(fifo.add_if_absent(item("a", 1))),
        |fifo| drop(fifo.delete("nothing")),
        |fifo| {
            let mut batch = Batch::new();
            batch.delete("nothing");
            fifo.apply(&batch).unwrap();
        },
    ];
    for first in first {
        let fifo = Fifo::new();
        first(&fifo);
        assert!(fifo.has_synced());
        fifo.replace(&listing(&["x"])).unwrap();
        assert!(fifo.has_synced());
    }
}

#[test]
fn synced_when_each_key_of_the_first_replace_was_popped() {
    let fifo = Fifo::new();
    fifo.replace(&listing(&["a", "b"])).unwrap();
    fifo.add(item("later", 1)).unwrap();
    fifo.add(item("a", 1)).unwrap();
    for (key, synced) in [("a", false), ("b", true), ("later", true)] {
        assert_eq!(fifo.try_pop().unwrap().key, key);
        assert_eq!(fifo.has_synced(), synced);
    }
}

#[test]
fn synced_when_the_only_key_is_deleted() {
    let fifo = Fifo::new();
    fifo.replace(&listing(&["a"])).unwrap();
    fifo.delete("a");
    assert!(fifo.has_synced(), "nobody need pop for it");
}

#[test]
fn synced_when_a_shorter_replace_drops_the_rest() {
    let fifo = Fifo::new();
    fifo.replace(&listing(&["a", "b", "c"])).unwrap();
    fifo.try_pop().unwrap();
    fifo.replace(&listing(&["a", "c"])).unwrap();
    assert!(!fifo.has_synced());
    fifo.try_pop().unwrap();
    assert!(!fifo.has_synced(), "a was popped before; c is missing");
    fifo.replace(&listing(&["x"])).unwrap();
    assert!(fifo.has_synced());
}

#[test]
fn a_later_key_does_not_stand_in_for_an_initial_one() {
    let fifo = Fifo::new();
    fifo.replace(&listing(&["a"])).unwrap();
    let lease = fifo.lease().unwrap();
    fifo.add(item("b", 1)).unwrap();
    fifo.pop().unwrap();
    assert!(!fifo.has_synced());
    lease.retry();
    assert!(!fifo.has_synced());
    drop(fifo.lease().unwrap());
    assert!(!fifo.has_synced());
    fifo.lease().unwrap().done();
    assert!(fifo.has_synced());
}

#[test]
fn an_initial_key_that_changes_while_leased_is_synced_by_its_first_done() {
    let fifo = Fifo::new();
    fifo.replace(&listing(&["a"])).unwrap();
    let lease = fifo.lease().unwrap();
    fifo.add(item("a", 1)).unwrap();
    lease.done();
    assert!(fifo.has_synced() && fifo.contains("a"));
}

#[test]
fn a_batch_comes_out_in_order_and_never_empty() {
    let fifo = Fifo::new();
    assert_eq!(fifo.try_pop_batch(2).unwrap_err(), TryPopError::Empty);
    for (value, key) in ["a", "b", "c"].into_iter().enumerate() {
        fifo.add(item(key, value as u64)).unwrap();
    }
    let values = |batch: Vec<Arc<Item>>| batch.iter().map(|item| item.value).collect::<Vec<_>>();
    assert_eq!(values(fifo.pop_batch(2).unwrap()), [0, 1]);
    assert_eq!(values(fifo.pop_batch(2).unwrap()), [2]);
    assert_eq!(fifo.stats().popped, 3);

    let mut parked = Parked::new(fifo.pop_batch_async(2));
    fifo.add(item("d", 3)).unwrap();
    assert_eq!(parked.wakes(), 1);
    assert!(matches!(parked.poll(), Poll::Ready(Ok(batch)) if values(batch.clone()) == [3]));
    drop(parked);
    fifo.close();
    assert_eq!(fifo.pop_batch(2).unwrap_err(), Closed);
}

#[test]
fn closing_at_once_hands_back_what_waits() {
    let fifo = Fifo::new();
    for key in ["dirty", "leased", "waiting"] {
        fifo.add(item(key, 1)).unwrap();
    }
    let (dirty, leased) = (fifo.lease().unwrap(), fifo.lease().unwrap());
    fifo.add(item("dirty", 2)).unwrap();

    let back: Vec<_> = fifo.close_now().iter().map(|item| (item.key.clone(), item.value)).collect();
    assert_eq!(back, [("waiting".to_owned(), 1), ("dirty".to_owned(), 2)]);
    assert_eq!(fifo.stats().deleted, 2);

    dirty.retry();
    assert!(fifo.is_empty(), "the newer value was handed back already");
    leased.retry();
    assert_eq!(popped(&fifo), [("leased".to_owned(), 1)]);
    assert_eq!(fifo.pop().unwrap_err(), Closed);
}

#[test]
fn a_closed_queue_refuses_and_drains() {
    let fifo = Fifo::new();
    fifo.add(item("a", 1)).unwrap();
    fifo.add(item("b", 2)).unwrap();
    fifo.close();
    fifo.close();
    assert!(fifo.is_closed());
    let refused = fifo.add(item("a", 3)).unwrap_err();
    assert!(matches!(refused, AddError::Closed(_)));
    assert_eq!(refused.into_inner().value, 3);
    assert_eq!(fifo.add_if_absent(item("c", 4)).unwrap_err().into_inner().value, 4);
    assert_eq!(fifo.replace(&listing(&[])), Err(Closed));
    let mut batch = Batch::new();
    batch.add(item("d", 5)).unwrap();
    assert_eq!(fifo.apply(&batch), Err(Closed));
    Sink::apply(&fifo, &batch);
    Sink::replace(&fifo, &listing(&["e"]));
    assert_eq!(fifo.stats().refused, 6);
    assert_eq!(fifo.pop().unwrap().value, 1);
    assert_eq!(fifo.lease_timeout(Duration::ZERO).unwrap().value, 2);
}

#[test]
fn what_was_accepted_survives_a_close() {
    let fifo = Fifo::new();
    fifo.add(item("a", 1)).unwrap();
    fifo.add(item("b", 1)).unwrap();
    let (a, b) = (fifo.lease().unwrap(), fifo.lease().unwrap());
    fifo.add(item("b", 2)).unwrap();
    fifo.close();
    assert_eq!(fifo.lease().unwrap_err(), Closed);
    a.retry();
    b.done();
    assert_eq!(popped(&fifo), [("b".into(), 2), ("a".into(), 1)]);
    assert_eq!(fifo.pop().unwrap_err(), Closed);
}

#[test]
fn a_line_with_many_deleted_keys_keeps_its_order() {
    let fifo = Fifo::new();
    for value in 0..2_000 {
        fifo.add(item(&value.to_string(), value)).unwrap();
    }
    let leased: Vec<_> = (0..3).map(|_| fifo.lease().unwrap()).collect();
    for value in 0..3 {
        fifo.add(item(&value.to_string(), 10_000 + value)).unwrap();
        assert!(fifo.contains(&value.to_string()));
    }
    // Far more tickets become stale than keys stay.
    (3..2_000).filter(|value| value % 100 != 0).for_each(|value| {
        fifo.delete(&value.to_string()).unwrap();
    });
    leased.into_iter().rev().for_each(Lease::done);
    let expected: Vec<_> = (1..20).map(|i| i * 100).chain(10_000..10_003).collect();
    assert_eq!(popped(&fifo).iter().map(|(_, value)| *value).collect::<Vec<_>>(), expected);
}

#[test]
fn consumers_learn_that_the_source_has_ended() {
    watched(|| {
        let fifo = Fifo::new();
        let sink: &dyn Sink<Item> = &fifo;
        let mut task = Parked::new(fifo.pop_async());
        sink.replace(&listing(&["a"]));
        let consumer = thread::spawn({
            let fifo = fifo.clone();
            move || std::iter::from_fn(|| fifo.lease().ok().map(Lease::done)).count()
        });
        assert_eq!(fifo.source_error(), None);
        sink.ended(Some(&std::io::Error::other("pods is forbidden")));
        sink.ended(Some(&std::io::Error::other("and again")));
        assert_eq!(consumer.join().unwrap(), 1, "what was accepted is handed out");
        assert!(matches!(task.poll(), Poll::Ready(Err(Closed))));
        assert_eq!(fifo.source_error(), Some("pods is forbidden"));
        assert!(fifo.add(item("b", 1)).is_err());
    });
}

#[test]
fn a_queue_may_outlive_its_source() {
    let fifo = Fifo::builder().outlives_source().build().unwrap();
    Sink::<Item>::ended(&fifo, Some(&std::io::Error::other("gone")));
    assert_eq!((fifo.source_error(), fifo.is_closed()), (Some("gone"), false));
    fifo.add(item("a", 1)).unwrap();
    assert_eq!(fifo.pop().unwrap().value, 1);
}
