//! User code that panics, other than destructors: index functions, observers and the methods of
//! objects. What it was asked about is refused or the panic reaches the caller; the store stays whole.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use watchcache::store::{Applied, Index, RejectReason};
use watchcache::{
    Batch, Change, KeyRef, LabelSelector, Listing, Object, ResourceVersion, Sink, Store,
};

use crate::common::canary::panicked;
use crate::common::watchdog::{sized, watched};

/// Which method of a mine panics, while it is armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum In {
    Key,
    Uid,
    ResourceVersion,
    Label,
    Size,
}

const ALL: [In; 5] = [In::Key, In::Uid, In::ResourceVersion, In::Label, In::Size];

struct Mine {
    name: String,
    version: String,
    what: Option<In>,
    armed: Arc<AtomicBool>,
}

impl Mine {
    fn touch(&self, what: In) {
        if self.what == Some(what) && self.armed.load(Ordering::Relaxed) {
            panic!("{what:?} panics");
        }
    }
}

impl Object for Mine {
    fn key(&self) -> KeyRef<'_> {
        self.touch(In::Key);
        ("ns", &*self.name).into()
    }

    fn uid(&self) -> Option<&str> {
        self.touch(In::Uid);
        Some("uid")
    }

    fn resource_version(&self) -> Option<&str> {
        self.touch(In::ResourceVersion);
        Some(&self.version)
    }

    fn label(&self, name: &str) -> Option<&str> {
        self.touch(In::Label);
        (name == "app").then_some("web")
    }

    fn size(&self) -> usize {
        self.touch(In::Size);
        100
    }
}

struct Bench {
    store: Store<Mine>,
    armed: Arc<AtomicBool>,
}

impl Bench {
    fn new() -> Self {
        let store = Store::builder().label_index("app").build();
        Self { store, armed: Arc::new(AtomicBool::new(false)) }
    }

    fn mine(&self, name: &str, version: u64, what: Option<In>) -> Mine {
        let (name, version) = (name.to_owned(), version.to_string());
        Mine { name, version, what, armed: Arc::clone(&self.armed) }
    }

    /// Writes and reads on, and finds nothing but what was stored.
    fn is_whole(&self, held: &[(&str, u64)]) {
        self.armed.store(false, Ordering::Relaxed);
        let content = |store: &Store<Mine>| {
            let snapshot = store.snapshot();
            let mut found: Vec<_> = snapshot
                .iter()
                .map(|(key, mine)| (key.to_string(), mine.version.clone()))
                .collect();
            found.sort();
            assert_eq!(snapshot.len(), found.len());
            assert_eq!(snapshot.select(&"app=web".parse().unwrap()).count(), found.len());
            assert_eq!(snapshot.prefix("ns/").count(), found.len());
            found
        };
        let mut expected: Vec<_> = held
            .iter()
            .map(|(name, version)| (format!("ns/{name}"), version.to_string()))
            .collect();
        expected.sort();
        assert_eq!(content(&self.store), expected);
        for (name, _) in held {
            self.store.add(self.mine(name, 1_000, None)).unwrap();
        }
        self.store.add(self.mine("zz", 1, None)).unwrap();
        assert_eq!(content(&self.store).len(), held.len() + 1);
        let stats = self.store.stats();
        assert_eq!(stats.objects, held.len() + 1);
    }
}

#[test]
fn a_method_that_panics_while_its_object_is_put() {
    for what in ALL {
        watched(move || {
            let bench = Bench::new();
            bench.store.add(bench.mine("a", 1, None)).unwrap();
            bench.armed.store(true, Ordering::Relaxed);
            let mut stored = false;
            let result = panicked(|| {
                stored = bench.store.add(bench.mine("a", 2, Some(what))).is_ok();
            });
            let refused = [In::Key, In::ResourceVersion, In::Label];
            assert!(!(stored && refused.contains(&what)), "{what:?}");
            assert!(!result || what == In::Key, "{what:?}: a typed error, but for the key");
            bench.is_whole(&[("a", if stored { 2 } else { 1 })]);
        });
    }
}

#[test]
fn a_method_of_a_held_object_that_panics_while_another_is_put() {
    for what in ALL {
        watched(move || {
            let bench = Bench::new();
            bench.store.add(bench.mine("a", 1, Some(what))).unwrap();
            bench.armed.store(true, Ordering::Relaxed);
            let put = |version| {
                let mut stored = false;
                panicked(|| stored = bench.store.add(bench.mine("a", version, None)).is_ok());
                stored
            };
            let (newer, same) = (put(2), put(2));
            assert!(newer, "a newer version asks the held one nothing: {what:?}");
            assert!(same, "what was armed is gone: {what:?}");
            bench.is_whole(&[("a", 2)]);
        });
    }
}

#[test]
fn a_method_that_panics_within_a_batch_and_a_relist() {
    for what in ALL {
        watched(move || {
            let bench = Bench::new();
            bench.store.add(bench.mine("a", 1, None)).unwrap();
            bench.store.add(bench.mine("b", 1, Some(what))).unwrap();
            let mut batch = Batch::new();
            batch.add(bench.mine("a", 2, None)).unwrap();
            batch.add(bench.mine("b", 1, Some(what))).unwrap();
            batch.add(bench.mine("c", 2, Some(what))).unwrap();
            batch.add(bench.mine("d", 2, None)).unwrap();
            let version = Some(ResourceVersion::from("5"));
            let listing =
                Listing::new(["a", "b", "e"].map(|name| bench.mine(name, 2, Some(what))), version);
            bench.armed.store(true, Ordering::Relaxed);
            panicked(|| bench.store.apply(&batch));
            assert_eq!(bench.store.get("ns/a").unwrap().version, "2");
            assert_eq!(bench.store.get("ns/d").unwrap().version, "2");
            panicked(|| bench.store.replace(&listing.unwrap()));
            bench.armed.store(false, Ordering::Relaxed);
            let held: Vec<_> =
                bench.store.snapshot().iter().map(|(_, mine)| mine.name.clone()).collect();
            let held: Vec<_> = held
                .iter()
                .map(|name| {
                    (
                        name.as_str(),
                        bench.store.get(("ns", &**name)).unwrap().version.parse().unwrap(),
                    )
                })
                .collect();
            bench.is_whole(&held);
        });
    }
}

/// The source says that the object is gone: a version that cannot be asked for does not count against that.
#[test]
fn a_version_that_panics_while_its_object_is_deleted() {
    for last_panics in [false, true] {
        let bench = Bench::new();
        let version = |panics: bool| panics.then_some(In::ResourceVersion);
        bench.store.add(bench.mine("a", 1, version(!last_panics))).unwrap();
        bench.armed.store(true, Ordering::Relaxed);
        let mut batch = Batch::new();
        let last = Arc::new(bench.mine("a", 2, version(last_panics)));
        batch.push("ns/a", Change::Delete(Some(last))).unwrap();
        let applied = bench.store.apply(&batch);
        assert_eq!((applied.deleted, applied.rejected.len()), (1, 0));
        assert!(!bench.store.contains("ns/a"));
        bench.is_whole(&[]);
    }
}

#[test]
fn a_size_that_panics_reaches_whoever_asked_for_figures() {
    watched(|| {
        let bench = Bench::new();
        bench.store.add(bench.mine("a", 1, Some(In::Size))).unwrap();
        let snapshot = bench.store.snapshot();
        bench.store.add(bench.mine("a", 2, None)).unwrap();
        bench.armed.store(true, Ordering::Relaxed);
        for _ in 0..3 {
            panicked(|| bench.store.stats());
        }
        bench.store.add(bench.mine("a", 3, None)).unwrap();
        assert_eq!(snapshot.get("ns/a").unwrap().version, "1");
        drop(snapshot);
        bench.is_whole(&[("a", 3)]);
    });
}

#[test]
fn a_label_that_panics_reaches_whoever_selects() {
    watched(|| {
        let bench = Bench::new();
        bench.store.add(bench.mine("a", 1, Some(In::Label))).unwrap();
        let selector: LabelSelector = "tier!=x".parse().unwrap();
        bench.armed.store(true, Ordering::Relaxed);
        let snapshot = bench.store.snapshot();
        assert!(panicked(|| snapshot.select(&selector).count()));
        drop(snapshot);
        bench.is_whole(&[("a", 1)]);
    });
}

#[test]
fn a_version_that_panics_reaches_whoever_asks_what_is_held() {
    watched(|| {
        let bench = Bench::new();
        bench.store.add(bench.mine("a", 1, Some(In::ResourceVersion))).unwrap();
        bench.armed.store(true, Ordering::Relaxed);
        panicked(|| bench.store.held("ns/a".into(), Some("uid"), "1"));
        bench.is_whole(&[("a", 1)]);
    });
}

#[test]
fn an_index_function_that_panics_on_a_held_object_adds_no_index() {
    watched(|| {
        let bench = Bench::new();
        for name in ["a", "b", "c"] {
            bench.store.add(bench.mine(name, 1, None)).unwrap();
        }
        let bad = Index::new("bad", |mine: &Mine| {
            assert_ne!(mine.name, "b", "no b");
            [mine.name.clone()]
        });
        let rejected = bench.store.add_index(&bad).unwrap_err();
        assert!(matches!(rejected.reason, RejectReason::Index { index, .. } if &*index == "bad"));
        bench.is_whole(&[("a", 1), ("b", 1), ("c", 1)]);
    });
}

/// The values of an index function are an iterator of the user's, which may panic half way.
#[test]
fn values_that_panic_half_way_are_a_rejection() {
    watched(|| {
        let bench = Bench::new();
        let values = |mine: &Mine| {
            let bad = mine.name == "b";
            (0..3).inspect(move |value| assert!(!(bad && *value == 1), "half way"))
        };
        let half = Index::new("half", values);
        bench.store.add_index(&half).unwrap();
        bench.store.add(bench.mine("a", 1, None)).unwrap();
        assert!(bench.store.add(bench.mine("b", 1, None)).is_err());
        let snapshot = bench.store.snapshot();
        assert_eq!(snapshot.by(&half, &0).len(), 1);
        bench.is_whole_without_b();
    });
}

impl Bench {
    fn is_whole_without_b(&self) {
        assert!(!self.store.contains("ns/b"));
        self.is_whole(&[("a", 1)]);
    }
}

#[test]
fn a_panic_of_an_observer_reaches_no_writer() {
    watched(|| {
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&told);
        let store = Store::builder()
            .observer(move |applied: &Applied, _| {
                tell.lock().unwrap_or_else(PoisonError::into_inner).push(applied.revision.get());
                panic!("the observer panics");
            })
            .build();
        let armed = Arc::new(AtomicBool::new(false));
        let mine = |name: &str, version: u64| Mine {
            name: name.to_owned(),
            version: version.to_string(),
            what: None,
            armed: Arc::clone(&armed),
        };
        let mut batch = Batch::new();
        batch.add(mine("a", 1)).unwrap();
        assert_eq!(store.apply(&batch).added, 1);
        assert!(store.contains("ns/a"));
        let listing = Listing::new([mine("b", 2)], None).unwrap();
        assert_eq!(store.replace(&listing).deleted.len(), 1);
        assert!(store.contains("ns/b") && !store.contains("ns/a"));
        store.add(mine("c", 3)).unwrap();
        assert!(store.compare_and_update(None, mine("d", 4)).is_ok());
        assert!(store.delete("ns/c").object.is_some());
        assert_eq!(*told.lock().unwrap_or_else(PoisonError::into_inner), [1, 2, 3, 4, 5]);
        assert_eq!(store.stats().objects, 2);
    });
}

/// The observer of one writer panics while others' writes are combined with its own.
#[test]
fn an_observer_that_panics_harms_nobody() {
    const WRITES: u64 = sized(200, 5) as u64;
    watched(|| {
        let store = Store::builder()
            .observer(|applied: &Applied, _| {
                assert!(applied.updated == 0, "the observer panics at updates");
            })
            .build();
        let armed = Arc::new(AtomicBool::new(false));
        let mine = |name: String, version: u64| Mine {
            name,
            version: version.to_string(),
            what: None,
            armed: Arc::clone(&armed),
        };
        store.add(mine("hot".into(), 1)).unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let (store, mine) = (&store, &mine);
                scope.spawn(move || {
                    for i in 0..WRITES {
                        let mut batch = Batch::new();
                        if writer == 0 {
                            batch.add(mine("hot".into(), i + 2)).unwrap();
                            assert_eq!(store.apply(&batch).updated, 1);
                        } else {
                            batch.add(mine(format!("{writer}-{i}"), 1)).unwrap();
                            assert_eq!(store.apply(&batch).added, 1);
                        }
                    }
                });
            }
        });
        assert_eq!(store.len(), 3 * WRITES as usize + 1);
        assert_eq!(store.get("ns/hot").unwrap().version, (WRITES + 1).to_string());
    });
}

/// What user code has captured goes with the store, wherever that is dropped.
#[test]
fn destructors_of_what_index_functions_and_observers_have_captured_are_contained() {
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("what was captured panics");
        }
    }

    let index = |name: &str| {
        let bomb = Bomb;
        Index::new(name, move |mine: &Mine| {
            let _ = &bomb;
            [mine.name.clone()]
        })
    };
    let observer = {
        let bomb = Bomb;
        move |_: &Applied, _: Duration| {
            let _ = &bomb;
        }
    };
    let (by_name, by_name_again) = (index("name"), index("again"));
    let store = Store::builder().index(&by_name).index(&by_name_again).observer(observer).build();
    drop((by_name, by_name_again));
    let armed = Arc::default();
    let mine = Mine { name: "a".to_owned(), version: "1".to_owned(), what: None, armed };
    let kept = Arc::new(mine);
    store.add(Arc::clone(&kept)).unwrap();
    assert!(!panicked(|| drop(store)));
    assert_eq!(Arc::strong_count(&kept), 1);
}
