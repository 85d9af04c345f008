//! What a store tells about itself: the observer, and figures.

use std::sync::{Arc, Mutex};

use watchcache::store::Applied;
use watchcache::{Batch, Listing, Store};

use crate::common::child::in_a_process_of_its_own;
use crate::common::watchdog::{eventually, watched};
use crate::tagged::{Pod, pod};

#[test]
fn an_observer_is_told_of_batches_and_relists() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let store = Store::builder()
        .observer(move |applied: &Applied, _| {
            tell.lock().unwrap().push((applied.added, applied.deleted));
        })
        .build();
    store.replace(&Listing::new([pod("a/1", 1, &[])], None).unwrap());
    let mut batch = Batch::new();
    batch.delete("a/1");
    store.apply(&batch);
    assert_eq!(*told.lock().unwrap(), [(1, 0), (0, 1)]);
}

#[test]
fn stats_tell_what_a_snapshot_retains() {
    let store = Store::new();
    store.add(pod("a/1", 1, &[])).unwrap();
    store.add(pod("a/2", 1, &[])).unwrap();
    let old = store.snapshot();
    for version in 2..100 {
        store.add(pod("a/1", version, &[])).unwrap();
    }
    // A reader of another test may be pinned for a moment.
    eventually("freed", || store.stats().retained_versions <= 1);
    let stats = store.stats();
    assert_eq!((stats.objects, stats.live_snapshots, stats.retained_versions), (2, 1, 1));
    assert_eq!(stats.retained_bytes, size_of::<Pod>());
    assert!(stats.oldest_snapshot_age.is_some());
    assert_eq!(old.get("a/1").unwrap().version, 1);
    drop(old);
    eventually("freed", || store.stats().retained_versions == 0);
    assert_eq!(store.stats().live_snapshots, 0);
}

/// Every version here holds an object of the same size, and none is a deletion.
#[test]
fn retained_bytes_count_what_retained_versions_count() {
    const EACH: usize = size_of::<Pod>();
    watched(|| {
        let store = Store::new();
        store.add(pod("a/1", 1, &[])).unwrap();
        let mut snapshots = Vec::new();
        for version in 2..300 {
            if version % 50 == 0 {
                snapshots.push(store.snapshot());
            }
            store.add(pod("a/1", version, &[])).unwrap();
            // What lies between two snapshots is unlinked, and freed some time later.
            if version % 20 == 0 {
                let stats = store.stats();
                assert_eq!(stats.retained_bytes, stats.retained_versions * EACH, "{stats:?}");
            }
        }
        {
            let _pinned = store.pin();
            for version in 300..400 {
                store.add(pod("a/1", version, &[])).unwrap();
            }
            drop(snapshots);
            let stats = store.stats();
            assert!(stats.retained_versions >= 100, "the pin is from before these updates");
            assert_eq!(stats.retained_bytes, stats.retained_versions * EACH, "{stats:?}");
        }
        eventually("everything freed", || {
            let stats = store.stats();
            assert_eq!(stats.retained_bytes, stats.retained_versions * EACH, "{stats:?}");
            stats.retained_versions == 0
        });
    });
}

/// One look frees all that can be freed at its time, and tells what is left after that.
#[test]
fn one_look_at_the_figures_is_enough() {
    in_a_process_of_its_own(|| {
        let store = Store::new();
        store.add(pod("a/1", 1, &[])).unwrap();
        let (first, mut middle) = (store.snapshot(), Vec::new());
        for version in 2..100 {
            store.add(pod("a/1", version, &[])).unwrap();
            middle.push(store.snapshot());
        }
        drop(middle);
        let stats = store.stats();
        assert_eq!((stats.retained_versions, stats.live_snapshots), (1, 1), "{stats:?}");
        drop(first);
        let stats = store.stats();
        assert_eq!((stats.retained_versions, stats.retained_bytes), (0, 0), "{stats:?}");
    });
}
