//! A queue hands out keys that need work, each to one worker at a time. It is for doing: what changes ten
//! times before anybody gets to it is done once, what fails comes back, and whoever waits sleeps.
//!
//! A store says what is true; a queue says where to look.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use watchcache::fifo::{AddError, Backoff, Closed, ManualClock};
use watchcache::{Batch, Fifo, KeyError, KeyRef, Object, Sink, Store};

// Here it is about deployments, each of which wants a number of replicas.
#[derive(Debug)]
struct Deployment {
    name: &'static str,
    replicas: u32,
}

impl Object for Deployment {
    fn key(&self) -> KeyRef<'_> {
        ("shop", self.name).into()
    }
}

fn deployment(name: &'static str, replicas: u32) -> Deployment {
    Deployment { name, replicas }
}

type Added = Result<(), AddError<Deployment>>;

#[test]
fn step_01_first_come_first_served() -> Added {
    let queue = Fifo::new();
    queue.add(deployment("web", 1))?;
    queue.add(deployment("db", 1))?;
    assert_eq!(queue.pop().unwrap().name, "web");
    assert_eq!(queue.pop().unwrap().name, "db");
    Ok(())
}

#[test]
fn step_02_a_key_waits_once_with_its_newest_value() -> Added {
    // `web` is scaled three times before anybody gets to it. Only the last time matters, and it keeps the
    // place that it had from the first.
    let queue = Fifo::new();
    queue.add(deployment("web", 1))?;
    queue.add(deployment("db", 1))?;
    queue.add(deployment("web", 2))?;
    queue.add(deployment("web", 3))?;
    assert_eq!(queue.len(), 2);
    let first = queue.pop().unwrap();
    assert_eq!((first.name, first.replicas), ("web", 3));
    Ok(())
}

#[test]
fn step_03_what_is_deleted_is_nobodys_work() -> Added {
    let queue = Fifo::new();
    queue.add(deployment("web", 1))?;
    queue.add(deployment("db", 1))?;
    queue.delete("shop/web");
    assert_eq!(queue.pop().unwrap().name, "db");
    assert!(queue.is_empty());
    Ok(())
}

#[test]
fn step_04_who_waits_sleeps() -> Added {
    // `pop` waits while there is nothing, and costs nothing until an add wakes it. An async task does
    // the same with `pop_async`; threads and tasks may share a queue.
    let queue = Fifo::<Deployment>::new();
    let worker = thread::spawn({
        let queue = queue.clone();
        move || queue.pop().map(|deployment| deployment.replicas)
    });
    queue.add(deployment("web", 5))?;
    assert_eq!(worker.join().unwrap(), Ok(5));
    Ok(())
}

#[test]
fn step_05_a_closed_queue_is_worked_off_and_then_over() -> Added {
    // That is how workers end: what was accepted is still handed out, nothing more is accepted, and
    // whoever sleeps is told.
    let queue = Fifo::new();
    queue.add(deployment("web", 1))?;
    queue.close();
    assert!(matches!(queue.add(deployment("db", 1)), Err(AddError::Closed(_))));
    assert_eq!(queue.pop().unwrap().name, "web");
    assert_eq!(queue.pop().err(), Some(Closed));
    Ok(())
}

#[test]
fn step_06_a_lease_keeps_a_key_from_everybody_else() -> Added {
    // Two workers on one deployment would undo each other's work. With a lease, one of them has the key
    // until it says `done`. What changes meanwhile is not lost: it leads to exactly one more run.
    let queue = Fifo::new();
    queue.add(deployment("web", 1))?;
    let lease = queue.lease().unwrap();
    queue.add(deployment("web", 2))?;
    queue.add(deployment("web", 3))?;
    assert!(queue.try_lease().is_err(), "it is in our hands");
    lease.done();

    let again = queue.lease().unwrap();
    assert_eq!(again.replicas, 3);
    again.done();
    assert!(queue.try_lease().is_err());
    Ok(())
}

#[test]
fn step_07_what_fails_comes_back_and_later_each_time() -> Result<(), Box<dyn std::error::Error>> {
    // So that the test need not wait for time to pass, it has a clock of its own.
    let clock = ManualClock::new();
    let second = Duration::from_secs(1);
    let queue = Fifo::builder().backoff(Backoff::new(second, 60 * second)).clock(&clock).build()?;
    queue.add(deployment("web", 1))?;

    for wait in [1, 2, 4] {
        queue.lease()?.retry();
        clock.advance(wait * second - Duration::from_millis(1));
        assert!(queue.try_lease().is_err(), "it stays away for {wait} s");
        clock.advance(Duration::from_millis(1));
    }
    let lease = queue.lease()?;
    assert_eq!(lease.failures(), 3);
    // Success forgets the failures: after the next one it is one second again.
    lease.done();
    Ok(())
}

#[test]
fn step_08_a_worker_that_panics_loses_nothing() -> Added {
    let queue = Fifo::<Deployment>::new();
    queue.add(deployment("web", 1))?;
    let worker = thread::spawn({
        let queue = queue.clone();
        move || {
            let _lease = queue.lease().unwrap();
            std::panic::resume_unwind(Box::new("a bug"));
        }
    });
    assert!(worker.join().is_err());
    // A lease that nobody ended counts as a failure.
    assert_eq!(queue.lease().unwrap().failures(), 1);
    Ok(())
}

#[test]
fn step_09_a_store_before_a_queue() -> Result<(), KeyError> {
    // Together they make a controller. Changes go to both, to the store first: so a worker that the
    // queue wakes finds in the store what it was woken for, or something newer. It does not ask what has
    // happened, only what there is now.
    let store = Arc::new(Store::<Deployment>::new());
    let queue = Fifo::<Deployment>::new();
    let running = Arc::new(AtomicU32::new(0));
    let workers: Vec<_> = (0..2)
        .map(|_| {
            let (store, queue, running) = (Arc::clone(&store), queue.clone(), Arc::clone(&running));
            thread::spawn(move || {
                while let Ok(lease) = queue.lease() {
                    let wanted = store.get(lease.key()).map_or(0, |deployment| deployment.replicas);
                    // ORDERING: Relaxed; it is read once the thread is joined.
                    running.store(wanted, Ordering::Relaxed);
                    lease.done();
                }
            })
        })
        .collect();
    for replicas in 1..=100 {
        let mut batch = Batch::new();
        batch.add(deployment("web", replicas))?;
        for sink in [&store as &dyn Sink<Deployment>, &queue] {
            sink.apply(&batch);
        }
    }
    queue.close();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    // However many runs it took: the last one was about the last state.
    assert_eq!(running.load(Ordering::Relaxed), 100);
    assert!(queue.stats().popped <= 100);
    Ok(())
}

#[test]
fn step_10_the_end_of_a_process_has_a_deadline() -> Added {
    // After SIGTERM a process has a few seconds. What is not done by then is handed back, instead of
    // being lost in silence.
    let queue = Fifo::new();
    for name in ["web", "db", "cache"] {
        queue.add(deployment(name, 1))?;
    }
    queue.lease().unwrap().done();
    let stuck = queue.lease().unwrap();
    let drained = queue.drain(Duration::from_millis(1));
    assert!(!drained.is_complete());
    assert_eq!(drained.unprocessed[0].name, "cache");
    assert_eq!(drained.leased, 1);
    stuck.done();
    Ok(())
}
