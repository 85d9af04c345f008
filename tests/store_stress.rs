//! Readers, snapshots, walks and several writers at once, from a seed. Every object carries a sum of
//! itself, and a freed one is poisoned, so that whoever reads freed memory is caught even without a
//! sanitizer; `.ci/sanitize` runs this under AddressSanitizer.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use watchcache::{Batch, Key, KeyError, Listing, Object, Snapshot, Store};

const KEYS: u64 = 48;

struct Item {
    key: Key,
    version: String,
    number: u64,
    check: AtomicU64,
}

impl Item {
    fn new(key: u64, number: u64) -> Self {
        let name = format!("{key:03}");
        let key = Key::namespaced(["a", "b", "c"][key as usize % 3], &name).unwrap();
        Self { key, version: number.to_string(), number, check: AtomicU64::new(!number) }
    }

    fn verify(&self) {
        assert_eq!(self.check.load(Ordering::Relaxed), !self.number, "a freed object was read");
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.verify();
        self.check.store(0xdead, Ordering::Relaxed);
    }
}

impl Object for Item {
    fn key(&self) -> Result<Key, KeyError> {
        Ok(self.key.clone())
    }

    fn resource_version(&self) -> Option<&str> {
        Some(&self.version)
    }
}

/// A small generator of our own: the seed is all there is to know about a run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn verify(snapshot: &Snapshot<Item>) {
    let (mut walked, mut sum) = (0, 0);
    for (key, item) in snapshot {
        item.verify();
        assert_eq!(key, item.key.as_ref());
        walked += 1;
        sum += item.number;
    }
    let objects = snapshot.objects().inspect(|item| item.verify()).map(|item| item.number);
    assert_eq!(objects.sum::<u64>(), sum, "two walks over one snapshot differ");
    assert_eq!(walked, snapshot.len(), "a walk is not of the snapshot's revision");
    assert_eq!(snapshot.ordered("").inspect(|(_, item)| item.verify()).count(), walked);
    let indexed: usize = snapshot.index_values("odd").unwrap().map(|(_, count)| count).sum();
    assert_eq!(indexed, walked, "an index is not of the snapshot's revision");
    for value in ["0", "1"] {
        for (_, item) in snapshot.by_index("odd", value).unwrap() {
            item.verify();
            assert_eq!((item.number % 2).to_string(), value);
        }
        let objects = snapshot.by_index("odd", value).unwrap().objects();
        let numbers = objects.inspect(|item| item.verify()).map(|item| item.number);
        let entries = snapshot.by_index("odd", value).unwrap();
        assert!(numbers.eq(entries.map(|(_, item)| item.number)), "two looks at a value differ");
    }
}

#[test]
fn nobody_reads_what_was_freed() {
    let seconds = std::env::var("WATCHCACHE_STRESS_SECONDS").ok();
    let length = Duration::from_secs(seconds.map_or(2, |text| text.parse().unwrap()));
    let seed =
        std::env::var("WATCHCACHE_SEED").ok().map_or(20_141_106, |text| text.parse().unwrap());
    println!("WATCHCACHE_SEED={seed} WATCHCACHE_STRESS_SECONDS={}", length.as_secs());

    let store =
        Store::builder().index("odd", |item: &Item| [(item.number % 2).to_string()]).build();
    let (stop, numbers) = (AtomicBool::new(false), AtomicU64::new(1));
    let running = || !stop.load(Ordering::Relaxed);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let (store, numbers) = (&store, &numbers);
            scope.spawn(move || {
                let mut random = Random(seed ^ (writer + 1));
                while running() {
                    let mut fresh = |key| Item::new(key, numbers.fetch_add(1, Ordering::Relaxed));
                    match random.below(20) {
                        0 => {
                            let items = (0..random.below(KEYS)).map(&mut fresh).collect::<Vec<_>>();
                            store.replace(&Listing::new(items, None).unwrap());
                        }
                        1..8 => {
                            let mut batch = Batch::new();
                            for _ in 0..random.below(12) {
                                let key = random.below(KEYS);
                                if random.below(3) == 0 {
                                    batch.delete(fresh(key).key.clone());
                                } else {
                                    batch.put(fresh(key)).unwrap();
                                }
                            }
                            store.apply(&batch);
                        }
                        8..13 => {
                            let item = fresh(random.below(KEYS));
                            store.delete(&item.key);
                        }
                        _ => {
                            store.add(fresh(random.below(KEYS))).unwrap();
                        }
                    }
                }
            });
        }
        for reader in 0..2 {
            let store = &store;
            scope.spawn(move || {
                let mut random = Random(seed ^ (reader + 100));
                let mut kept: Vec<Snapshot<Item>> = Vec::new();
                let mut last = store.revision();
                while running() {
                    let key = Item::new(random.below(KEYS), 0).key.clone();
                    match random.below(8) {
                        0 => kept.push(store.snapshot()),
                        1 if !kept.is_empty() => {
                            kept.swap_remove(random.below(kept.len() as u64) as usize);
                        }
                        2 if !kept.is_empty() => {
                            verify(&kept[random.below(kept.len() as u64) as usize]);
                        }
                        3 if kept.len() > 1 => {
                            let (older, newer) = (&kept[0], &kept[kept.len() - 1]);
                            let diff = newer.diff(older).unwrap();
                            let grown = newer.len() as isize - older.len() as isize;
                            assert_eq!(
                                diff.added.len() as isize - diff.deleted.len() as isize,
                                grown,
                                "a difference does not add up"
                            );
                        }
                        4 => {
                            let pinned = store.pin();
                            for key in (0..KEYS).map(|key| Item::new(key, 0).key.clone()) {
                                if let Some(item) = pinned.get(&key) {
                                    item.verify();
                                }
                            }
                            assert!(pinned.revision() >= last, "went back");
                            last = pinned.revision();
                        }
                        _ => {
                            if let Some(item) = store.get(&key) {
                                item.verify();
                            }
                        }
                    }
                    if kept.len() > 8 {
                        kept.remove(0);
                    }
                }
            });
        }
        while start.elapsed() < length {
            std::thread::sleep(Duration::from_millis(20));
        }
        stop.store(true, Ordering::Relaxed);
    });
    verify(&store.snapshot());
}

#[test]
fn every_object_is_dropped_once() {
    struct Counted(Key, Arc<AtomicU64>);
    impl Object for Counted {
        fn key(&self) -> Result<Key, KeyError> {
            Ok(self.0.clone())
        }
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }
    let dropped = Arc::new(AtomicU64::new(0));
    let store = Store::new();
    let mut made = 0;
    let mut kept = Vec::new();
    for round in 0..50 {
        for i in 0..40 {
            let key = Key::namespaced("ns", &((i * 7 + round) % 60).to_string()).unwrap();
            store.add(Counted(key, Arc::clone(&dropped))).unwrap();
            made += 1;
        }
        store.delete(format!("ns/{}", round % 60).as_str());
        if round % 9 == 0 {
            kept.push(store.snapshot());
        }
    }
    drop(store);
    drop(kept);
    assert_eq!(dropped.load(Ordering::Relaxed), made);
}
