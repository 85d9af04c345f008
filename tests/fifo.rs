//! The queue's guarantees, one by one. No test depends on how long anything takes; those that could
//! hang run under a watchdog.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::HashMap;
use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures_util::StreamExt;
use watchcache::fifo::{
    AddError, Added, Backoff, BuildError, Closed, Lease, ManualClock, Observer, PopError,
    TryPopError,
};
use watchcache::{Batch, Fifo, Key, KeyError, Listing, Object, Sink};

#[derive(Debug, PartialEq)]
struct Item {
    key: String,
    value: u64,
}

impl Object for Item {
    fn key(&self) -> Result<Key, KeyError> {
        self.key.parse()
    }
}

fn item(key: &str, value: u64) -> Item {
    Item { key: key.to_owned(), value }
}

fn listing(keys: &[&str]) -> Listing<Item> {
    Listing::new(keys.iter().map(|key| item(key, 0)), None).unwrap()
}

fn keys(fifo: &Fifo<Item>) -> Vec<String> {
    fifo.keys().iter().map(Key::to_string).collect()
}

fn popped(fifo: &Fifo<Item>) -> Vec<(String, u64)> {
    std::iter::from_fn(|| fifo.try_pop().ok()).map(|item| (item.key.clone(), item.value)).collect()
}

/// Fails the test instead of hanging it.
fn watchdog(test: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let runner = thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    match finished.recv_timeout(Duration::from_secs(120)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the test hangs"),
        Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => {
            if let Err(panic) = runner.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// Counts how often a task is woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A task parked on a queue, polled by hand.
struct Parked<'a, R> {
    future: Pin<Box<dyn Future<Output = R> + 'a>>,
    wakes: Arc<Wakes>,
}

impl<'a, R> Parked<'a, R> {
    fn new(future: impl Future<Output = R> + 'a) -> Self {
        let mut parked = Self { future: Box::pin(future), wakes: Arc::default() };
        assert!(parked.poll().is_pending(), "nothing to get yet");
        parked
    }

    fn poll(&mut self) -> Poll<R> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::SeqCst)
    }
}

// Guarantee 6: one entry per key, in order.

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
    assert_eq!(fifo.update(item("a", 3)).unwrap(), Added::Coalesced);
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
    batch.put(item("b", 2)).unwrap();
    batch.delete("a".parse().unwrap());
    batch.put(item("a", 3)).unwrap();
    batch.put(item("b", 4)).unwrap();
    fifo.apply(&batch).unwrap();
    assert_eq!(popped(&fifo), [("b".into(), 4), ("a".into(), 3)]);
}

#[test]
fn add_if_absent_never_overwrites() {
    let fifo = Fifo::new();
    assert!(fifo.add_if_absent(item("a", 1)).unwrap());
    assert!(!fifo.add_if_absent(item("a", 0)).unwrap());
    let lease = fifo.take().unwrap();
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

// Guarantee 7: wakeups.

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
    let parked: Vec<_> = (0..4).map(|_| Parked::new(fifo.take_async())).collect();
    let mut batch = Batch::new();
    for key in ["a", "b", "a", "c"] {
        batch.put(item(key, 0)).unwrap();
    }
    batch.delete("c".parse().unwrap());
    fifo.apply(&batch).unwrap();
    assert_eq!(parked.iter().map(Parked::wakes).collect::<Vec<_>>(), [1, 1, 0, 0]);
    fifo.replace(&listing(&["b", "d"])).unwrap();
    assert_eq!(parked.iter().map(Parked::wakes).sum::<usize>(), 3);
}

#[test]
fn a_dropped_consumer_passes_its_wakeup_on() {
    let fifo = Fifo::new();
    let first = Parked::new(fifo.pop_async());
    let mut second = Parked::new(fifo.take_async());
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
    let lease = fifo.take().unwrap();
    let mut parked = Parked::new(fifo.take_async());
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
    watchdog(|| {
        let fifo = Fifo::<Item>::new();
        let consumer = thread::spawn({
            let fifo = fifo.clone();
            move || (fifo.pop().map(|got| got.value), fifo.take().map(|lease| lease.value))
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
        assert_eq!(fifo.take_timeout(timeout).unwrap_err(), PopError::Timeout);
    }
    fifo.add(item("a", 1)).unwrap();
    assert_eq!(fifo.pop_timeout(Duration::MAX).unwrap().value, 1);
    assert_eq!(fifo.try_take().unwrap_err(), TryPopError::Empty);
    fifo.close();
    assert_eq!(fifo.pop_timeout(Duration::MAX).unwrap_err(), PopError::Closed);
    assert_eq!(fifo.try_pop().unwrap_err(), TryPopError::Closed);
}

// Guarantee 8: leases.

#[test]
fn a_leased_key_is_in_nobody_elses_hands() {
    let fifo = Fifo::new();
    fifo.add(item("a", 1)).unwrap();
    fifo.add(item("b", 1)).unwrap();
    let lease = fifo.take().unwrap();
    assert_eq!((lease.key().as_str(), lease.object().value, lease.value), ("a", 1, 1));
    fifo.add(item("a", 2)).unwrap();
    assert_eq!(fifo.try_pop().unwrap().key, "b");
    assert_eq!(fifo.try_pop().unwrap_err(), TryPopError::Empty);
    assert_eq!(fifo.try_take().unwrap_err(), TryPopError::Empty);
    assert_eq!((fifo.stats().processing, fifo.len()), (1, 1));
    assert_eq!(fifo.get("a").unwrap().value, 2);
}

#[test]
fn changes_during_processing_lead_to_one_more_run_with_the_newest() {
    let fifo = Fifo::new();
    fifo.add(item("a", 1)).unwrap();
    let lease = fifo.take().unwrap();
    assert_eq!(fifo.add(item("a", 2)).unwrap(), Added::Queued);
    assert_eq!(fifo.add(item("a", 3)).unwrap(), Added::Coalesced);
    lease.done();
    let lease = fifo.take().unwrap();
    assert_eq!(lease.value, 3);
    lease.done();
    assert!(fifo.is_empty() && fifo.try_take().is_err());
    assert_eq!(fifo.stats().processing, 0);
}

#[test]
fn a_change_during_processing_keeps_the_place_it_arrived_at() {
    let fifo = Fifo::new();
    fifo.add(item("a", 1)).unwrap();
    let lease = fifo.take().unwrap();
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
    fifo.take().unwrap().retry();
    assert_eq!(fifo.stats().retries, 1);
    assert_eq!(popped(&fifo), [("b".into(), 2), ("a".into(), 1)]);
}

#[test]
fn a_retry_never_overwrites_a_newer_value() {
    let fifo = Fifo::new();
    fifo.add(item("a", 1)).unwrap();
    let lease = fifo.take().unwrap();
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
        let lease = fifo.take().unwrap();
        fifo.add(item("a", 2)).unwrap();
        assert_eq!(fifo.delete("a").unwrap().value, 2);
        assert_eq!(fifo.delete("a"), None);
        assert_eq!(lease.value, 1);
        end(lease);
        assert!(fifo.is_empty() && fifo.try_take().is_err());

        fifo.add(item("a", 3)).unwrap();
        let lease = fifo.take().unwrap();
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
    let (a, b) = (fifo.take().unwrap(), fifo.take().unwrap());
    fifo.replace(&listing(&["b", "c"])).unwrap();
    assert_eq!(keys(&fifo), ["b", "c"]);
    a.retry();
    b.retry();
    assert_eq!(popped(&fifo), [("b".into(), 0), ("c".into(), 0)]);
}

#[test]
fn a_panicking_worker_puts_its_key_back() {
    watchdog(|| {
        let fifo = Fifo::new();
        fifo.add(item("a", 1)).unwrap();
        let worker = thread::spawn({
            let fifo = fifo.clone();
            move || {
                let _lease = fifo.take().unwrap();
                std::panic::resume_unwind(Box::new("the work failed"));
            }
        });
        assert!(worker.join().is_err());
        assert_eq!((fifo.stats().abandoned, fifo.stats().processing), (1, 0));
        let lease = fifo.take().unwrap();
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
        fn key(&self) -> Result<Key, KeyError> {
            Key::cluster_scoped("nosy")
        }
    }
    impl Drop for Nosy {
        fn drop(&mut self) {
            let _ = FIFO.get().unwrap().stats();
            DROPS.fetch_add(1, Ordering::SeqCst);
        }
    }

    watchdog(|| {
        let fifo = FIFO.get_or_init(Fifo::new);
        fifo.add(Nosy).unwrap();
        fifo.add(Nosy).unwrap();
        fifo.replace(&Listing::new([Nosy], None).unwrap()).unwrap();
        fifo.replace(&Listing::new(Vec::<Nosy>::new(), None).unwrap()).unwrap();
        let mut batch = Batch::new();
        batch.put(Nosy).unwrap();
        batch.put(Nosy).unwrap();
        fifo.apply(&batch).unwrap();
        drop(batch);
        assert!(!fifo.add_if_absent(Nosy).unwrap());
        let lease = fifo.take().unwrap();
        fifo.add(Nosy).unwrap();
        lease.retry();
        drop(fifo.pop());
        fifo.close();
        drop(fifo.add(Nosy));
        assert_eq!(DROPS.load(Ordering::SeqCst), 8);
    });
}

// Guarantee 9: has_synced and close.

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
            batch.delete("nothing".parse().unwrap());
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
    let lease = fifo.take().unwrap();
    fifo.add(item("b", 1)).unwrap();
    fifo.pop().unwrap();
    assert!(!fifo.has_synced());
    lease.retry();
    assert!(!fifo.has_synced());
    drop(fifo.take().unwrap());
    assert!(!fifo.has_synced());
    fifo.take().unwrap().done();
    assert!(fifo.has_synced());
}

#[test]
fn an_initial_key_that_changes_while_leased_is_synced_by_its_first_done() {
    let fifo = Fifo::new();
    fifo.replace(&listing(&["a"])).unwrap();
    let lease = fifo.take().unwrap();
    fifo.add(item("a", 1)).unwrap();
    lease.done();
    assert!(fifo.has_synced() && fifo.contains("a"));
}

#[test]
fn a_batch_comes_out_in_order_and_never_empty() {
    let fifo = Fifo::new();
    let two = NonZeroUsize::new(2).unwrap();
    assert_eq!(fifo.try_pop_batch(two).unwrap_err(), TryPopError::Empty);
    for (value, key) in ["a", "b", "c"].into_iter().enumerate() {
        fifo.add(item(key, value as u64)).unwrap();
    }
    let values = |batch: Vec<Arc<Item>>| batch.iter().map(|item| item.value).collect::<Vec<_>>();
    assert_eq!(values(fifo.pop_batch(two).unwrap()), [0, 1]);
    assert_eq!(values(fifo.pop_batch(two).unwrap()), [2]);
    assert_eq!(fifo.stats().popped, 3);

    let mut parked = Parked::new(fifo.pop_batch_async(two));
    fifo.add(item("d", 3)).unwrap();
    assert_eq!(parked.wakes.0.load(Ordering::SeqCst), 1);
    assert!(matches!(parked.poll(), Poll::Ready(Ok(batch)) if values(batch.clone()) == [3]));
    drop(parked);
    fifo.close();
    assert_eq!(fifo.pop_batch(two).unwrap_err(), Closed);
}

#[test]
fn closing_at_once_hands_back_what_waits() {
    let fifo = Fifo::new();
    for key in ["dirty", "leased", "waiting"] {
        fifo.add(item(key, 1)).unwrap();
    }
    let (dirty, leased) = (fifo.take().unwrap(), fifo.take().unwrap());
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
    batch.put(item("d", 5)).unwrap();
    assert_eq!(fifo.apply(&batch), Err(Closed));
    Sink::apply(&fifo, &batch);
    Sink::replace(&fifo, &listing(&["e"]));
    assert_eq!(fifo.stats().refused, 6);
    assert_eq!(fifo.pop().unwrap().value, 1);
    assert_eq!(fifo.take_timeout(Duration::ZERO).unwrap().value, 2);
}

#[test]
fn what_was_accepted_survives_a_close() {
    let fifo = Fifo::new();
    fifo.add(item("a", 1)).unwrap();
    fifo.add(item("b", 1)).unwrap();
    let (a, b) = (fifo.take().unwrap(), fifo.take().unwrap());
    fifo.add(item("b", 2)).unwrap();
    fifo.close();
    assert_eq!(fifo.take().unwrap_err(), Closed);
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
    let leased: Vec<_> = (0..3).map(|_| fifo.take().unwrap()).collect();
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

// Limits.

#[test]
fn a_full_queue_refuses_new_keys_and_returns_them() {
    let fifo = Fifo::builder().capacity(2).build().unwrap();
    fifo.add(item("a", 1)).unwrap();
    fifo.add(item("b", 2)).unwrap();
    let refused = [
        fifo.add(item("c", 3)).unwrap_err(),
        fifo.add_if_absent(item("c", 3)).unwrap_err(),
        fifo.add_after(item("c", 3), Duration::from_secs(1)).unwrap_err(),
    ];
    for refused in refused {
        assert!(matches!(refused, AddError::Full(_)));
        assert_eq!(refused.into_inner().value, 3);
    }
    assert_eq!(fifo.stats().refused, 3);
    assert_eq!(fifo.add(item("a", 4)).unwrap(), Added::Coalesced, "a key it has is no new key");

    let lease = fifo.take().unwrap();
    assert!(fifo.add(item("c", 5)).is_err(), "a leased key counts");
    lease.done();
    fifo.add(item("c", 5)).unwrap();
    fifo.delete("b");
    fifo.add(item("d", 6)).unwrap();
    let mut batch = Batch::new();
    batch.put(item("e", 7)).unwrap();
    fifo.apply(&batch).unwrap();
    assert_eq!(fifo.len(), 3, "a stream is never refused");
    fifo.pop().unwrap();
    assert!(fifo.add(item("f", 8)).is_err(), "but it counts");
    fifo.replace(&listing(&["z"])).unwrap();
    fifo.add(item("f", 8)).unwrap();
    assert_eq!(keys(&fifo), ["z", "f"]);
    assert_eq!(fifo.close_now().len(), 2);
}

#[test]
fn limits_that_let_nothing_through_are_refused() {
    let builder = Fifo::<Item>::builder;
    assert_eq!(builder().capacity(0).build().err(), Some(BuildError::ZeroCapacity));
    for (per_second, burst) in [(0.0, 1), (-1.0, 1), (f64::NAN, 1), (1.0, 0)] {
        let built = builder().retry_rate(per_second, burst).build();
        assert_eq!(built.err(), Some(BuildError::ZeroRate));
    }
}

#[test]
fn retries_of_all_keys_share_one_rate() {
    let clock = ManualClock::new();
    let fifo = Fifo::builder().retry_rate(1.0, 2).clock(&clock).build().unwrap();
    for key in ["a", "b", "c", "d"] {
        fifo.add(item(key, 1)).unwrap();
    }
    (0..4).for_each(|_| fifo.take().unwrap().retry());
    assert_eq!(keys(&fifo), ["a", "b"], "the burst");
    assert_eq!(fifo.stats().delayed, 2);
    clock.advance(Duration::from_secs(1));
    assert_eq!(keys(&fifo), ["a", "b", "c"]);
    clock.advance(Duration::from_secs(1));
    assert_eq!(keys(&fifo), ["a", "b", "c", "d"]);
}

#[test]
fn a_list_does_not_delay_changes_and_does_not_starve() {
    let fifo = Fifo::builder().list_below_changes(true).build().unwrap();
    let listed: Vec<_> = (0..3).map(|i| format!("listed-{i}")).collect();
    fifo.replace(&listing(&listed.iter().map(String::as_str).collect::<Vec<_>>())).unwrap();
    for value in 0..40 {
        fifo.add(item(&format!("change-{value:02}"), value)).unwrap();
    }
    fifo.add(item("listed-2", 9)).unwrap();
    let order: Vec<_> = popped(&fifo).into_iter().map(|(key, _)| key).collect();
    assert_eq!(order[..2], ["change-00", "change-01"]);
    let place = |key: &str| order.iter().position(|other| other == key).unwrap();
    assert_eq!((place("listed-0"), place("listed-1")), (15, 31), "one in sixteen");
    assert_eq!(place("listed-2"), 42, "it changed, and is at the back of the changes");
}

// Time.

#[test]
fn a_key_that_fails_stays_away_longer_each_time_until_it_succeeds() {
    let clock = ManualClock::new();
    let seconds = Duration::from_secs;
    let backoff = Backoff::new(seconds(1), seconds(4));
    let fifo = Fifo::builder().backoff(backoff).clock(&clock).build().unwrap();
    fifo.add(item("a", 1)).unwrap();
    let mut fails_for = |wait: u64| {
        fifo.take().unwrap().retry();
        clock.advance(seconds(wait) - Duration::from_nanos(1));
        assert!(fifo.try_take().is_err());
        clock.advance(Duration::from_nanos(1));
    };
    [1, 2, 4, 4].into_iter().for_each(&mut fails_for);
    fifo.take().unwrap().after(seconds(1));
    clock.advance(seconds(1));
    fails_for(1);
    drop(fifo.take().unwrap());
    assert!(fifo.try_take().is_err(), "what a panic leaves behind does not come back at once");
    fifo.add(item("a", 2)).unwrap();
    assert_eq!(fifo.take().unwrap().value, 2, "a change does not wait");
}

#[test]
fn what_is_due_wakes_threads_and_tasks() {
    watchdog(|| {
        let fifo = Fifo::<Item>::new();
        let thread = thread::spawn({
            let fifo = fifo.clone();
            move || fifo.pop().unwrap().value
        });
        let task = thread::spawn({
            let fifo = fifo.clone();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            move || runtime.block_on(async { fifo.pop_async().await.unwrap().value })
        });
        // The second moment is the earlier one.
        fifo.add_after(item("a", 1), Duration::from_millis(6)).unwrap();
        fifo.add_after(item("b", 2), Duration::from_millis(3)).unwrap();
        assert_eq!(thread.join().unwrap() + task.join().unwrap(), 3);
    });
}

#[test]
fn a_dropped_queue_frees_what_was_delayed() {
    watchdog(|| {
        let object = Arc::new(item("a", 1));
        let fifo = Fifo::<Item>::new();
        fifo.add_after(Arc::clone(&object), Duration::from_secs(3600)).unwrap();
        drop(fifo);
        // The thread that waits for the moment may have the queue in its hands for an instant.
        while Arc::strong_count(&object) > 1 {
            thread::yield_now();
        }
    });
}

#[test]
fn a_close_does_not_wait_for_delays_and_loses_none() {
    let clock = ManualClock::new();
    let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(1));
    let fifo = Fifo::builder().backoff(backoff).clock(&clock).build().unwrap();
    fifo.add_after(item("a", 1), Duration::from_secs(3600)).unwrap();
    fifo.close();
    fifo.take().unwrap().retry();
    assert_eq!(fifo.try_take().unwrap_err(), TryPopError::Empty, "it comes back in a second");
    let mut parked = Parked::new(fifo.take_async());
    clock.advance(Duration::from_secs(1));
    assert_eq!(parked.wakes(), 1);
    assert!(matches!(parked.poll(), Poll::Ready(Ok(lease)) if lease.value == 1));
    drop(parked);
    // That lease was dropped: it is delayed once more, and then deleted under a sleeper's eyes.
    let mut parked = Parked::new(fifo.take_async());
    fifo.delete("a").unwrap();
    assert!(matches!(parked.poll(), Poll::Ready(Err(Closed))));
}

// Draining.

#[test]
fn a_drain_waits_for_the_workers() {
    watchdog(|| {
        let fifo = Fifo::new();
        let worker = thread::spawn({
            let fifo: Fifo<Item> = fifo.clone();
            move || {
                let mut failed = false;
                while let Ok(lease) = fifo.take() {
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
    let lease = fifo.take().unwrap();
    fifo.add_after(item("d", 1), Duration::from_secs(3600)).unwrap();
    let drained = fifo.drain(Duration::ZERO);
    let back: Vec<_> = drained.unprocessed.iter().map(|item| item.key.as_str()).collect();
    assert_eq!((back, drained.leased), (vec!["b", "c", "d"], 1));
    assert!(!drained.is_complete());
    let mut all = Parked::new(fifo.drained());
    lease.done();
    assert!(all.poll().is_ready());
    let stats = fifo.stats();
    assert_eq!((stats.adds, stats.popped, stats.deleted), (4, 1, 3));
}

// Streams.

#[tokio::test]
async fn a_queue_is_a_stream_until_it_is_closed() {
    let fifo = Fifo::new();
    let worker = tokio::spawn({
        let fifo: Fifo<Item> = fifo.clone();
        async move {
            let mut values = Vec::new();
            let mut leases = fifo.leases();
            while let Some(lease) = leases.next().await {
                values.push(lease.value);
                lease.done();
            }
            assert!(leases.next().await.is_none(), "it stays ended");
            values
        }
    });
    for value in 0..5 {
        fifo.add(item(&value.to_string(), value)).unwrap();
        tokio::task::yield_now().await;
    }
    fifo.close();
    assert_eq!(worker.await.unwrap(), [0, 1, 2, 3, 4]);
    assert_eq!(fifo.pops().count().await, 0);
}

#[test]
fn a_dropped_stream_passes_its_wakeup_on() {
    let fifo = Fifo::new();
    let mut stream = fifo.pops();
    let first = Parked::new(async { stream.next().await });
    let mut second = Parked::new(fifo.pop_async());
    fifo.add(item("a", 1)).unwrap();
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
    drop(first);
    drop(stream);
    assert_eq!(second.wakes(), 1);
    assert!(matches!(second.poll(), Poll::Ready(Ok(got)) if got.value == 1));
}

// Figures.

#[test]
fn an_observer_and_the_counters_tell_the_same_story() {
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<String>>>);
    impl Seen {
        fn push(&self, what: String) {
            self.0.lock().unwrap().push(what);
        }
    }
    impl Observer for Seen {
        fn added(&self) {
            self.push("added".into());
        }
        fn coalesced(&self) {
            self.push("coalesced".into());
        }
        fn handed_out(&self, queue_latency: Duration) {
            self.push(format!("handed out after {queue_latency:?}"));
        }
        fn finished(&self, work_duration: Duration) {
            self.push(format!("finished after {work_duration:?}"));
        }
        fn retried(&self, delay: Duration) {
            self.push(format!("retried in {delay:?}"));
        }
        fn abandoned(&self, key: &Key) {
            self.push(format!("{key} abandoned"));
        }
    }

    let (clock, seen) = (ManualClock::new(), Seen::default());
    let backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(5));
    let builder = Fifo::builder().observer(seen.clone()).backoff(backoff).clock(&clock);
    let fifo = builder.build().unwrap();
    let seconds = |n| clock.advance(Duration::from_secs(n));
    fifo.add(item("a", 1)).unwrap();
    seconds(1);
    fifo.add(item("a", 2)).unwrap();
    seconds(2);
    assert_eq!(fifo.oldest_age(), Some(Duration::from_secs(3)), "since the key came");
    let lease = fifo.take().unwrap();
    assert_eq!(fifo.oldest_age(), None);
    seconds(4);
    let stats = fifo.stats();
    assert_eq!((stats.unfinished_work, stats.longest_running).0, Duration::from_secs(4));
    assert_eq!(stats.longest_running, Duration::from_secs(4));
    lease.retry();
    seconds(5);
    drop(fifo.take().unwrap());
    assert_eq!(
        *seen.0.lock().unwrap(),
        [
            "added",
            "coalesced",
            "handed out after 3s",
            "finished after 4s",
            "retried in 5s",
            "handed out after 0ns",
            "finished after 0ns",
            "a abandoned"
        ]
    );
    assert_eq!((fifo.stats().longest_running, fifo.stats().delayed), (Duration::ZERO, 1));
    assert_eq!(Fifo::<Item>::new().oldest_age(), None);
}

// Everything at once.

#[test]
fn no_key_is_ever_in_two_hands() {
    watchdog(|| {
        const KEYS: usize = 8;
        let fifo = Fifo::<Item>::new();
        let held: Arc<[AtomicBool; KEYS]> = Arc::default();
        let newest: Arc<Mutex<HashMap<String, u64>>> = Arc::default();
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let (fifo, held, newest) = (fifo.clone(), Arc::clone(&held), Arc::clone(&newest));
                thread::spawn(move || {
                    let mut runs = worker;
                    while let Ok(lease) = fifo.take() {
                        let slot: usize = lease.key.parse().unwrap();
                        assert!(!held[slot].swap(true, Ordering::SeqCst));
                        {
                            let mut newest = newest.lock().unwrap();
                            let seen = newest.entry(lease.key.clone()).or_default();
                            assert!(lease.value >= *seen, "an older value after a newer one");
                            *seen = lease.value;
                        }
                        thread::yield_now();
                        held[slot].store(false, Ordering::SeqCst);
                        runs += 1;
                        match runs % 5 {
                            0 => lease.retry(),
                            1 => drop(lease),
                            _ => lease.done(),
                        }
                    }
                })
            })
            .collect();
        for value in 1..=20_000u64 {
            fifo.add(item(&(value as usize % KEYS).to_string(), value)).unwrap();
        }
        fifo.close();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        let stats = fifo.stats();
        assert_eq!((stats.depth, stats.processing), (0, 0));
        let newest = newest.lock().unwrap();
        for slot in 0..KEYS as u64 {
            let last = (20_000 - 7..=20_000).find(|value| value % KEYS as u64 == slot).unwrap();
            assert_eq!(newest[&slot.to_string()], last, "the newest value was run");
        }
    });
}

#[test]
fn threads_and_tasks_share_one_queue() {
    watchdog(|| {
        const PRODUCERS: u64 = 3;
        const EACH: u64 = 5_000;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        let fifo = Fifo::<Item>::new();
        let sum = Arc::new(AtomicU64::new(0));
        let mut threads = Vec::new();
        for mode in 0..3 {
            let (fifo, sum) = (fifo.clone(), Arc::clone(&sum));
            threads.push(thread::spawn(move || {
                loop {
                    let value = match mode {
                        0 => fifo.pop().map(|got| got.value),
                        1 => match fifo.pop_timeout(Duration::from_micros(50)) {
                            Err(PopError::Timeout) => continue,
                            got => got.map(|got| got.value).map_err(|_| Closed),
                        },
                        _ => fifo.take().map(|lease| {
                            let value = lease.value;
                            lease.done();
                            value
                        }),
                    };
                    let Ok(value) = value else { break };
                    sum.fetch_add(value, Ordering::Relaxed);
                }
            }));
        }
        let mut tasks = Vec::new();
        for _ in 0..3 {
            let (task_fifo, task_sum) = (fifo.clone(), Arc::clone(&sum));
            tasks.push(runtime.spawn(async move {
                loop {
                    // Cancelled again and again, woken or not.
                    let got = tokio::select! {
                        biased;
                        () = tokio::task::yield_now() => continue,
                        got = task_fifo.pop_async() => got,
                    };
                    let Ok(got) = got else { break };
                    task_sum.fetch_add(got.value, Ordering::Relaxed);
                }
            }));
            let (task_fifo, task_sum) = (fifo.clone(), Arc::clone(&sum));
            tasks.push(runtime.spawn(async move {
                while let Ok(lease) = task_fifo.take_async().await {
                    tokio::task::yield_now().await;
                    task_sum.fetch_add(lease.value, Ordering::Relaxed);
                    lease.done();
                }
            }));
        }
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|producer| {
                let fifo = fifo.clone();
                thread::spawn(move || {
                    for i in (0..EACH).step_by(5) {
                        // Every value has its own key, so none coalesces away.
                        let object = |i| item(&format!("{producer}/{i}"), producer * EACH + i);
                        fifo.add(object(i)).unwrap();
                        let mut batch = Batch::new();
                        (i + 1..i + 5).for_each(|i| batch.put(object(i)).unwrap());
                        fifo.apply(&batch).unwrap();
                    }
                })
            })
            .collect();
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        fifo.close();
        threads.into_iter().for_each(|consumer| consumer.join().unwrap());
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
        let total = PRODUCERS * EACH;
        assert_eq!(sum.load(Ordering::Relaxed), total * (total - 1) / 2);
        assert_eq!(fifo.stats().popped, total);
    });
}

/// A consumer that only ever sleeps: if one wakeup were lost, this would hang.
#[test]
fn ping_pong_never_stalls() {
    watchdog(|| {
        let (ping, pong) = (Fifo::<Item>::new(), Fifo::<Item>::new());
        let echo = thread::spawn({
            let (ping, pong) = (ping.clone(), pong.clone());
            move || {
                while let Ok(got) = ping.pop() {
                    pong.add(got).unwrap();
                }
            }
        });
        for value in 0..5_000 {
            ping.add(item("ball", value)).unwrap();
            assert_eq!(pong.pop().unwrap().value, value);
        }
        ping.close();
        echo.join().unwrap();
    });
}

#[test]
fn futures_and_handles_are_send() {
    fn send<T: Send>(value: T) -> T {
        value
    }
    fn sync<T: Sync>() {}
    let fifo = Fifo::<Item>::new();
    drop(send(fifo.clone()));
    drop(send(fifo.pop_async()));
    drop(send(fifo.take_async()));
    sync::<Fifo<Item>>();
    sync::<Lease<Item>>();
    send::<Option<Lease<Item>>>(None);
}
