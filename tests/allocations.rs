//! What a write allocates: nothing for a key that is known.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::alloc::System;
use std::sync::Arc;

use cap::Cap;
use watchcache::store::{Applied, Index};
use watchcache::{Batch, Fifo, Object, Store};

use crate::common::Pod;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Far longer than all else that a write allocates.
const LONG: usize = 60_000;

fn pod(version: u64) -> Arc<Pod> {
    Arc::new(Pod::new(&format!("default/{}", "x".repeat(LONG)), version))
}

/// Bytes that the call allocates, whatever is freed. The least of several, as threads of the test
/// harness may allocate at the same time.
fn allocated(mut call: impl FnMut(u64)) -> usize {
    let mut least = usize::MAX;
    for round in 0..20 {
        let before = ALLOCATOR.total_allocated();
        call(round);
        least = least.min(ALLOCATOR.total_allocated() - before);
    }
    least
}

/// One test, so that no other allocates beside it.
#[test]
fn a_known_key_is_not_allocated() {
    let pods: Vec<_> = (1..100).map(pod).collect();
    let pod = |version: u64| Arc::clone(&pods[version as usize]);

    let store = Store::<Pod>::new();
    store.add(pod(0)).unwrap();
    assert!(allocated(|_| _ = store.add(pod(0)).unwrap()) < LONG, "nothing changes");
    let update = allocated(|round| _ = store.add(pod(round + 1)).unwrap());
    assert_eq!(update, 0, "the store has the key, and room for what the object supersedes");
    let update = allocated(|round| {
        let seen = store.get(&pod(0).key);
        store.compare_and_update(seen.as_ref(), pod(round + 30)).unwrap();
    });
    assert_eq!(update, 0, "likewise");
    let absent = "absent/".to_owned() + &"y".repeat(LONG);
    assert!(allocated(|_| assert!(store.delete(&absent).object.is_none())) < LONG);
    assert_eq!(allocated(|_| assert!(!store.contains(&absent))), 0);

    let by_name = Index::lending("name", |pod: &Pod, lend| lend(pod.key().name()));
    let by_parts = Index::lending("parts", |pod: &Pod, lend| {
        let key = pod.key();
        [key.namespace().unwrap_or_default(), key.name()].into_iter().for_each(lend);
    });
    let by_length = Index::new("length", |pod: &Pod| [pod.key().name().len()]);
    let by_number = Index::new("number", |_: &Pod| [2, 1, 2]);
    let by_parity = Index::new("parity", |pod: &Pod| [pod.version().is_multiple_of(2)]);
    let indexed = Store::builder().index(&by_name).index(&by_parts).index(&by_length);
    let indexed = indexed.index(&by_number).index(&by_parity).build();
    indexed.add(pod(0)).unwrap();
    let update = allocated(|round| _ = indexed.add(pod(2 * round + 2)).unwrap());
    assert_eq!(update, 0, "each index has the object under its values");
    assert!(
        allocated(|round| _ = indexed.add(pod(round + 43)).unwrap()) > 0,
        "not under other ones"
    );

    let mut batch = Batch::<Pod>::new();
    batch.add(pod(60)).unwrap();
    batch.delete(&absent);
    let again = allocated(|_| {
        batch.clear();
        batch.add(pod(60)).unwrap();
        batch.delete(&absent);
    });
    assert_eq!(again, 0, "a batch keeps its memory");

    let observed = Store::<Pod>::builder().observer(|_: &Applied, _| ()).build();
    observed.add(pod(0)).unwrap();
    let update = allocated(|round| _ = observed.add(pod(round + 1)).unwrap());
    assert!(update < LONG, "with an observer, {update}");
    assert!(allocated(|_| assert!(observed.delete(&absent).object.is_none())) < LONG);

    let fifo = Fifo::<Pod>::builder().deletions().build().unwrap();
    let new = allocated(|round| {
        fifo.add(pod(round)).unwrap();
        fifo.delete(&pod(round).key);
        fifo.try_lease().unwrap().done();
    });
    // A key's text is put together before it is shared.
    assert!((LONG..LONG * 3).contains(&new), "one key for the queue and for the deletion, {new}");
    fifo.add(pod(1)).unwrap();
    let again = allocated(|round| _ = fifo.add(pod(round)).unwrap());
    assert!(again < LONG, "the key is known, {again}");

    let fifo = Fifo::<Pod>::new();
    fifo.add(pod(1)).unwrap();
    assert_eq!(allocated(|round| _ = fifo.add(pod(round)).unwrap()), 0, "it is coalesced");
    assert_eq!(allocated(|_| assert!(!fifo.add_if_absent(pod(2)).unwrap())), 0);
    assert!(allocated(|_| fifo.apply(&batch).unwrap()) < LONG);
    let lease = fifo.try_lease().unwrap();
    fifo.add(pod(3)).unwrap();
    assert_eq!(allocated(|round| _ = fifo.add(pod(round)).unwrap()), 0, "it waits for a lease");
    lease.done();
}
