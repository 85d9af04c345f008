//! Capacity, rates and priorities.

use std::time::Duration;

use watchcache::fifo::{AddError, Added, Backoff, BuildError, ManualClock, fast_slow};
use watchcache::{Batch, Fifo};

use crate::item::{Item, item, keys, listing, popped};

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

    let lease = fifo.lease().unwrap();
    assert!(fifo.add(item("c", 5)).is_err(), "a leased key counts");
    lease.done();
    fifo.add(item("c", 5)).unwrap();
    fifo.delete("b");
    fifo.add(item("d", 6)).unwrap();
    let mut batch = Batch::new();
    batch.add(item("e", 7)).unwrap();
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
    (0..4).for_each(|_| fifo.lease().unwrap().retry());
    assert_eq!(keys(&fifo), ["a", "b"], "the burst");
    assert_eq!(fifo.stats().delayed, 2);
    clock.advance(Duration::from_secs(1));
    assert_eq!(keys(&fifo), ["a", "b", "c"]);
    clock.advance(Duration::from_secs(1));
    assert_eq!(keys(&fifo), ["a", "b", "c", "d"]);
}

#[test]
fn a_list_does_not_delay_changes_and_does_not_starve() {
    let fifo = Fifo::builder().lower_priority_for_lists(true).build().unwrap();
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

#[test]
fn a_list_leaves_a_change_that_waits_where_it_is() {
    let fifo = Fifo::builder().lower_priority_for_lists(true).build().unwrap();
    fifo.add(item("gone", 1)).unwrap();
    fifo.add(item("first", 1)).unwrap();
    fifo.add(item("second", 1)).unwrap();
    let lease = fifo.lease().unwrap();
    fifo.add(item("gone", 2)).unwrap();
    fifo.replace(&listing(&["low", "second", "first"])).unwrap();
    assert_eq!(keys(&fifo), ["first", "second", "low"]);
    assert_eq!(fifo.stats().deleted, 1);
    lease.done();
    let order = popped(&fifo);
    assert_eq!(order, [("first".into(), 0), ("second".into(), 0), ("low".into(), 0)]);
    assert!(fifo.is_empty());
}

#[test]
fn a_list_does_not_put_a_change_that_is_delayed_behind_itself() {
    let (clock, second) = (ManualClock::new(), Duration::from_secs(1));
    let builder = Fifo::builder().backoff(Backoff::new(second, second));
    let fifo = builder.clock(&clock).lower_priority_for_lists(true).build().unwrap();
    fifo.replace(&listing(&["listed"])).unwrap();
    fifo.lease().unwrap().retry();
    fifo.add(item("retried", 1)).unwrap();
    fifo.lease().unwrap().retry();
    fifo.add_after(item("delayed", 1), second).unwrap();
    fifo.replace(&listing(&["low", "listed", "delayed", "retried"])).unwrap();
    assert_eq!(keys(&fifo), ["delayed", "retried", "low", "listed"]);
    assert_eq!(fifo.stats().delayed, 0);
}

#[test]
fn several_limiters_and_the_longest_delay_counts() {
    let second = Duration::from_secs(1);
    let clock = ManualClock::new();
    let fifo = Fifo::builder()
        .limiter(fast_slow(second, 1, second * 5))
        .backoff(Backoff::new(second * 3, second * 4))
        .clock(&clock)
        .build()
        .unwrap();
    fifo.add(item("a", 1)).unwrap();
    for (failures, wait) in [(0, 3), (1, 5), (2, 5)] {
        let lease = fifo.try_lease().unwrap();
        assert_eq!(lease.failures(), failures);
        lease.retry();
        clock.advance(second * wait - Duration::from_nanos(1));
        assert!(fifo.try_lease().is_err());
        clock.advance(Duration::from_nanos(1));
    }
    let lease = fifo.try_lease().unwrap();
    assert_eq!(lease.failures(), 3);
    lease.done();
    fifo.add(item("a", 2)).unwrap();
    assert_eq!(fifo.lease().unwrap().failures(), 0, "a success starts over");
}
