//! What a store tells about itself: the observer, and figures.

use std::sync::{Arc, Mutex, OnceLock, Weak};

use watchcache::store::{Applied, Index, WriteError};
use watchcache::{Batch, Listing, Store};

use crate::common::child::in_a_process_of_its_own;
use crate::common::watchdog::{eventually, watched};
use crate::tagged::{Pod, pod};

#[test]
fn an_observer_is_told_of_each_write_whatever_wrote_it() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let even = Index::try_new("even", |pod: &Pod| match pod.version % 2 {
        0 => Ok(["even"]),
        _ => Err("odd"),
    });
    let store = Store::builder()
        .index(&even)
        .observer(move |applied: &Applied, _| tell.lock().unwrap().push(applied.clone()))
        .build();
    let told = |expected: Applied| {
        let told = std::mem::take(&mut *told.lock().unwrap());
        assert_eq!(told, [expected]);
    };
    let replaced = store.replace(&Listing::new([pod("a/1", 2, &[])], None).unwrap());
    assert_eq!(replaced.applied.added, 1);
    told(replaced.applied);
    let mut batch = Batch::new();
    batch.add(pod("a/2", 2, &[])).unwrap();
    batch.add(pod("a/3", 3, &[])).unwrap();
    let applied = store.apply(&batch);
    assert_eq!((applied.added, applied.rejected.len()), (1, 1));
    told(applied);

    let of = |revision| {
        let mut applied = Applied::default();
        applied.revision = revision;
        applied
    };
    let mut expected = of(store.add(pod("a/2", 4, &[])).unwrap().revision);
    expected.updated = 1;
    told(expected);
    let mut expected = of(store.add(pod("a/2", 4, &[])).unwrap().revision);
    expected.unchanged = 1;
    told(expected);
    let seen = store.get("a/2");
    let updated = store.compare_and_update(seen.as_ref(), pod("a/2", 6, &[])).unwrap();
    let mut expected = of(updated.revision);
    expected.updated = 1;
    told(expected);
    let mut expected = of(store.delete("a/2").revision);
    expected.deleted = 1;
    told(expected);
    let mut expected = of(store.delete("a/2").revision);
    expected.unchanged = 1;
    told(expected);
    let Err(WriteError::Rejected(rejected)) = store.add(pod("a/2", 7, &[])) else {
        panic!("the index refuses it")
    };
    let mut expected = of(store.revision());
    expected.rejected.push(rejected);
    told(expected);
}

#[test]
fn an_observer_hears_nothing_of_what_came_to_no_write() {
    let told = Arc::new(Mutex::new(0));
    let tell = Arc::clone(&told);
    let observer = move |_: &Applied, _| *tell.lock().unwrap() += 1;
    let store = Store::builder().observer(observer).build();
    assert!(store.add(pod("/no-key", 1, &[])).is_err());
    store.compare_and_update(None, pod("a/1", 1, &[])).unwrap();
    assert!(store.compare_and_update(None, pod("a/1", 2, &[])).is_err());
    assert_eq!(*told.lock().unwrap(), 1);
}

/// It is called under no lock, in the thread whose write it was, when the write is visible.
#[test]
fn an_observer_may_read_and_write() {
    watched(|| {
        // What the store owns must not own the store.
        let observed: Arc<OnceLock<Weak<Store<Pod>>>> = Arc::default();
        let set = Arc::clone(&observed);
        let observer = move |applied: &Applied, _| {
            let store = observed.get().and_then(Weak::upgrade).unwrap();
            if applied.added == 1 && store.len() < 3 {
                store.add(pod(["a/1", "a/2"][store.len() - 1], 1, &[])).unwrap();
            }
        };
        let store = Arc::new(Store::builder().observer(observer).build());
        set.set(Arc::downgrade(&store)).unwrap();
        store.add(pod("a/0", 1, &[])).unwrap();
        assert_eq!(store.len(), 3);
    });
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
