//! Leases.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use watchcache::fifo::{Added, Lease, TryPopError};
use watchcache::{Batch, Fifo, KeyRef, Listing, Object};

use crate::common::watchdog::watched;
use crate::item::{Item, item, keys, listing, popped};

#[test]
fn a_leased_key_is_in_nobody_elses_hands() {
    let fifo = Fifo::new();
    fifo.add(item("a", 1)).unwrap();
    fifo.add(item("b", 1)).unwrap();
    let lease = fifo.lease().unwrap();
    assert_eq!((lease.key().as_str(), lease.object().value, lease.value), ("a", 1, 1));
    fifo.add(item("a", 2)).unwrap();
    assert_eq!(fifo.try_pop().unwrap().key, "b");
    assert_eq!(fifo.try_pop().unwrap_err(), TryPopError::Empty);
    assert_eq!(fifo.try_lease().unwrap_err(), TryPopError::Empty);
    assert_eq!((fifo.stats().processing, fifo.len()), (1, 1));
    assert_eq!(fifo.get("a").unwrap().value, 2);
}

#[test]
fn changes_during_processing_lead_to_one_more_run_with_the_newest() {
    let fifo = Fifo::new();
    fifo.add(item("a", 1)).unwrap();
    let lease = fifo.lease().unwrap();
    assert_eq!(fifo.add(item("a", 2)).unwrap(), Added::Queued);
    assert_eq!(fifo.add(item("a", 3)).unwrap(), Added::Coalesced);
    lease.done();
    let lease = fifo.lease().unwrap();
    assert_eq!(lease.value, 3);
    lease.done();
    assert!(fifo.is_empty() && fifo.try_lease().is_err());
    assert_eq!(fifo.stats().processing, 0);
}

#[test]
fn a_change_during_processing_keeps_the_place_it_arrived_at() {
    let fifo = Fifo::new();
    fifo.add(item("a", 1)).unwrap();
    let lease = fifo.lease().unwrap();
    fifo.add(item("a", 2)).unwrap();
    fifo.add(item("b", 3)).unwrap();
    assert_eq!(keys(&fifo), ["a", "b"]);
    lease.done();
    assert_eq!(popped(&fifo), [("a".into(), 2), ("b".into(), 3)]);
}

#[test]
fn a_retry_goes_to_the_tail() {
    let fifo = Fifo::new();
    fifo.add(item("a", 1)).unwrap();
    fifo.add(item("b", 2)).unwrap();
    fifo.lease().unwrap().retry();
    assert_eq!(fifo.stats().retries, 1);
    assert_eq!(popped(&fifo), [("b".into(), 2), ("a".into(), 1)]);
}

#[test]
fn a_retry_never_overwrites_a_newer_value() {
    let fifo = Fifo::new();
    fifo.add(item("a", 1)).unwrap();
    let lease = fifo.lease().unwrap();
    fifo.add(item("a", 2)).unwrap();
    fifo.add(item("b", 3)).unwrap();
    lease.retry();
    assert_eq!(popped(&fifo), [("a".into(), 2), ("b".into(), 3)]);
}

#[test]
fn a_delete_during_processing_drops_what_was_pending_and_bars_a_retry() {
    let end: [fn(Lease<Item>); 3] = [Lease::done, Lease::retry, drop];
    for end in end {
        let fifo = Fifo::new();
        fifo.add(item("a", 1)).unwrap();
        let lease = fifo.lease().unwrap();
        fifo.add(item("a", 2)).unwrap();
        assert_eq!(fifo.delete("a").unwrap().value, 2);
        assert_eq!(fifo.delete("a"), None);
        assert_eq!(lease.value, 1);
        end(lease);
        assert!(fifo.is_empty() && fifo.try_lease().is_err());

        fifo.add(item("a", 3)).unwrap();
        let lease = fifo.lease().unwrap();
        fifo.delete("a");
        fifo.add(item("a", 4)).unwrap();
        end(lease);
        assert_eq!(popped(&fifo), [("a".into(), 4)]);
    }
}

#[test]
fn a_replace_during_processing_is_a_change_or_a_delete() {
    let fifo = Fifo::new();
    fifo.add(item("a", 1)).unwrap();
    fifo.add(item("b", 1)).unwrap();
    let (a, b) = (fifo.lease().unwrap(), fifo.lease().unwrap());
    fifo.replace(&listing(&["b", "c"])).unwrap();
    assert_eq!(keys(&fifo), ["b", "c"]);
    a.retry();
    b.retry();
    assert_eq!(popped(&fifo), [("b".into(), 0), ("c".into(), 0)]);
}

#[test]
fn a_panicking_worker_puts_its_key_back() {
    watched(|| {
        let fifo = Fifo::new();
        fifo.add(item("a", 1)).unwrap();
        let worker = thread::spawn({
            let fifo = fifo.clone();
            move || {
                let _lease = fifo.lease().unwrap();
                std::panic::resume_unwind(Box::new("the work failed"));
            }
        });
        assert!(worker.join().is_err());
        assert_eq!((fifo.stats().abandoned, fifo.stats().processing), (1, 0));
        let lease = fifo.lease().unwrap();
        assert_eq!(lease.value, 1);
        lease.done();
        assert!(fifo.is_empty());
    });
}

#[test]
fn a_destructor_may_use_the_queue() {
    static FIFO: OnceLock<Fifo<Nosy>> = OnceLock::new();
    static DROPS: AtomicUsize = AtomicUsize::new(0);

    struct Nosy;
    impl Object for Nosy {
        fn key(&self) -> KeyRef<'_> {
            "nosy".into()
        }
    }
    impl Drop for Nosy {
        fn drop(&mut self) {
            let _ = FIFO.get().unwrap().stats();
            DROPS.fetch_add(1, Ordering::SeqCst);
        }
    }

    watched(|| {
        let fifo = FIFO.get_or_init(Fifo::new);
        fifo.add(Nosy).unwrap();
        fifo.add(Nosy).unwrap();
        fifo.replace(&Listing::new([Nosy], None).unwrap()).unwrap();
        fifo.replace(&Listing::new(Vec::<Nosy>::new(), None).unwrap()).unwrap();
        let mut batch = Batch::new();
        batch.add(Nosy).unwrap();
        batch.add(Nosy).unwrap();
        fifo.apply(&batch).unwrap();
        drop(batch);
        assert!(!fifo.add_if_absent(Nosy).unwrap());
        let lease = fifo.lease().unwrap();
        fifo.add(Nosy).unwrap();
        lease.retry();
        drop(fifo.pop());
        fifo.close();
        drop(fifo.add(Nosy));
        assert_eq!(DROPS.load(Ordering::SeqCst), 8);
    });
}
