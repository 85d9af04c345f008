//! Memory follows what is live: churn leaves it where it was, and a snapshot retains its own
//! versions and nothing that came after.
//!
//! `WATCHCACHE_CHURN=10000000 cargo test --release --test store_memory` runs the whole ten million.
#![allow(clippy::unwrap_used)]

use std::alloc::System;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cap::Cap;
use watchcache::store::{FeedLimits, Index};
use watchcache::{Batch, Key, KeyRef, Listing, Object, ResourceVersion, Store};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// One test at a time: they all look at the same count.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn live() -> isize {
    ALLOCATOR.allocated() as isize
}

const BODY: usize = 512;

struct Item {
    name: u64,
    key: Key,
    _body: [u8; BODY],
}

impl Item {
    fn new(name: u64) -> Self {
        let namespace = ["a", "b", "c", "d"][name as usize % 4];
        let key = Key::namespaced(namespace, &format!("{name:020}")).unwrap();
        Self { name, key, _body: [0; BODY] }
    }
}

impl Object for Item {
    fn key(&self) -> KeyRef<'_> {
        self.key.as_ref()
    }
}

fn store_of(items: u64) -> Store<Item> {
    let by_last = Index::new("last", |item: &Item| [(item.name % 10).to_string()]);
    let store = Store::builder().index(&by_last).build();
    for name in 0..items {
        store.add(Item::new(name)).unwrap();
    }
    store
}

/// What the store holds once everything is freed that can be.
fn settled(store: &Store<Item>) -> isize {
    while store.stats().retained_versions > 0 {
        std::thread::yield_now();
    }
    live()
}

#[test]
fn churn_at_a_constant_size_leaves_memory_where_it_was() {
    let _turn = turn();
    const ITEMS: u64 = 1000;
    let pairs = std::env::var("WATCHCACHE_CHURN").map_or(50_000, |text| text.parse().unwrap());
    let store = store_of(ITEMS);
    // A round first, so that each table has grown as far as it does.
    let mut next = ITEMS;
    let mut churn = |pairs: u64| {
        for _ in 0..pairs {
            let oldest = Item::new(next - ITEMS).key;
            store.add(Item::new(next)).unwrap();
            assert!(store.delete(&oldest).object.is_some());
            next += 1;
        }
    };
    churn(20_000);
    let before = settled(&store);
    churn(pairs);
    let after = settled(&store);
    assert_eq!(store.len(), ITEMS as usize);
    // Each shard's table is as large as its fullest moment asked for, and pages are as full as they
    // happen to be; no more than that may differ.
    let grown = after - before;
    assert!(grown < before / 10, "{pairs} pairs grew {before} bytes by {grown}");
}

/// Updates alone follow: no key comes that would find its shard's table too large.
#[test]
fn after_a_mass_delete_memory_follows_what_is_left() {
    let _turn = turn();
    const MANY: u64 = 50_000;
    const LEFT: u64 = 1_000;
    let one_by_one = |store: &Store<Item>| {
        (LEFT..MANY).for_each(|name| _ = store.delete(&Item::new(name).key));
    };
    let in_a_batch = |store: &Store<Item>| {
        let mut batch = Batch::new();
        (LEFT..MANY).for_each(|name| batch.delete(&Item::new(name).key));
        store.apply(&batch);
    };
    let by_a_relist = |store: &Store<Item>| {
        let left = (0..LEFT).map(Item::new);
        store.replace(&Listing::new(left, None::<ResourceVersion>).unwrap());
    };
    type Delete<'a> = &'a dyn Fn(&Store<Item>);
    let taken = |many: u64, delete: Delete| {
        let before = live();
        let store = store_of(many);
        delete(&store);
        (0..LEFT).for_each(|name| _ = store.add(Item::new(name)).unwrap());
        settled(&store) - before
    };
    let fresh = taken(LEFT, &|_| ());
    let deletes: [(&str, Delete); 3] =
        [("one by one", &one_by_one), ("in a batch", &in_a_batch), ("by a relist", &by_a_relist)];
    for (how, delete) in deletes {
        let left = taken(MANY, delete);
        // A store keeps some memory of versions and revisions for its next writes, and never more than this. The
        // tables alone took twice as much.
        let beyond = left - fresh;
        assert!(beyond < 1 << 20, "deleted {how}, they leave {beyond} bytes beyond {fresh}");
    }
}

#[test]
fn a_held_snapshot_retains_its_own_versions_only() {
    let _turn = turn();
    const ITEMS: u64 = 2000;
    let updates = std::env::var("WATCHCACHE_CHURN").map_or(50_000, |text| text.parse().unwrap());
    let store = store_of(ITEMS);
    let before = settled(&store);
    let snapshot = store.snapshot();
    for i in 0..updates {
        store.add(Item::new(i % ITEMS)).unwrap();
    }
    while store.stats().retained_versions > ITEMS as usize {
        std::thread::yield_now();
    }
    let stats = store.stats();
    assert_eq!(stats.retained_versions, ITEMS as usize, "its own versions, one of each key");
    assert_eq!(stats.retained_bytes, ITEMS as usize * size_of::<Item>());
    let retained = live() - before;
    let own = (ITEMS as usize * (size_of::<Item>() + 256)) as isize;
    assert!(
        retained < own,
        "{updates} updates beside it made it retain {retained} bytes, not {own}"
    );
    drop(snapshot);
    // A store keeps some of the memory that chains took for its next writes, and never more than this.
    let left = settled(&store) - before;
    assert!(left < 512 << 10, "{left} bytes are left of a snapshot that is gone");
}

#[test]
fn an_idle_reader_retains_nothing() {
    let _turn = turn();
    let store = store_of(100);
    let (ready, wait) = std::sync::mpsc::channel();
    let (done, idle) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let store = &store;
        scope.spawn(move || {
            assert!(store.pin().get(Item::new(7).key()).is_some());
            ready.send(()).unwrap();
            // Sits idle, with whatever a reader's thread keeps, until the writer is done.
            let _ = idle.recv();
        });
        wait.recv().unwrap();
        for i in 0..5_000 {
            store.add(Item::new(i % 100)).unwrap();
        }
        let _ = settled(store);
        assert_eq!(store.stats().retained_versions, 0);
        drop(done);
    });
}

/// A key alone, so that most of what is kept is the store's own.
struct Name(Key);

impl Object for Name {
    fn key(&self) -> KeyRef<'_> {
        self.0.as_ref()
    }

    fn size(&self) -> usize {
        // Its text is an allocation of its own, with two counts and a word of the allocator's.
        size_of_val(self) + self.0.as_str().len() + 3 * size_of::<usize>()
    }
}

/// The most that is allocated beyond what the same writes take without a subscriber.
fn kept_for_a_stalled_subscriber(store: &Store<Name>, mut write: impl FnMut()) -> isize {
    let mut most = |rounds: u32| {
        let round = |_| {
            write();
            live()
        };
        (0..rounds).map(round).max().unwrap_or_default()
    };
    let without = most(1_000);
    let _stalled = store.subscribe().start().unwrap();
    most(3_000) - without
}

#[test]
fn what_a_stalled_subscriber_keeps_is_within_the_limits() {
    let _turn = turn();
    const ITEMS: u64 = 5_000;
    const LIMIT: usize = 2 << 20;
    let name = |i: u64| Name(Key::namespaced("a", &format!("{i:020}")).unwrap());
    for (updates, batch) in [(true, 32), (true, 1), (false, 32), (false, 1)] {
        let limits = FeedLimits::default();
        let limits = limits.log(usize::MAX, LIMIT / 4).behind(usize::MAX, LIMIT / 4 * 3);
        let store = Store::builder().feed(limits).build();
        (0..ITEMS).for_each(|i| _ = store.add(name(i)).unwrap());
        let mut next = ITEMS;
        let kept = kept_for_a_stalled_subscriber(&store, || {
            for _ in 0..32 / batch {
                let mut changes = Batch::new();
                for _ in 0..batch {
                    if updates {
                        changes.add(name(next % ITEMS)).unwrap();
                    } else {
                        changes.delete(&name(next - ITEMS).0);
                        changes.add(name(next)).unwrap();
                    }
                    next += 1;
                }
                store.apply(&changes);
            }
        });
        assert!(kept <= LIMIT as isize, "{kept} bytes, with updates: {updates}, by {batch}");
    }
}
