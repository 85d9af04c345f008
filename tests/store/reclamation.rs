//! What nobody needs any more is freed, however many snapshots live or go, and whatever writes come.
//! Pins are the process's: where it counts how much waits, no other test may run beside.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use watchcache::{Batch, KeyRef, Object, Store};

use crate::common::child::in_a_process_of_its_own;
use crate::common::pod::Pod;
use crate::common::watchdog::{eventually, sized};

/// More snapshots than a write has steps for.
#[test]
fn many_live_snapshots_do_not_keep_garbage_waiting() {
    in_a_process_of_its_own(|| {
        for snapshots in [32_u64, 64, 300] {
            let store = Store::new();
            let mut held = Vec::new();
            for version in 1..=snapshots {
                store.add(Pod::new("ns/hot", version)).unwrap();
                held.push(store.snapshot());
            }
            for version in 1..sized(20_000, 300) as u64 {
                store.add(Pod::new("ns/hot", snapshots + version)).unwrap();
            }
            let waiting = store.stats().waiting_versions;
            assert!(waiting < 2_000, "{waiting} wait beside {snapshots} snapshots");
            for (snapshot, version) in held.iter().zip(1..) {
                assert_eq!(snapshot.get("ns/hot").unwrap().version(), version);
            }
        }
    });
}

/// What one snapshot alone kept goes, beside an older one: what comes anew is freed meanwhile.
#[test]
fn what_is_new_is_freed_beside_what_was_let_go() {
    static FREED: AtomicUsize = AtomicUsize::new(0);
    struct Counted {
        key: String,
        hot: bool,
    }
    impl Object for Counted {
        fn key(&self) -> KeyRef<'_> {
            (&self.key).into()
        }
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            FREED.fetch_add(usize::from(self.hot), Ordering::Relaxed);
        }
    }
    in_a_process_of_its_own(|| {
        let store = Store::new();
        let _older = store.snapshot();
        let fill = || {
            for from in (0..sized(100_000, 300)).step_by(1_000) {
                let mut batch = Batch::new();
                let keys = from..from + sized(1_000, 300);
                keys.for_each(|i| {
                    batch.add(Counted { key: format!("ns/{i}"), hot: false }).unwrap();
                });
                store.apply(&batch);
            }
        };
        fill();
        let newer = store.snapshot();
        fill();
        drop(newer);
        for i in 1..=sized(40_000, 300) {
            store.add(Counted { key: format!("ns/hot-{}", i % 4), hot: true }).unwrap();
            let waiting = i - FREED.load(Ordering::Relaxed);
            assert!(waiting < 15_000, "of {i} new versions {waiting} are not freed");
        }
    });
}

/// Versions older than all snapshots move from one to the next older, over and over.
#[test]
fn snapshots_let_go_from_the_newest_do_not_keep_the_rest_waiting() {
    in_a_process_of_its_own(|| {
        let store = Store::new();
        let keys = sized(2_000, 50) as u64;
        let fill = |version: u64| {
            let mut batch = Batch::new();
            (0..keys).for_each(|i| batch.add(Pod::new(&format!("ns/{i}"), version)).unwrap());
            store.apply(&batch);
        };
        fill(1);
        let mut snapshots = Vec::new();
        for version in 2..=sized(100, 10) as u64 {
            snapshots.push(store.snapshot());
            store.add(Pod::new("ns/other", version)).unwrap();
        }
        fill(2);
        let mut version = 1_000;
        while let Some(newest) = snapshots.pop() {
            drop(newest);
            for _ in 0..sized(200, 10) {
                version += 1;
                store.add(Pod::new("ns/other", version)).unwrap();
            }
            let waiting = store.stats().waiting_versions;
            assert!(waiting < 3 * keys as usize + 200, "{waiting} wait");
        }
        eventually("everything freed", || store.stats().retained_versions == 0);
    });
}

/// A bookmark changes no object, and leaves a revision behind.
#[test]
fn bookmarks_alone_leave_nothing_behind() {
    in_a_process_of_its_own(|| {
        let store = Store::new();
        store.add(Pod::new("ns/a", 1)).unwrap();
        let first = store.snapshot();
        for version in 2..sized(50_000, 200) as u64 {
            let mut bookmark = Batch::new();
            bookmark.set_resource_version(version.to_string().into());
            store.apply(&bookmark);
        }
        assert_eq!(first.get("ns/a").unwrap().version(), 1);
        assert_eq!(store.stats().retained_versions, 0);
        drop(first);
        assert_eq!(store.stats().live_snapshots, 0);
    });
}

const MANY: usize = sized(50_000, 2_000);
const FEW: usize = 20;

fn nth(i: usize) -> String {
    format!("ns/{i}")
}

fn update(store: &Store<Pod>, version: u64) {
    let mut batch = Batch::new();
    (0..FEW).for_each(|i| batch.add(Pod::new(&nth(i), version)).unwrap());
    store.apply(&batch);
}

fn store_of_many() -> Store<Pod> {
    let store = Store::new();
    let mut batch = Batch::new();
    (0..MANY).for_each(|i| batch.add(Pod::new(&nth(i), 1)).unwrap());
    store.apply(&batch);
    store
}

fn delete_all_but_few(store: &Store<Pod>) {
    let mut batch = Batch::new();
    (FEW..MANY).for_each(|i| batch.delete(&nth(i)));
    store.apply(&batch);
}

/// No key comes that would find its shard's table too large.
#[test]
fn a_store_that_shrinks_gives_its_tables_back_though_it_is_only_updated() {
    let store = store_of_many();
    let peak = store.stats().table_bytes;
    delete_all_but_few(&store);
    let mut version = 1;
    eventually("the tables given back", || {
        version += 1;
        update(&store, version);
        store.stats().table_bytes * 4 < peak
    });
}

/// A snapshot from before the deletions, and then a pin, a snapshot and a walk that begin before tables shrink.
#[test]
fn who_reads_while_tables_shrink_sees_what_there_was() {
    in_a_process_of_its_own(|| {
        let store = store_of_many();
        let before = store.snapshot();
        delete_all_but_few(&store);
        (2..400).for_each(|version| update(&store, version));
        assert_eq!(before.iter().count(), MANY);
        assert!((0..MANY).all(|i| before.get(&nth(i)).unwrap().version() == 1));
        drop(before);
        eventually("the deleted keys freed", || store.stats().retained_versions == 0);

        let large = store.stats().table_bytes;
        let snapshot = store.snapshot();
        let mut walk = snapshot.iter();
        let first = walk.next();
        let pinned = store.pin();
        (400..800).for_each(|version| update(&store, version));
        let now = store.stats().table_bytes;
        assert!(now < large, "{now} bytes of {large}: nothing has shrunk beside them");
        assert!((0..FEW).all(|i| snapshot.get(&nth(i)).unwrap().version() == 399));
        assert!((0..FEW).all(|i| pinned.get(&nth(i)).unwrap().version() == 399));
        assert!((FEW..MANY).all(|i| !pinned.contains(&nth(i))));
        assert_eq!(first.into_iter().chain(walk).count(), FEW);
        let newer = store.snapshot();
        let diff = newer.diff(&snapshot).unwrap();
        assert_eq!((diff.added.len(), diff.updated.len(), diff.deleted.len()), (0, FEW, 0));
    });
}

/// A destructor that writes is run by a write that frees; the write that it makes frees in turn.
#[test]
fn destructors_that_write_do_not_recurse_through_a_long_backlog() {
    static STORE: OnceLock<Store<Chatty>> = OnceLock::new();
    static ARMED: AtomicBool = AtomicBool::new(false);

    struct Chatty(&'static str);

    impl Object for Chatty {
        fn key(&self) -> KeyRef<'_> {
            self.0.into()
        }
    }

    impl Drop for Chatty {
        fn drop(&mut self) {
            if self.0 == "hot" && ARMED.load(Ordering::Relaxed) {
                STORE.get().unwrap().add(Chatty("last-dropped")).map(drop).unwrap();
            }
        }
    }

    in_a_process_of_its_own(|| {
        let store = STORE.get_or_init(Store::new);
        let pinned = store.pin();
        for _ in 0..sized(50_000, 300) {
            store.add(Chatty("hot")).unwrap();
        }
        drop(pinned);
        ARMED.store(true, Ordering::Relaxed);
        eventually("everything freed", || {
            store.add(Chatty("hot")).unwrap();
            store.stats().retained_versions < 100
        });
        ARMED.store(false, Ordering::Relaxed);
        assert!(store.contains("last-dropped"));
    });
}

#[test]
fn an_object_of_any_size_is_written_whole() {
    struct Vast(u64);

    impl Object for Vast {
        fn key(&self) -> KeyRef<'_> {
            "vast".into()
        }

        fn size(&self) -> usize {
            usize::MAX
        }
    }

    let store = Store::new();
    for i in 0..100 {
        assert!(store.add(Vast(i)).unwrap().outcome.is_stored());
        assert_eq!(store.get("vast").unwrap().0, i);
    }
    eventually("everything freed", || store.stats().retained_versions == 0);
}

#[test]
fn a_pin_that_holds_nothing_up_is_not_reported() {
    in_a_process_of_its_own(|| {
        let store = Store::new();
        store.add(Pod::new("ns/a", 1)).unwrap();
        let _pinned = store.pin();
        for _ in 0..3 {
            assert!(store.stats().oldest_pin.is_none());
        }
    });
}

#[test]
fn text_that_is_no_key_names_nothing() {
    let store = Store::new();
    store.add(Pod::new("web-1", 1)).unwrap();
    for text in ["/web-1", "a/", "", "web-1/"] {
        assert!(!store.contains(text), "{text}");
        assert!(store.delete(text).object.is_none(), "{text}");
    }
    assert_eq!(store.snapshot().prefix("/web").count(), 0);
    assert_eq!(store.snapshot().prefix("web").count(), 1);
}
