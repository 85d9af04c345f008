//! The store's reads and writes.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use watchcache::{Batch, Key, KeyError, Listing, Object, Store};

use crate::{Bench, Case, nanoseconds, per_second};

const BATCH: usize = 64;

/// A cached object with 128 bytes of content.
pub(crate) struct Item {
    key: Key,
    version: Option<String>,
    #[expect(dead_code, reason = "it only takes room")]
    body: [u64; 16],
}

impl Object for Item {
    fn key(&self) -> Result<Key, KeyError> {
        Ok(self.key.clone())
    }

    fn resource_version(&self) -> Option<&str> {
        self.version.as_deref()
    }
}

/// The `i`th object. Keys are 40 bytes and in no particular order.
pub(crate) fn item(i: usize, version: Option<u64>) -> Item {
    let scattered = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let key =
        Key::namespaced(&format!("namespace-{:04}", i % 100), &format!("web-{scattered:020}"));
    Item {
        key: key.expect("both parts are valid"),
        version: version.map(|version| version.to_string()),
        body: [0; 16],
    }
}

/// Visits all objects, in another order than that of insertion.
fn order(i: usize, objects: usize) -> usize {
    i * 7_919 % objects
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("get".to_owned(), Box::new(get)),
        ("get beside a writer".to_owned(), Box::new(|bench| get_beside_a_writer(bench, 1))),
        (
            "get by 8 readers beside a writer".to_owned(),
            Box::new(|bench| get_beside_a_writer(bench, 8)),
        ),
        ("list all".to_owned(), Box::new(list_all)),
        ("update".to_owned(), Box::new(|bench| update(bench, "update, one at a time", 1))),
        ("update".to_owned(), Box::new(|bench| update(bench, "update, 64 at a time", BATCH))),
        ("replace".to_owned(), Box::new(replace)),
    ]
}

fn filled(objects: usize) -> (Store<Item>, Vec<Key>) {
    let store = Store::new();
    store.replace(&listing(objects, 1));
    let keys = (0..objects).map(|i| item(order(i, objects), None).key).collect();
    (store, keys)
}

/// All objects, of which one in a hundred is in this version and the others in the first.
fn listing(objects: usize, version: u64) -> Listing<Item> {
    let items = (0..objects).map(|i| item(i, Some(if i % 100 == 0 { version } else { 1 })));
    Listing::new(items, Some(version.to_string().into())).expect("keys are valid")
}

fn read<'a>(store: &'a Store<Item>, keys: &'a [Key]) -> impl FnMut() -> usize + 'a {
    let mut keys = keys.iter().cycle();
    move || {
        for key in keys.by_ref().take(1024) {
            black_box(store.get(key).expect("all keys are there"));
        }
        1024
    }
}

fn get(bench: &Bench) {
    let (store, keys) = filled(bench.objects);
    bench.per_operation("get", read(&store, &keys));
}

/// Updates of all objects in one version.
fn batches(objects: usize, version: Option<u64>, size: usize) -> Vec<Batch<Item>> {
    let starts = (0..objects).step_by(size);
    starts
        .map(|start| {
            let mut batch = Batch::new();
            for i in start..objects.min(start + size) {
                batch.put(item(order(i, objects), version)).expect("keys are valid");
            }
            batch
        })
        .collect()
}

fn get_beside_a_writer(bench: &Bench, readers: usize) {
    let (store, keys) = filled(bench.objects);
    // Without a version every change counts, so that two rounds can be written again and again.
    let rounds = [batches(bench.objects, None, BATCH), batches(bench.objects, None, BATCH)];
    let (reads, writes, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    // ORDERING: relaxed everywhere, the counters and the flag guard nothing else.
    let running = || !stop.load(Ordering::Relaxed);
    let (got, wrote, spent) = thread::scope(|scope| {
        scope.spawn(|| {
            for batch in rounds.iter().flatten().cycle().take_while(|_| running()) {
                store.apply(batch);
                writes.fetch_add(batch.len() as u64, Ordering::Relaxed);
            }
        });
        for _ in 0..readers {
            scope.spawn(|| {
                let mut read = read(&store, &keys);
                while running() {
                    reads.fetch_add(read() as u64, Ordering::Relaxed);
                }
            });
        }
        thread::sleep(bench.duration / 5);
        let before = (reads.load(Ordering::Relaxed), writes.load(Ordering::Relaxed));
        let started = Instant::now();
        thread::sleep(bench.duration);
        let after = (reads.load(Ordering::Relaxed), writes.load(Ordering::Relaxed));
        let spent = started.elapsed();
        stop.store(true, Ordering::Relaxed);
        (after.0 - before.0, after.1 - before.1, spent)
    });
    let label = if readers == 1 { "1 reader".to_owned() } else { format!("{readers} readers") };
    per_second(&format!("get beside a writer, {label}"), got, spent);
    per_second(&format!("the writer beside {label}"), wrote, spent);
}

fn list_all(bench: &Bench) {
    let (store, _) = filled(bench.objects);
    bench.per_operation("list all", || {
        black_box(store.list());
        1
    });
}

/// Measures whole rounds over all objects; making the objects is not measured.
fn update(bench: &Bench, name: &str, size: usize) {
    let (store, _) = filled(bench.objects);
    let (mut spent, mut count) = (Duration::ZERO, 0);
    for version in 2.. {
        let round = batches(bench.objects, Some(version), size);
        let started = Instant::now();
        for batch in &round {
            store.apply(batch);
        }
        spent += started.elapsed();
        count += bench.objects;
        if spent >= bench.duration {
            break;
        }
    }
    nanoseconds(name, spent, count);
}

/// Relists; making the objects is not measured, putting them into a listing is.
fn replace(bench: &Bench) {
    let (store, _) = filled(bench.objects);
    let (mut spent, mut count) = (Duration::ZERO, 0);
    for version in 2.. {
        let items: Vec<Item> = (0..bench.objects)
            .map(|i| item(i, Some(if i % 100 == 0 { version } else { 1 })))
            .collect();
        let started = Instant::now();
        store.replace(
            &Listing::new(items, Some(version.to_string().into())).expect("keys are valid"),
        );
        spent += started.elapsed();
        count += 1;
        if spent >= bench.duration {
            break;
        }
    }
    nanoseconds("replace all, 1 % changed", spent, count);
}
