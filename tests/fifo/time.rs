//! Back-off and delays, by a clock of the test.

use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use watchcache::Fifo;
use watchcache::fifo::{Backoff, Closed, ManualClock, TryPopError};

use crate::common::watchdog::watched;
use crate::item::{Item, item, popped};
use crate::parked::Parked;

#[test]
fn a_key_that_fails_stays_away_longer_each_time_until_it_succeeds() {
    let clock = ManualClock::new();
    let seconds = Duration::from_secs;
    let backoff = Backoff::new(seconds(1), seconds(4));
    let fifo = Fifo::builder().backoff(backoff).clock(&clock).build().unwrap();
    fifo.add(item("a", 1)).unwrap();
    let mut fails_for = |wait: u64| {
        fifo.lease().unwrap().retry();
        clock.advance(seconds(wait) - Duration::from_nanos(1));
        assert!(fifo.try_lease().is_err());
        clock.advance(Duration::from_nanos(1));
    };
    [1, 2, 4, 4].into_iter().for_each(&mut fails_for);
    fifo.lease().unwrap().after(seconds(1));
    clock.advance(seconds(1));
    fails_for(1);
    drop(fifo.lease().unwrap());
    assert!(fifo.try_lease().is_err(), "what a panic leaves behind does not come back at once");
    fifo.add(item("a", 2)).unwrap();
    assert_eq!(fifo.lease().unwrap().value, 2, "a change does not wait");
}

#[test]
fn what_is_due_wakes_threads_and_tasks() {
    watched(|| {
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
    watched(|| {
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
    fifo.lease().unwrap().retry();
    assert_eq!(fifo.try_lease().unwrap_err(), TryPopError::Empty, "it comes back in a second");
    let mut parked = Parked::new(fifo.lease_async());
    clock.advance(Duration::from_secs(1));
    assert_eq!(parked.wakes(), 1);
    assert!(matches!(parked.poll(), Poll::Ready(Ok(lease)) if lease.value == 1));
    drop(parked);
    // That lease was dropped: it is delayed once more, and then deleted under a sleeper's eyes.
    let mut parked = Parked::new(fifo.lease_async());
    fifo.delete("a").unwrap();
    assert!(matches!(parked.poll(), Poll::Ready(Err(Closed))));
}

#[test]
fn a_clock_moves_all_of_its_queues() {
    watched(|| {
        let (clock, second) = (ManualClock::new(), Duration::from_secs(1));
        let queue = || Fifo::<Item>::builder().clock(&clock).build().unwrap();
        let queues = [queue(), queue()];
        let consumers = queues.clone().map(|fifo| thread::spawn(move || fifo.pop().unwrap().value));
        for fifo in &queues {
            fifo.add_after(item("a", 1), second).unwrap();
        }
        clock.advance(second);
        assert_eq!(consumers.map(|consumer| consumer.join().unwrap()), [1, 1]);
    });
}

#[test]
fn the_longest_times_overflow_nothing() {
    let clock = ManualClock::new();
    let backoff = Backoff::new(Duration::MAX, Duration::MAX).jitter(0.5);
    let fifo = Fifo::builder().backoff(backoff).clock(&clock).timed().build().unwrap();
    for key in ["retried", "abandoned", "put off", "added"] {
        fifo.add(item(key, 1)).unwrap();
    }
    fifo.lease().unwrap().retry();
    drop(fifo.lease().unwrap());
    fifo.lease().unwrap().after(Duration::MAX);
    fifo.pop().unwrap();
    fifo.add_after(item("added", 1), Duration::MAX).unwrap();
    assert_eq!((fifo.stats().delayed, fifo.stats().processing), (4, 0));
    clock.advance(Duration::from_secs(1 << 32));
    assert_eq!(fifo.stats().delayed, 4);
    clock.advance(Duration::MAX);
    clock.advance(Duration::from_secs(1));
    assert_eq!(fifo.len(), 4, "time stands still at its end, and all is due");
    fifo.add_after(item("late", 1), Duration::from_secs(1)).unwrap();
    assert_eq!(popped(&fifo).len(), 5);
    fifo.close();
    assert!(fifo.drain(Duration::ZERO).is_complete());
}
