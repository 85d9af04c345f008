//! A queue that hands out deletions.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use watchcache::fifo::{AddError, Added, Backoff, ManualClock, TryPopError};
use watchcache::{Batch, Change, Fifo, Sink};

use crate::item::{Item, item, keys, listing};
use crate::parked::Parked;

fn queue() -> Fifo<Item> {
    Fifo::builder().deletions().build().unwrap()
}

fn deleted(key: &str, last: Option<Item>) -> Batch<Item> {
    let mut batch = Batch::new();
    batch.push(key, Change::Delete(last.map(Arc::new))).unwrap();
    batch
}

/// All that can be leased now, each lease done: key, value, and whether it was a deletion.
fn leased(fifo: &Fifo<Item>) -> Vec<(String, u64, bool)> {
    let leases = std::iter::from_fn(|| fifo.try_lease().ok());
    leases
        .map(|lease| {
            let seen = (lease.key.clone(), lease.value, lease.is_deleted());
            lease.done();
            seen
        })
        .collect()
}

fn entry(key: &str, value: u64, deletion: bool) -> (String, u64, bool) {
    (key.to_owned(), value, deletion)
}

#[test]
fn by_default_a_deletion_wakes_nobody() {
    let fifo = Fifo::new();
    fifo.add(item("a", 1)).unwrap();
    fifo.try_lease().unwrap().done();
    fifo.apply(&deleted("a", Some(item("a", 2)))).unwrap();
    fifo.replace(&listing(&[])).unwrap();
    assert_eq!(leased(&fifo), []);
}

#[test]
fn a_worker_gets_the_last_state_of_what_was_deleted() {
    let fifo = queue();
    for key in ["a", "b", "c"] {
        fifo.add(item(key, 1)).unwrap();
    }
    assert_eq!(leased(&fifo).len(), 3);
    // The source's own last state counts, else what the queue was given last.
    fifo.apply(&deleted("a", Some(item("a", 2)))).unwrap();
    fifo.apply(&deleted("b", None)).unwrap();
    assert_eq!(fifo.delete("c").unwrap().value, 1);
    let expected = [entry("a", 2, true), entry("b", 1, true), entry("c", 1, true)];
    assert_eq!(leased(&fifo), expected);
}

#[test]
fn an_object_has_one_deletion_and_one_that_never_came_has_none() {
    let fifo = queue();
    fifo.apply(&deleted("never", Some(item("never", 1)))).unwrap();
    assert!(fifo.delete("never").is_none());
    fifo.add(item("a", 1)).unwrap();
    fifo.apply(&deleted("a", None)).unwrap();
    fifo.apply(&deleted("a", Some(item("a", 2)))).unwrap();
    assert_eq!(leased(&fifo), [entry("a", 1, true)]);
    fifo.apply(&deleted("a", None)).unwrap();
    fifo.replace(&listing(&[])).unwrap();
    assert_eq!(leased(&fifo), []);
}

#[test]
fn a_deletion_takes_the_place_of_the_value_that_waits_and_gives_it_back() {
    let fifo = queue();
    for key in ["a", "b", "c"] {
        fifo.add(item(key, 1)).unwrap();
    }
    fifo.delete("a").unwrap();
    fifo.delete("b").unwrap();
    assert_eq!(keys(&fifo), ["a", "b", "c"]);
    assert_eq!(fifo.add(item("b", 2)).unwrap(), Added::Coalesced);
    let expected = [entry("a", 1, true), entry("b", 2, false), entry("c", 1, false)];
    assert_eq!(leased(&fifo), expected);
}

#[test]
fn a_delete_of_a_leased_key_leads_to_one_more_run() {
    let fifo = queue();
    fifo.add(item("a", 1)).unwrap();
    let lease = fifo.try_lease().unwrap();
    fifo.delete("a").unwrap();
    assert!(fifo.try_lease().is_err());
    // Even if the run fails that was of the older state.
    lease.retry();
    assert_eq!(leased(&fifo), [entry("a", 1, true)]);

    fifo.add(item("a", 2)).unwrap();
    let lease = fifo.try_lease().unwrap();
    fifo.delete("a").unwrap();
    fifo.add(item("a", 3)).unwrap();
    assert!(!lease.is_deleted());
    lease.done();
    assert_eq!(leased(&fifo), [entry("a", 3, false)]);
}

#[test]
fn a_deletion_that_fails_comes_back_as_one_unless_something_newer_came() {
    let clock = ManualClock::new();
    let second = Duration::from_secs(1);
    let backoff = Backoff::new(second, second);
    let fifo = Fifo::builder().deletions().backoff(backoff).clock(&clock).build().unwrap();
    fifo.add(item("a", 1)).unwrap();
    fifo.delete("a").unwrap();
    let lease = fifo.try_lease().unwrap();
    fifo.delete("a");
    fifo.replace(&listing(&[])).unwrap();
    lease.retry();
    // It stays away as long as any other, whatever a relist says.
    fifo.replace(&listing(&[])).unwrap();
    assert_eq!(leased(&fifo), []);
    clock.advance(second);
    drop(fifo.try_lease().unwrap());
    clock.advance(second);
    let lease = fifo.try_lease().unwrap();
    assert_eq!((lease.is_deleted(), lease.failures(), lease.value), (true, 2, 1));
    fifo.add(item("a", 2)).unwrap();
    lease.retry();
    assert_eq!(leased(&fifo), [entry("a", 2, false)]);
}

#[test]
fn what_a_relist_leaves_out_comes_before_what_it_lists() {
    let fifo = queue();
    fifo.replace(&listing(&["a", "b", "c", "d"])).unwrap();
    assert_eq!(leased(&fifo).len(), 4);
    fifo.add(item("c", 1)).unwrap();
    fifo.replace(&listing(&["d", "e"])).unwrap();
    // One that waits is not set back by the next list.
    fifo.replace(&listing(&["e", "b"])).unwrap();
    assert_eq!(keys(&fifo), ["c", "a", "d", "e", "b"]);
    let expected = [
        entry("c", 1, true),
        entry("a", 0, true),
        entry("d", 0, true),
        entry("e", 0, false),
        entry("b", 0, false),
    ];
    assert_eq!(leased(&fifo), expected);
}

#[test]
fn with_priorities_the_deletions_of_a_list_are_changes() {
    let fifo = Fifo::builder().deletions().lower_priority_for_lists(true).build().unwrap();
    fifo.replace(&listing(&["a", "b"])).unwrap();
    fifo.add(item("c", 1)).unwrap();
    fifo.replace(&listing(&["b", "c"])).unwrap();
    fifo.add(item("d", 1)).unwrap();
    assert_eq!(keys(&fifo), ["c", "a", "d", "b"]);
}

#[test]
fn a_deletion_of_a_delayed_key_is_due_now() {
    let clock = ManualClock::new();
    let fifo = Fifo::builder().deletions().clock(&clock).build().unwrap();
    fifo.add_after(item("a", 1), Duration::from_secs(60)).unwrap();
    fifo.delete("a").unwrap();
    assert_eq!(fifo.stats().delayed, 0);
    assert_eq!(leased(&fifo), [entry("a", 1, true)]);
}

#[test]
fn a_deletion_wakes_a_parked_consumer() {
    let fifo = queue();
    fifo.add(item("a", 1)).unwrap();
    fifo.try_lease().unwrap().done();
    let mut parked = Parked::new(fifo.lease_async());
    fifo.replace(&listing(&[])).unwrap();
    assert_eq!(parked.wakes(), 1);
    let Poll::Ready(Ok(lease)) = parked.poll() else { panic!("it was woken") };
    assert!(lease.is_deleted());
    lease.done();
}

#[test]
fn an_initial_key_that_is_deleted_is_dealt_with_when_its_deletion_is() {
    let fifo = queue();
    fifo.replace(&listing(&["a", "b"])).unwrap();
    fifo.delete("a").unwrap();
    fifo.replace(&listing(&[])).unwrap();
    assert!(!fifo.has_synced());
    fifo.try_lease().unwrap().done();
    let lease = fifo.try_lease().unwrap();
    assert!(!fifo.has_synced());
    lease.done();
    assert!(fifo.has_synced());
}

#[test]
fn a_capacity_counts_what_waits_and_refuses_no_deletion() {
    let fifo = Fifo::builder().deletions().capacity(1).build().unwrap();
    fifo.add(item("a", 1)).unwrap();
    fifo.try_lease().unwrap().done();
    // What is merely remembered takes no room.
    fifo.add(item("b", 1)).unwrap();
    assert!(fifo.delete("a").is_some());
    assert!(matches!(fifo.add(item("c", 1)), Err(AddError::Full(_))));
    assert_eq!(leased(&fifo), [entry("b", 1, false), entry("a", 1, true)]);
    fifo.add(item("c", 1)).unwrap();
}

#[test]
fn deletions_count_as_adds() {
    let fifo = queue();
    fifo.add(item("a", 1)).unwrap();
    fifo.delete("a").unwrap();
    assert_eq!(leased(&fifo).len(), 1);
    let stats = fifo.stats();
    assert_eq!((stats.adds, stats.coalesced, stats.popped, stats.deleted), (2, 1, 1, 0));
}

#[test]
fn a_closed_queue_turns_what_waits_into_a_deletion_and_takes_no_other() {
    let fifo = queue();
    for key in ["idle", "leased"] {
        fifo.add(item(key, 1)).unwrap();
    }
    fifo.try_lease().unwrap().done();
    let lease = fifo.try_lease().unwrap();
    fifo.add(item("waits", 1)).unwrap();
    fifo.close();
    assert!(fifo.delete("idle").is_none() && fifo.delete("leased").is_none());
    assert_eq!(fifo.delete("waits").unwrap().value, 1);
    // It was deleted, and nobody is to work on it as if it were not.
    lease.retry();
    assert_eq!(leased(&fifo), [entry("waits", 1, true)]);
    assert_eq!(fifo.try_lease().unwrap_err(), TryPopError::Closed);
}

#[test]
fn a_deletion_is_retried_on_a_closed_queue_and_handed_back_by_a_drain() {
    let fifo = queue();
    fifo.add(item("a", 1)).unwrap();
    fifo.delete("a").unwrap();
    let lease = fifo.try_lease().unwrap();
    fifo.close();
    fifo.delete("a");
    lease.retry();
    let lease = fifo.try_lease().unwrap();
    assert!(lease.is_deleted());
    lease.retry();
    let drained = fifo.drain(Duration::ZERO);
    assert_eq!(drained.unprocessed.iter().map(|item| item.value).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_consumer_for_good_gets_the_change() {
    let fifo = queue();
    fifo.add(item("a", 1)).unwrap();
    assert!(
        matches!(fifo.try_lease().unwrap().into_change(), Change::Add(item) if item.value == 1)
    );
    fifo.delete("a").unwrap();
    let change = fifo.try_lease().unwrap().into_change();
    assert!(matches!(change, Change::Delete(Some(item)) if item.value == 1));
    assert_eq!((fifo.stats().processing, fifo.len()), (0, 0));
}

#[test]
fn what_is_remembered_is_let_go() {
    let fifo = queue();
    let (first, second) = (Arc::new(item("a", 1)), Arc::new(item("a", 2)));
    fifo.add(Arc::clone(&first)).unwrap();
    fifo.try_lease().unwrap().done();
    assert_eq!(Arc::strong_count(&first), 2);
    fifo.add(Arc::clone(&second)).unwrap();
    assert_eq!(Arc::strong_count(&first), 1);
    fifo.delete("a").unwrap();
    fifo.try_lease().unwrap().done();
    assert_eq!(Arc::strong_count(&second), 1);
    fifo.add(Arc::clone(&second)).unwrap();
    drop(fifo);
    assert_eq!(Arc::strong_count(&second), 1);
}

#[test]
fn a_reflectors_batch_is_taken_in_its_order() {
    let fifo = queue();
    let mut batch = Batch::new();
    batch.add(item("a", 1)).unwrap();
    batch.add(item("b", 1)).unwrap();
    batch.delete("a");
    batch.delete("b");
    batch.add(item("b", 2)).unwrap();
    Sink::apply(&fifo, &batch);
    assert_eq!(leased(&fifo), [entry("a", 1, true), entry("b", 2, false)]);
}

#[cfg(feature = "reflector")]
#[test]
fn behind_a_merge_a_key_is_deleted_when_the_last_part_lets_go() {
    let fifo = queue();
    let [one, other] = watchcache::reflector::Merge::new([fifo.clone()]).parts();
    one.replace(&listing(&["a", "both"]));
    other.replace(&listing(&["both", "c"]));
    assert_eq!(leased(&fifo).len(), 3);
    one.replace(&listing(&[]));
    assert_eq!(leased(&fifo), [entry("a", 0, true)]);
    drop(one);
    other.apply(&deleted("both", Some(item("both", 7))));
    assert_eq!(leased(&fifo), [entry("both", 7, true)]);
}

#[cfg(feature = "reflector")]
#[test]
fn behind_a_filter_the_state_is_the_deletes_own() {
    let fifo = queue();
    let filter = watchcache::reflector::ChangeFilter::new(fifo.clone()).on(|item: &Item| &item.key);
    filter.replace(&listing(&["a", "b"]));
    assert_eq!(leased(&fifo).len(), 2);
    let mut batch = Batch::new();
    batch.add(item("a", 5)).unwrap();
    filter.apply(&batch);
    assert_eq!(leased(&fifo), []);
    filter.apply(&deleted("a", Some(item("a", 6))));
    filter.replace(&listing(&[]));
    assert_eq!(leased(&fifo), [entry("a", 6, true), entry("b", 0, true)]);
}
