//! User code that blocks: its own call waits, and nobody else sleeps beside what there is to get.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use watchcache::fifo::{Failure, ManualClock, Observer};
use watchcache::{Batch, Fifo, Key, KeyRef, Listing, Object};

use crate::common::watchdog::{eventually, sized, watched};
use crate::item::{Item, item, listing, popped};
use crate::parked::{Parked, park};

/// Where user code blocks, until it is let go.
struct Gate {
    entered: AtomicUsize,
    go: Mutex<Option<mpsc::Sender<()>>>,
    gone: Mutex<mpsc::Receiver<()>>,
}

impl Gate {
    fn new() -> Arc<Self> {
        let (go, gone) = mpsc::channel();
        let (entered, go, gone) = (AtomicUsize::new(0), Mutex::new(Some(go)), Mutex::new(gone));
        Arc::new(Self { entered, go, gone })
    }

    fn block(&self) {
        self.entered.fetch_add(1, Ordering::SeqCst);
        if thread::current().name() != Some(SLEEPER) {
            _ = self.gone.lock().unwrap().recv();
        }
    }

    fn wait_until_entered(&self) {
        eventually("the user code runs", || self.entered.load(Ordering::SeqCst) > 0);
    }

    /// Whoever blocks here, or is about to, goes on.
    fn let_go(&self) {
        drop(self.go.lock().unwrap().take());
    }
}

/// A thread of this name does not block in user code: a call that it is to return from would wait, too.
const SLEEPER: &str = "sleeper";

/// A thread that gets time to fall asleep. If it has not by then, a test sees less.
fn asleep<R: Send + 'static>(run: impl FnOnce() -> R + Send + 'static) -> thread::JoinHandle<R> {
    let thread = thread::Builder::new().name(SLEEPER.to_owned()).spawn(run).unwrap();
    thread::sleep(Duration::from_millis(20));
    thread
}

#[test]
fn an_observer_that_blocks_keeps_no_consumer_asleep_beside_an_item() {
    const ROUNDS: usize = sized(2_000, 20);

    /// Of two hand-outs, the first waits for the second.
    struct Meets(Barrier, Arc<AtomicUsize>);

    impl Observer for Meets {
        fn handed_out(&self, _: Duration) {
            self.0.wait();
            self.1.fetch_add(1, Ordering::SeqCst);
        }
    }

    watched(|| {
        let met = Arc::new(AtomicUsize::new(0));
        let observer = Meets(Barrier::new(2), Arc::clone(&met));
        let fifo = Fifo::<Item>::builder().observer(observer).build().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| while fifo.pop().is_ok() {});
            scope.spawn(|| while fifo.lease().map(|lease| lease.done()).is_ok() {});
            for round in 0..ROUNDS {
                // One consumer may be asleep by then, and the other may be about to.
                (0..round % 64 * 8).for_each(|_| std::hint::spin_loop());
                fifo.add(item("a", 1)).unwrap();
                fifo.add(item("b", 2)).unwrap();
                while met.load(Ordering::SeqCst) < 2 * (round + 1) {
                    thread::yield_now();
                }
            }
            fifo.close();
        });
    });
}

#[test]
fn a_batch_is_whole_before_an_observer_hears_of_it() {
    struct Blocks(Arc<Gate>);

    impl Observer for Blocks {
        fn handed_out(&self, _: Duration) {
            self.0.block();
        }
    }

    watched(|| {
        let gate = Gate::new();
        let fifo = Fifo::builder().observer(Blocks(Arc::clone(&gate))).build().unwrap();
        for key in ["a", "b", "c"] {
            fifo.add(item(key, 1)).unwrap();
        }
        thread::scope(|scope| {
            let batch = scope.spawn(|| fifo.pop_batch(2).unwrap().len());
            gate.wait_until_entered();
            assert_eq!(fifo.len(), 1, "what is the batch's is not left lying");
            gate.let_go();
            assert_eq!(batch.join().unwrap(), 2);
        });
    });
}

#[test]
fn an_observer_that_blocks_holds_up_nobody_but_its_caller() {
    struct Blocks(Arc<Gate>);

    impl Observer for Blocks {
        fn coalesced(&self) {
            self.0.block();
        }
        fn finished(&self, _: Duration) {
            self.0.block();
        }
        fn abandoned(&self, _: &Key) {
            self.0.block();
        }
    }

    let calls: [fn(&Fifo<Item>); 3] = [
        |fifo| _ = fifo.add(item("a", 2)).unwrap(),
        |fifo| fifo.lease().unwrap().done(),
        |fifo| drop(fifo.lease().unwrap()),
    ];
    for call in calls {
        watched(move || {
            let gate = Gate::new();
            let fifo = Fifo::builder().observer(Blocks(Arc::clone(&gate))).build().unwrap();
            fifo.add(item("a", 1)).unwrap();
            thread::scope(|scope| {
                let held_up = scope.spawn(|| call(&fifo));
                gate.wait_until_entered();
                // All of this goes on beside it.
                fifo.add(item("b", 3)).unwrap();
                assert!(!popped(&fifo).is_empty());
                assert!(fifo.is_empty() && fifo.stats().processing == 0);
                gate.let_go();
                held_up.join().unwrap();
            });
        });
    }
}

#[test]
fn a_limiter_that_blocks_keeps_its_key_and_nothing_else() {
    watched(|| {
        let gate = Gate::new();
        let limiter = {
            let gate = Arc::clone(&gate);
            move |_: &Failure<'_>| {
                gate.block();
                Duration::ZERO
            }
        };
        let fifo = Fifo::builder().limiter(limiter).build().unwrap();
        fifo.add(item("a", 1)).unwrap();
        let lease = fifo.lease().unwrap();
        thread::scope(|scope| {
            let fails = scope.spawn(|| lease.retry());
            gate.wait_until_entered();
            fifo.add(item("a", 2)).unwrap();
            fifo.add(item("b", 3)).unwrap();
            assert_eq!(popped(&fifo), [("b".to_owned(), 3)], "a is leased");
            let sleeper = {
                let fifo = fifo.clone();
                asleep(move || fifo.pop().unwrap().value)
            };
            gate.let_go();
            fails.join().unwrap();
            assert_eq!(sleeper.join().unwrap(), 2, "the newer one came when the lease ended");
        });
    });
}

#[test]
fn a_key_that_blocks_holds_up_nobody_but_its_caller() {
    struct Slow(&'static str, Option<Arc<Gate>>);

    impl Object for Slow {
        fn key(&self) -> KeyRef<'_> {
            self.1.as_ref().inspect(|gate| gate.block());
            self.0.into()
        }
    }

    watched(|| {
        let gate = Gate::new();
        let fifo = Fifo::<Slow>::new();
        thread::scope(|scope| {
            let add = scope.spawn(|| fifo.add(Slow("a", Some(Arc::clone(&gate)))).unwrap());
            gate.wait_until_entered();
            fifo.add(Slow("a", None)).unwrap();
            assert!(fifo.pop().unwrap().1.is_none());
            fifo.close();
            gate.let_go();
            assert!(add.join().is_err(), "it came when the queue was closed");
        });
    });
}

#[test]
fn a_waker_that_blocks_stops_no_waiting_thread() {
    watched(|| {
        let gate = Gate::new();
        let fifo = Fifo::<Item>::new();
        let task = park(fifo.pop_async(), {
            let gate = Arc::clone(&gate);
            move || gate.block()
        });
        let sleeper = {
            let fifo = fifo.clone();
            asleep(move || fifo.pop().unwrap().value)
        };
        let mut batch = Batch::new();
        batch.add(item("a", 1)).unwrap();
        batch.add(item("b", 1)).unwrap();
        thread::scope(|scope| {
            let apply = scope.spawn(|| fifo.apply(&batch).unwrap());
            gate.wait_until_entered();
            // One for the task, and one for the thread.
            assert_eq!(sleeper.join().unwrap(), 1);
            gate.let_go();
            apply.join().unwrap();
        });
        drop(task);
    });
}

#[test]
fn a_waker_that_blocks_keeps_no_thread_from_the_end() {
    watched(|| {
        let (gate, clock, hour) = (Gate::new(), ManualClock::new(), Duration::from_secs(3600));
        let fifo = Fifo::<Item>::builder().clock(&clock).build().unwrap();
        fifo.add(item("a", 1)).unwrap();
        let lease = fifo.lease().unwrap();
        fifo.close();
        lease.retry_after(hour);
        let task = park(fifo.pop_async(), {
            let gate = Arc::clone(&gate);
            move || gate.block()
        });
        let sleeper = {
            let fifo = fifo.clone();
            asleep(move || fifo.pop().map(|item| item.value))
        };
        thread::scope(|scope| {
            // One more key, and with it the end.
            scope.spawn(|| clock.advance(hour));
            gate.wait_until_entered();
            assert_eq!(sleeper.join().unwrap(), Ok(1));
            gate.let_go();
        });
        drop(task);
    });
}

#[test]
fn a_waker_that_blocks_keeps_no_thread_from_the_end_of_a_drain() {
    watched(|| {
        let gate = Gate::new();
        let fifo = Fifo::<Item>::new();
        fifo.add(item("a", 1)).unwrap();
        let lease = fifo.lease().unwrap();
        let task = park(fifo.wait_drained(), {
            let gate = Arc::clone(&gate);
            move || gate.block()
        });
        let drain = {
            let fifo = fifo.clone();
            asleep(move || fifo.drain(Duration::MAX).is_complete())
        };
        thread::scope(|scope| {
            scope.spawn(|| lease.done());
            gate.wait_until_entered();
            assert!(drain.join().unwrap());
            gate.let_go();
        });
        drop(task);
    });
}

#[test]
fn a_waker_that_blocks_keeps_no_drain_from_being_cut_short() {
    watched(|| {
        let (gate, clock) = (Gate::new(), ManualClock::new());
        let fifo = Fifo::<Item>::builder().clock(&clock).build().unwrap();
        fifo.add(item("a", 1)).unwrap();
        let lease = fifo.lease().unwrap();
        fifo.close();
        lease.retry_after(Duration::from_secs(3600));
        let drain = {
            let fifo = fifo.clone();
            asleep(move || fifo.drain(Duration::MAX).unprocessed.len())
        };
        let task = park(fifo.pop_async(), {
            let gate = Arc::clone(&gate);
            move || gate.block()
        });
        thread::scope(|scope| {
            let close = scope.spawn(|| fifo.close_now().len());
            gate.wait_until_entered();
            assert_eq!(drain.join().unwrap(), 0);
            gate.let_go();
            assert_eq!(close.join().unwrap(), 1);
        });
        drop(task);
    });
}

#[test]
fn whoever_takes_what_has_come_due_has_it_before_it_wakes_others() {
    watched(|| {
        let (gate, clock, second) = (Gate::new(), ManualClock::new(), Duration::from_secs(1));
        let queue = || Fifo::<Item>::builder().clock(&clock).build().unwrap();
        // The clock does not get beyond this one.
        let first = queue();
        first.add_after(item("a", 1), second).unwrap();
        let blocks = park(first.pop_async(), {
            let gate = Arc::clone(&gate);
            move || gate.block()
        });
        let fifo = queue();
        for key in ["a", "b"] {
            fifo.add_after(item(key, 1), second).unwrap();
        }
        let found = Arc::new(Mutex::new(Vec::new()));
        let tasks = [(); 2].map(|()| {
            let (queue, found) = (fifo.clone(), Arc::clone(&found));
            park(fifo.lease_async(), move || found.lock().unwrap().push(queue.len()))
        });
        thread::scope(|scope| {
            scope.spawn(|| clock.advance(second));
            gate.wait_until_entered();
            assert!(fifo.try_pop().is_ok());
            assert_eq!(*found.lock().unwrap(), [1], "one was left, for one task");
            gate.let_go();
        });
        drop((tasks, blocks));
    });
}

#[test]
fn a_waker_that_blocks_holds_up_nobody_but_its_caller() {
    watched(|| {
        let fifo = Fifo::<Item>::new();
        let (go, gone) = mpsc::channel();
        let gone = Mutex::new(gone);
        let blocked = park(fifo.pop_async(), move || gone.lock().unwrap().recv().unwrap());
        thread::scope(|scope| {
            let add = scope.spawn(|| fifo.add(item("a", 1)).unwrap());
            // All of this goes on beside it.
            while fifo.is_empty() {
                thread::yield_now();
            }
            assert_eq!(fifo.try_pop().unwrap().value, 1);
            let mut other = Parked::new(fifo.lease_async());
            fifo.add(item("b", 2)).unwrap();
            assert!(matches!(other.poll(), Poll::Ready(Ok(lease)) if lease.value == 2));
            fifo.replace(&listing(&["c"])).unwrap();
            assert_eq!(fifo.stats().depth, 1);
            go.send(()).unwrap();
            add.join().unwrap();
        });
        drop(blocked);
    });
}

#[test]
fn a_destructor_that_blocks_holds_up_nobody_but_its_caller() {
    struct Slow(Mutex<Option<mpsc::Receiver<()>>>);
    impl Object for Slow {
        fn key(&self) -> KeyRef<'_> {
            "slow".into()
        }
    }
    impl Drop for Slow {
        fn drop(&mut self) {
            if let Some(go) = self.0.get_mut().unwrap() {
                go.recv().unwrap();
            }
        }
    }
    watched(|| {
        let fifo = Fifo::new();
        let (go, gone) = mpsc::channel();
        fifo.add(Slow(Mutex::new(Some(gone)))).unwrap();
        thread::scope(|scope| {
            let add = scope.spawn(|| fifo.add(Slow(Mutex::new(None))).unwrap());
            while fifo.stats().coalesced == 0 {
                thread::yield_now();
            }
            fifo.pop().unwrap();
            fifo.add(Slow(Mutex::new(None))).unwrap();
            fifo.replace(&Listing::new(Vec::<Slow>::new(), None).unwrap()).unwrap();
            go.send(()).unwrap();
            add.join().unwrap();
        });
    });
}

#[test]
fn a_waker_that_blocks_holds_up_no_due_key() {
    watched(|| {
        let clock = ManualClock::new();
        let fifo = Fifo::<Item>::builder().clock(&clock).build().unwrap();
        for key in ["a", "b"] {
            fifo.add_after(item(key, 1), Duration::from_secs(1)).unwrap();
        }
        let (go, gone) = mpsc::channel::<()>();
        let (enter, entered) = mpsc::channel::<()>();
        let gone = Mutex::new(gone);
        let parked = park(fifo.pop_async(), move || {
            enter.send(()).unwrap();
            gone.lock().unwrap().recv().unwrap();
        });
        thread::scope(|scope| {
            scope.spawn(|| clock.advance(Duration::from_secs(1)));
            // A pop that made the keys available itself would be the one that is held up.
            entered.recv().unwrap();
            assert_eq!(fifo.pop().unwrap().value, 1);
            assert_eq!(fifo.pop().unwrap().value, 1);
            go.send(()).unwrap();
        });
        drop(parked);
    });
}
