//! The store's reads and writes.

use std::hint::black_box;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use watchcache::store::Index;
use watchcache::{Batch, Key, Listing, Store};

use crate::item::{Item, item, owner};
use crate::{Bench, Case, nanoseconds, per_second};

pub(crate) const BATCH: usize = 64;

/// Visits all objects, in another order than that of insertion.
fn order(i: usize, objects: usize) -> usize {
    i * 7_919 % objects
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        ("get".to_owned(), Box::new(get)),
        ("get, borrowed".to_owned(), Box::new(get_borrowed)),
        ("get and read two fields".to_owned(), Box::new(get_and_read)),
        ("get beside a writer".to_owned(), Box::new(|bench| get_beside_a_writer(bench, 1))),
        (
            "get by 8 readers beside a writer".to_owned(),
            Box::new(|bench| get_beside_a_writer(bench, 8)),
        ),
        (
            "get by 80 readers beside a writer".to_owned(),
            Box::new(|bench| get_beside_a_writer(bench, 80)),
        ),
        ("list a namespace".to_owned(), Box::new(list_a_namespace)),
        ("index lookup".to_owned(), Box::new(index_lookup)),
        ("list all".to_owned(), Box::new(list_all)),
        ("update".to_owned(), Box::new(|bench| update(bench, "update, one at a time", filled, 1))),
        (
            "update".to_owned(),
            Box::new(|bench| update(bench, "update, 64 at a time", filled, BATCH)),
        ),
        (
            "update".to_owned(),
            Box::new(|bench| update(bench, "update, 64 at a time, two indexes", indexed, BATCH)),
        ),
        (
            "update".to_owned(),
            Box::new(|bench| update(bench, "update, one at a time, both by namespace", filled, 1)),
        ),
        (
            "update".to_owned(),
            Box::new(|bench| {
                update(bench, "update, 64 at a time, both by namespace", filled, BATCH)
            }),
        ),
        ("replace".to_owned(), Box::new(|bench| replace(bench, "replace all, 1 % changed"))),
        (
            "replace".to_owned(),
            Box::new(|bench| replace(bench, "replace all, 1 % changed, both by namespace")),
        ),
        ("longest get during a relist".to_owned(), Box::new(relist_pause)),
        ("memory of an index".to_owned(), Box::new(memory)),
    ]
}

pub(crate) fn filled(objects: usize) -> Store<Item> {
    let store = Store::new();
    store.replace(&listing(objects, 1));
    store
}

static BY_OWNER: LazyLock<Index<Item, str>> =
    LazyLock::new(|| Index::lending("owner", |item: &Item, lend| lend(item.owner.as_str())));

/// By owner; every store has its namespaces.
fn indexed(objects: usize) -> Store<Item> {
    let store = Store::builder().index(&BY_OWNER).build();
    store.replace(&listing(objects, 1));
    store
}

fn keys(objects: usize) -> Vec<Key> {
    (0..objects).map(|i| item(order(i, objects), None).key).collect()
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
    let (store, keys) = (filled(bench.objects), keys(bench.objects));
    bench.per_operation("get", read(&store, &keys));
}

/// As client-go's, which hands out a pointer and touches no object.
fn get_borrowed(bench: &Bench) {
    let (store, keys) = (filled(bench.objects), keys(bench.objects));
    let mut keys = keys.iter().cycle();
    bench.per_operation("get, borrowed", || {
        for key in keys.by_ref().take(1024) {
            black_box(store.pin().get(key).expect("all keys are there"));
        }
        1024
    });
}

/// Whoever gets an object looks at it: here, at its version and its owner.
fn get_and_read(bench: &Bench) {
    let (store, keys) = (filled(bench.objects), keys(bench.objects));
    let look = |item: &Item| item.version.as_ref().map_or(0, String::len) + item.owner.len();
    let mut next = keys.iter().cycle();
    bench.per_operation("get and read two fields", || {
        for key in next.by_ref().take(1024) {
            black_box(look(&store.get(key).expect("all keys are there")));
        }
        1024
    });
    let mut next = keys.iter().cycle();
    bench.per_operation("get, borrowed, and read two fields", || {
        for key in next.by_ref().take(1024) {
            black_box(look(&store.pin().get(key).expect("all keys are there")));
        }
        1024
    });
}

/// Updates of all objects in one version.
pub(crate) fn batches(objects: usize, version: Option<u64>, size: usize) -> Vec<Batch<Item>> {
    let starts = (0..objects).step_by(size);
    starts
        .map(|start| {
            let mut batch = Batch::new();
            for i in start..objects.min(start + size) {
                batch.add(item(order(i, objects), version)).expect("keys are valid");
            }
            batch
        })
        .collect()
}

fn get_beside_a_writer(bench: &Bench, readers: usize) {
    let (store, keys) = (filled(bench.objects), keys(bench.objects));
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

/// As `ByIndex` does it: a vector of handles that the caller owns; and a walk in place.
fn list_a_namespace(bench: &Bench) {
    let store = indexed(bench.objects);
    let mut names =
        (0..100).map(|i| format!("namespace-{i:04}")).collect::<Vec<_>>().into_iter().cycle();
    bench.per_operation("list a namespace", || {
        let snapshot = store.snapshot();
        let name = names.next().expect("a cycle");
        black_box(snapshot.namespace(name.as_str()).list());
        1
    });
    bench.per_operation("list a namespace, in place", || {
        let snapshot = store.snapshot();
        let name = names.next().expect("a cycle");
        for item in snapshot.namespace(name.as_str()).objects() {
            black_box(item);
        }
        1
    });
}

fn index_lookup(bench: &Bench) {
    let store = indexed(bench.objects);
    let mut next = 0;
    bench.per_operation("index lookup", || {
        next = (next + 1) % bench.objects;
        let snapshot = store.snapshot();
        let found = snapshot.by(&BY_OWNER, &owner(order(next, bench.objects)));
        black_box(found.list());
        1
    });
}

fn list_all(bench: &Bench) {
    let store = filled(bench.objects);
    bench.per_operation("list all", || {
        black_box(store.list());
        1
    });
}

/// Measures whole rounds over all objects; making the objects is not measured.
fn update(bench: &Bench, name: &str, filled: fn(usize) -> Store<Item>, size: usize) {
    let store = filled(bench.objects);
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
fn replace(bench: &Bench, name: &str) {
    let store = filled(bench.objects);
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
    nanoseconds(name, spent, count);
}

/// One thread gets without end while the store is relisted once.
fn relist_pause(bench: &Bench) {
    let (store, keys) = (indexed(bench.objects), keys(bench.objects));
    let listing = listing(bench.objects, 2);
    let done = AtomicBool::new(false);
    let longest = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            for key in keys.iter().cycle() {
                // ORDERING: relaxed, the flag guards nothing else.
                if done.load(Ordering::Relaxed) {
                    break;
                }
                let started = Instant::now();
                black_box(store.get(key));
                longest = longest.max(started.elapsed());
            }
            longest
        });
        thread::sleep(Duration::from_millis(20));
        store.replace(&listing);
        // ORDERING: relaxed, as above.
        done.store(true, Ordering::Relaxed);
        reader.join().expect("the reader does not panic")
    });
    nanoseconds("longest get during a relist", longest, 1);
}

/// The other program of this package, beside this one.
fn memory(bench: &Bench) {
    let this = std::env::current_exe().expect("the system knows");
    let memory = this.with_file_name("watchcache-peers-memory");
    let status = Command::new(memory).arg(bench.objects.to_string()).status();
    assert!(status.is_ok_and(|status| status.success()), "the package's programs are built");
}
