//! Wakers, observers, limiters, keys and destructors that panic, or call back into the queue. For those that block, see
//! `blocking`.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use watchcache::fifo::{AddError, Added, Failure, ManualClock, Observer};
use watchcache::{Batch, Fifo, Key, KeyRef, Listing, Object, Sink, Store};

use crate::common::watchdog::watched;
use crate::item::{Item, item, popped};
use crate::parked::{Parked, Wakes, park};

/// A panic that the panic hook does not report.
fn fail() -> ! {
    resume_unwind(Box::new("user code failed"))
}

/// Whether it panics.
fn panics<R>(call: impl FnOnce() -> R) -> bool {
    catch_unwind(AssertUnwindSafe(call)).is_err()
}

#[test]
fn a_waker_may_use_the_queue() {
    watched(|| {
        let fifo = Fifo::<Item>::new();
        let woken = fifo.clone();
        let first = park(fifo.pop_async(), move || {
            woken.add(item("from the waker", 2)).unwrap();
            assert!(woken.try_pop().is_ok());
            woken.close();
        });
        let mut second = Parked::new(fifo.lease_async());
        fifo.add(item("a", 1)).unwrap();
        assert!(fifo.is_closed());
        assert!(second.wakes() > 0, "the waker's own add and close wake the other");
        drop(first);
        assert!(matches!(second.poll(), Poll::Ready(Ok(lease)) if lease.value == 2));
    });
}

#[test]
fn a_waker_that_panics_keeps_nobody_asleep() {
    let fifo = Fifo::<Item>::new();
    let parked: Vec<_> = (0..3).map(|_| park(fifo.pop_async(), || fail())).collect();
    let mut last = Parked::new(fifo.pop_async());
    let mut batch = Batch::new();
    for key in ["a", "b", "c", "d"] {
        batch.add(item(key, 1)).unwrap();
    }
    fifo.apply(&batch).unwrap();
    assert_eq!(last.wakes(), 1);
    assert!(last.poll().is_ready());
    drop(parked);

    // Also while the thread that wakes is unwinding.
    popped(&fifo);
    fifo.add(item("a", 1)).unwrap();
    let lease = fifo.lease().unwrap();
    let parked = park(fifo.lease_async(), || fail());
    assert!(panics(move || {
        let _lease = lease;
        fail()
    }));
    drop(parked);
    assert_eq!((fifo.stats().abandoned, fifo.len()), (1, 1));
}

#[test]
fn a_waker_that_panics_does_not_end_the_timer() {
    watched(|| {
        let fifo = Fifo::<Item>::new();
        let woken = Arc::new(AtomicBool::new(false));
        let wakes = Arc::clone(&woken);
        let parked = park(fifo.pop_async(), move || {
            wakes.store(true, Ordering::SeqCst);
            fail()
        });
        fifo.add_after(item("a", 1), Duration::from_millis(1)).unwrap();
        while !woken.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        drop(parked);
        fifo.pop().unwrap();
        let mut sleeper = Parked::new(fifo.pop_async());
        fifo.add_after(item("b", 2), Duration::from_millis(1)).unwrap();
        while sleeper.wakes() == 0 {
            thread::yield_now();
        }
        assert!(sleeper.poll().is_ready());
    });
}

#[test]
fn an_observer_that_panics_loses_nothing() {
    struct Fails;
    impl Observer for Fails {
        fn added(&self) {
            fail()
        }
        fn coalesced(&self) {
            fail()
        }
        fn handed_out(&self, _: Duration) {
            fail()
        }
        fn finished(&self, _: Duration) {
            fail()
        }
        fn abandoned(&self, _: &Key) {
            fail()
        }
    }
    let fifo = Fifo::builder().observer(Fails).capacity(1).build().unwrap();
    for round in 0..3 {
        fifo.add(item("a", round)).unwrap();
        assert_eq!(fifo.add(item("a", round)).unwrap(), Added::Coalesced);
        assert_eq!(fifo.try_pop().unwrap().value, round);
        fifo.add(item("b", round)).unwrap();
        let lease = fifo.lease().unwrap();
        assert_eq!(lease.value, round);
        drop(lease);
        fifo.lease().unwrap().done();
        assert!(fifo.is_empty());
    }
    let stats = fifo.stats();
    assert_eq!((stats.processing, stats.popped, stats.abandoned), (0, 9, 3));
}

#[test]
fn an_observer_may_use_the_queue() {
    static FIFO: OnceLock<Fifo<Item>> = OnceLock::new();
    struct Counts(AtomicUsize);
    impl Observer for Counts {
        fn handed_out(&self, _: Duration) {
            let fifo = FIFO.get().unwrap();
            assert_eq!(fifo.stats().popped, 1);
            assert!(fifo.is_empty());
            if self.0.fetch_add(1, Ordering::SeqCst) == 0 {
                fifo.add(item("b", 2)).unwrap();
            }
        }
    }
    watched(|| {
        let build = || Fifo::builder().observer(Counts(AtomicUsize::new(0))).build().unwrap();
        let fifo = FIFO.get_or_init(build);
        fifo.add(item("a", 1)).unwrap();
        assert_eq!(fifo.pop().unwrap().value, 1);
        assert_eq!(fifo.len(), 1);
    });
}

#[test]
fn a_limiter_that_panics_leaves_no_key_behind() {
    let clock = ManualClock::new();
    let limiter = |_: &Failure<'_>| -> Duration { fail() };
    let fifo = Fifo::builder().limiter(limiter).clock(&clock).build().unwrap();
    fifo.add(item("a", 1)).unwrap();
    fifo.lease().unwrap().retry();
    assert_eq!((fifo.stats().processing, fifo.stats().delayed), (0, 1), "it stays away");
    clock.advance(Duration::from_secs(1));
    assert_eq!(fifo.lease().unwrap().failures(), 1);
}

/// An object that panics as it is told: by its key, or when it is dropped.
struct Fragile {
    key: &'static str,
    breaks: bool,
}

impl Object for Fragile {
    fn key(&self) -> KeyRef<'_> {
        if self.key.is_empty() { fail() } else { self.key.into() }
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        if self.breaks && !thread::panicking() {
            fail()
        }
    }
}

fn fragile(key: &'static str) -> Arc<Fragile> {
    Arc::new(Fragile { key, breaks: true })
}

fn sound(key: &'static str) -> Arc<Fragile> {
    Arc::new(Fragile { key, breaks: false })
}

#[test]
fn a_key_that_panics_changes_nothing() {
    let fifo = Fifo::<Fragile>::new();
    assert!(panics(|| fifo.add(sound(""))));
    assert!(panics(|| fifo.add_if_absent(sound(""))));
    assert!(!fifo.has_synced() && fifo.stats().adds == 0);
    fifo.add(sound("a")).unwrap();
    assert_eq!(fifo.pop().unwrap().key, "a");
}

#[test]
fn a_destructor_that_panics_comes_after_everything_is_done() {
    let fifo = Fifo::<Fragile>::builder().capacity(3).build().unwrap();
    let whole = |keys: &[&str]| {
        let stats = fifo.stats();
        let there: Vec<_> = fifo.list().iter().map(|object| object.key).collect();
        assert_eq!(there, keys);
        assert_eq!(
            stats.adds + stats.requeued,
            stats.popped + stats.coalesced + stats.deleted + stats.depth + stats.delayed
        );
    };
    fifo.add(fragile("a")).unwrap();
    assert!(panics(|| fifo.add(sound("a"))), "the panic goes to whose call it was");
    whole(&["a"]);

    fifo.delete("a").unwrap();
    for key in ["a", "b", "c"] {
        fifo.add(fragile(key)).unwrap();
    }
    let mut batch = Batch::new();
    batch.delete("a");
    for key in ["b", "c", "d"] {
        batch.add(sound(key)).unwrap();
    }
    let mut parked = Parked::new(async { fifo.wait_drained().await });
    // Three destructors panic, and the first panic comes through.
    assert!(panics(|| fifo.apply(&batch)));
    whole(&["b", "c", "d"]);
    assert!(parked.poll().is_pending());

    fifo.delete("b").unwrap();
    assert_eq!(fifo.try_pop_batch(9).unwrap().len(), 2);
    for key in ["x", "y"] {
        fifo.add(fragile(key)).unwrap();
    }
    let listing = Listing::new([sound("y"), sound("z")], None).unwrap();
    assert!(panics(|| fifo.replace(&listing)));
    whole(&["y", "z"]);
    fifo.add(sound("last")).unwrap();
    assert!(matches!(fifo.add(sound("more")), Err(AddError::Full(_))), "the count is right");

    fifo.add_if_absent(sound("y")).unwrap();
    assert!(panics(|| fifo.add_if_absent(fragile("y"))));
    whole(&["y", "z", "last"]);
    drop(fifo.close_now());
    assert!(parked.poll().is_ready());
}

#[test]
fn the_end_of_a_queue_survives_the_destructors_of_what_is_left() {
    let clock = ManualClock::new();
    let fifo = Fifo::<Fragile>::builder().clock(&clock).build().unwrap();
    for (key, delayed) in [("a", "x"), ("b", "y"), ("c", "z")] {
        fifo.add(fragile(key)).unwrap();
        fifo.add_after(fragile(delayed), Duration::from_secs(1)).unwrap();
    }
    let lease = fifo.lease().unwrap();
    drop(fifo);
    // The lease is the last handle: with it goes the queue, and then the object that was leased.
    assert!(panics(move || lease.done()), "the leased object's destructor");
}

#[test]
fn the_end_of_a_queue_survives_its_users_destructors() {
    struct Fails;
    impl Drop for Fails {
        fn drop(&mut self) {
            fail()
        }
    }
    impl Observer for Fails {}
    impl watchcache::fifo::Limiter for Fails {
        fn delay(&self, _: &Failure<'_>) -> Duration {
            Duration::ZERO
        }
    }
    let builder = Fifo::<Fragile>::builder().limiter(Fails).limiter(Fails).observer(Fails);
    let fifo = builder.build().unwrap();
    fifo.add(fragile("a")).unwrap();
    drop(fifo);
}

#[test]
fn a_copy_may_be_the_last_to_hold_its_objects() {
    struct Fails(String);
    impl Object for Fails {
        fn key(&self) -> KeyRef<'_> {
            (&self.0).into()
        }
    }
    impl Drop for Fails {
        fn drop(&mut self) {
            fail()
        }
    }
    watched(|| {
        let fifo = Fifo::new();
        for key in 0..5_000 {
            fifo.add(Fails(key.to_string())).unwrap();
        }
        // What is popped while a copy is made is the copy's to drop: many at once.
        thread::scope(|scope| {
            scope.spawn(|| {
                let pop = || fifo.try_pop().is_ok();
                // A panic is one that was popped, too.
                while catch_unwind(AssertUnwindSafe(pop)).unwrap_or(true) {}
            });
            while !fifo.is_empty() {
                _ = panics(|| fifo.keys());
            }
        });
        assert_eq!(fifo.stats().popped, 5_000);
    });
}

#[test]
fn a_waker_that_panics_leaves_its_wakeup_to_the_next() {
    let fifo = Fifo::<Item>::new();
    let first = park(fifo.pop_async(), || fail());
    let mut second = Parked::new(fifo.pop_async());
    let third = Parked::new(fifo.pop_async());
    fifo.add(item("a", 1)).unwrap();
    assert_eq!((second.wakes(), third.wakes()), (1, 0));
    assert!(second.poll().is_ready());
    drop(first);
}

#[test]
fn a_waker_whose_destructor_panics_disturbs_nobody() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Bomb {
        fn drop(&mut self) {
            fail()
        }
    }
    let fifo = Fifo::<Item>::new();
    let wakes = Arc::<Wakes>::default();
    let mut future = Box::pin(fifo.pop_async());
    let bomb = Waker::from(Arc::new(Bomb));
    assert!(future.as_mut().poll(&mut Context::from_waker(&bomb)).is_pending());
    drop(bomb);
    // The queue's was the last, and this one takes its place.
    let waker = Waker::from(Arc::clone(&wakes));
    assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    fifo.add(item("a", 1)).unwrap();
    assert_eq!(wakes.count(), 1);
}

#[test]
fn a_waker_finds_all_that_is_due_in_line() {
    for closes in [false, true] {
        let clock = ManualClock::new();
        let fifo = Fifo::<Item>::builder().clock(&clock).build().unwrap();
        for key in ["a", "b", "c"] {
            fifo.add_after(item(key, 1), Duration::from_secs(1)).unwrap();
        }
        let found = Arc::new(Mutex::new(None));
        let parked = park(fifo.pop_async(), {
            let (fifo, found) = (fifo.clone(), Arc::clone(&found));
            move || *found.lock().unwrap() = Some((popped(&fifo).len(), fifo.stats().delayed))
        });
        if closes {
            fifo.close();
        } else {
            clock.advance(Duration::from_secs(1));
        }
        assert_eq!(*found.lock().unwrap(), Some((3, 0)), "closes: {closes}");
        drop(parked);
    }
}

#[test]
fn an_observer_that_panics_is_told_the_rest() {
    struct Fails(Arc<AtomicUsize>);
    impl Observer for Fails {
        fn added(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
            fail()
        }
        fn coalesced(&self) {
            self.0.fetch_add(10, Ordering::SeqCst);
            fail()
        }
        fn finished(&self, _: Duration) {
            self.0.fetch_add(100, Ordering::SeqCst);
            fail()
        }
        fn retried(&self, _: Duration) {
            self.0.fetch_add(1000, Ordering::SeqCst);
            fail()
        }
    }
    let told = Arc::<AtomicUsize>::default();
    let fifo = Fifo::builder().observer(Fails(Arc::clone(&told))).build().unwrap();
    let mut batch = Batch::new();
    for key in ["a", "b", "a"] {
        batch.add(item(key, 0)).unwrap();
    }
    fifo.apply(&batch).unwrap();
    fifo.lease().unwrap().retry();
    assert_eq!(told.load(Ordering::SeqCst), 1112);
}

#[test]
fn a_batch_is_what_was_there_however_fast_more_comes() {
    /// Adds a key for each that is handed out.
    struct Adds(Arc<Mutex<Option<Fifo<Item>>>>, AtomicUsize);

    impl Observer for Adds {
        fn handed_out(&self, _: Duration) {
            let key = format!("more-{}", self.1.fetch_add(1, Ordering::Relaxed));
            let queue = self.0.lock().unwrap().clone();
            queue.unwrap().add(item(&key, 1)).unwrap();
        }
    }

    watched(|| {
        let queue = Arc::new(Mutex::new(None));
        let observer = Adds(Arc::clone(&queue), AtomicUsize::new(0));
        let fifo = Fifo::builder().observer(observer).build().unwrap();
        *queue.lock().unwrap() = Some(fifo.clone());
        for key in ["a", "b", "c"] {
            fifo.add(item(key, 1)).unwrap();
        }
        assert_eq!(fifo.try_pop_batch(usize::MAX).unwrap().len(), 3);
        assert_eq!(fifo.len(), 3);
        // What the queue owns must not own the queue for good.
        *queue.lock().unwrap() = None;
    });
}

#[test]
fn the_end_is_told_whatever_the_error_does_when_it_is_shown() {
    #[derive(Debug)]
    struct Mute;

    impl std::fmt::Display for Mute {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            fail()
        }
    }

    impl std::error::Error for Mute {}

    watched(|| {
        let fifo = Fifo::<Item>::new();
        Sink::ended(&fifo, Some(&Mute));
        assert!(fifo.pop().is_err());
        assert!(fifo.source_error().is_some());
        let store = Store::<Item>::new();
        Sink::ended(&store, Some(&Mute));
        assert!(store.wait_synced(None).is_err());
    });
}
