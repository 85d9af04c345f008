//! Draining.

use std::thread;
use std::time::Duration;

use watchcache::Fifo;
use watchcache::fifo::TryPopError;

use crate::common::watchdog::watched;
use crate::item::{Item, item, popped};
use crate::parked::Parked;

#[test]
fn a_drain_waits_for_the_workers() {
    watched(|| {
        let fifo = Fifo::new();
        let worker = thread::spawn({
            let fifo: Fifo<Item> = fifo.clone();
            move || {
                let mut failed = false;
                while let Ok(lease) = fifo.lease() {
                    if lease.value == 7 && !std::mem::replace(&mut failed, true) {
                        lease.retry();
                    } else {
                        lease.done();
                    }
                }
            }
        });
        for value in 0..100 {
            fifo.add(item(&value.to_string(), value)).unwrap();
        }
        let drained = fifo.drain(Duration::MAX);
        assert!(drained.is_complete(), "{drained:?}");
        assert!(fifo.add(item("late", 0)).is_err());
        worker.join().unwrap();
        assert_eq!((fifo.stats().popped, fifo.stats().depth), (101, 0));
    });
}

#[test]
fn a_drain_hands_back_what_is_left_at_its_deadline() {
    let fifo = Fifo::new();
    for key in ["a", "b", "c"] {
        fifo.add(item(key, 1)).unwrap();
    }
    let lease = fifo.lease().unwrap();
    fifo.add_after(item("d", 1), Duration::from_secs(3600)).unwrap();
    let drained = fifo.drain(Duration::ZERO);
    let back: Vec<_> = drained.unprocessed.iter().map(|item| item.key.as_str()).collect();
    assert_eq!((back, drained.leased), (vec!["b", "c", "d"], 1));
    assert!(!drained.is_complete());
    let mut all = Parked::new(fifo.wait_drained());
    lease.done();
    assert!(all.poll().is_ready());
    let stats = fifo.stats();
    assert_eq!((stats.adds, stats.popped, stats.deleted), (4, 1, 3));
}

#[test]
fn closing_at_once_ends_a_drain() {
    watched(|| {
        let fifo = Fifo::new();
        fifo.add(item("a", 1)).unwrap();
        fifo.add(item("b", 1)).unwrap();
        let lease = fifo.lease().unwrap();
        thread::scope(|scope| {
            let drain = scope.spawn(|| fifo.drain(Duration::MAX));
            while !fifo.is_closed() {
                thread::yield_now();
            }
            let unprocessed = fifo.close_now().len();
            let drained = drain.join().unwrap();
            assert!(!drained.is_complete());
            assert_eq!((unprocessed + drained.unprocessed.len(), drained.leased), (1, 1));
            lease.retry();
        });
        assert_eq!(popped(&fifo), [("a".into(), 1)], "the lease runs on");
    });
}

#[test]
fn what_would_come_again_by_itself_does_not_keep_a_closed_queue_from_its_end() {
    let fifo = Fifo::<Item>::new();
    for key in ["a", "b"] {
        fifo.add(item(key, 1)).unwrap();
    }
    let later = Duration::from_secs(600);
    fifo.lease().unwrap().after(later);
    fifo.close();
    // Both are in line now, and each has one more run.
    let runs = std::iter::from_fn(|| fifo.try_lease().ok()).take(9).map(|lease| lease.after(later));
    assert_eq!(runs.count(), 2);
    assert_eq!(fifo.try_lease().unwrap_err(), TryPopError::Closed);
    assert!(fifo.drain(Duration::ZERO).is_complete());
}

#[test]
fn closing_at_once_ends_whoever_waits_for_the_end() {
    let fifo = Fifo::new();
    fifo.add(item("a", 1)).unwrap();
    let lease = fifo.lease().unwrap();
    let mut waiting = Parked::new(fifo.wait_drained());
    assert!(waiting.poll().is_pending());
    assert!(fifo.close_now().is_empty());
    assert!(waiting.poll().is_ready(), "a lease may never end");
    lease.done();
}
