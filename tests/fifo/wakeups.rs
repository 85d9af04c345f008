//! Who is woken, and who is not.

use std::task::Poll;
use std::thread;
use std::time::Duration;

use watchcache::fifo::{Closed, PopError, TryPopError};
use watchcache::{Batch, Fifo};

use crate::common::watchdog::watched;
use crate::item::{Item, item, listing};
use crate::parked::Parked;

#[test]
fn one_add_wakes_one_consumer_and_the_next_add_the_next() {
    let fifo = Fifo::new();
    let mut first = Parked::new(fifo.pop_async());
    let mut second = Parked::new(fifo.pop_async());
    fifo.add(item("a", 1)).unwrap();
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
    fifo.add(item("a", 2)).unwrap();
    assert_eq!((first.wakes(), second.wakes()), (1, 0), "no key has become available");
    // The first has not run yet; its wakeup must not swallow this one.
    fifo.add(item("b", 3)).unwrap();
    assert_eq!((first.wakes(), second.wakes()), (1, 1));
    assert!(matches!(second.poll(), Poll::Ready(Ok(got)) if got.value == 2));
    assert!(matches!(first.poll(), Poll::Ready(Ok(got)) if got.value == 3));
}

#[test]
fn a_batch_wakes_as_many_as_it_has_work_for() {
    let fifo = Fifo::new();
    let parked: Vec<_> = (0..4).map(|_| Parked::new(fifo.lease_async())).collect();
    let mut batch = Batch::new();
    for key in ["a", "b", "a", "c"] {
        batch.add(item(key, 0)).unwrap();
    }
    batch.delete("c");
    fifo.apply(&batch).unwrap();
    assert_eq!(parked.iter().map(Parked::wakes).collect::<Vec<_>>(), [1, 1, 0, 0]);
    // A replace makes the queue anew: what it lists may have been out of sight for a moment, even "b".
    fifo.replace(&listing(&["b", "d"])).unwrap();
    assert_eq!(parked.iter().map(Parked::wakes).collect::<Vec<_>>(), [1, 1, 1, 1]);
}

#[test]
fn a_dropped_consumer_passes_its_wakeup_on() {
    let fifo = Fifo::new();
    let first = Parked::new(fifo.pop_async());
    let mut second = Parked::new(fifo.lease_async());
    fifo.add(item("a", 1)).unwrap();
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
    drop(first);
    assert_eq!(second.wakes(), 1);
    assert!(matches!(second.poll(), Poll::Ready(Ok(lease)) if lease.value == 1));
}

#[test]
fn a_woken_consumer_that_finds_nothing_sleeps_on() {
    let fifo = Fifo::new();
    let mut parked = Parked::new(fifo.pop_async());
    fifo.add(item("a", 1)).unwrap();
    assert_eq!(fifo.try_pop().unwrap().value, 1);
    assert!(parked.poll().is_pending());
    fifo.add(item("b", 2)).unwrap();
    assert_eq!(parked.wakes(), 2);
    assert!(matches!(parked.poll(), Poll::Ready(Ok(got)) if got.value == 2));
}

#[test]
fn the_end_of_a_lease_wakes_a_consumer_if_the_key_goes_back() {
    let fifo = Fifo::new();
    fifo.add(item("a", 1)).unwrap();
    let lease = fifo.lease().unwrap();
    let mut parked = Parked::new(fifo.lease_async());
    fifo.add(item("a", 2)).unwrap();
    assert_eq!(parked.wakes(), 0, "the key is in our hands");
    lease.done();
    assert_eq!(parked.wakes(), 1);
    assert!(matches!(parked.poll(), Poll::Ready(Ok(lease)) if lease.value == 2));
}

#[test]
fn closing_wakes_everybody() {
    let fifo = Fifo::<Item>::new();
    let mut parked: Vec<_> = (0..3).map(|_| Parked::new(fifo.pop_async())).collect();
    fifo.close();
    for parked in &mut parked {
        assert_eq!(parked.wakes(), 1);
        assert!(matches!(parked.poll(), Poll::Ready(Err(Closed))));
    }
}

#[test]
fn a_blocked_thread_is_woken_by_an_add_and_by_a_close() {
    watched(|| {
        let fifo = Fifo::<Item>::new();
        let consumer = thread::spawn({
            let fifo = fifo.clone();
            move || (fifo.pop().map(|got| got.value), fifo.lease().map(|lease| lease.value))
        });
        fifo.add(item("a", 1)).unwrap();
        while !fifo.is_empty() {
            thread::yield_now();
        }
        fifo.close();
        assert_eq!(consumer.join().unwrap(), (Ok(1), Err(Closed)));
    });
}

#[test]
fn a_timeout_is_told_from_a_close() {
    let fifo = Fifo::<Item>::new();
    for timeout in [Duration::ZERO, Duration::from_millis(2)] {
        assert_eq!(fifo.pop_timeout(timeout).unwrap_err(), PopError::Timeout);
        assert_eq!(fifo.lease_timeout(timeout).unwrap_err(), PopError::Timeout);
    }
    fifo.add(item("a", 1)).unwrap();
    assert_eq!(fifo.pop_timeout(Duration::MAX).unwrap().value, 1);
    assert_eq!(fifo.try_lease().unwrap_err(), TryPopError::Empty);
    fifo.close();
    assert_eq!(fifo.pop_timeout(Duration::MAX).unwrap_err(), PopError::Closed);
    assert_eq!(fifo.try_pop().unwrap_err(), TryPopError::Closed);
}
