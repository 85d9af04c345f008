//! Indexes by values of any type, whose comparisons and destructors are user code.

use std::cell::Cell;
use std::cmp::Ordering as Order;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use watchcache::store::{Entries, Index, IndexValue};
use watchcache::{KeyRef, Object, Snapshot, Store};

use crate::common::watchdog::{eventually, sized, watched};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Pending,
    Running,
}

impl IndexValue for Phase {
    type Value = Self;
}

struct Pod {
    name: String,
    node: Option<String>,
    ports: Vec<u16>,
    phase: Phase,
}

impl Object for Pod {
    fn key(&self) -> KeyRef<'_> {
        ("ns", &*self.name).into()
    }
}

fn pod(name: &str, node: Option<&str>, ports: &[u16], phase: Phase) -> Pod {
    Pod { name: name.to_owned(), node: node.map(str::to_owned), ports: ports.to_vec(), phase }
}

fn names(entries: Entries<'_, Pod>) -> Vec<&str> {
    entries.objects().map(|pod| pod.name.as_str()).collect()
}

fn fill(store: &Store<Pod>) {
    store.add(pod("a", Some("n1"), &[80, 443], Phase::Running)).unwrap();
    store.add(pod("b", Some("n2"), &[80], Phase::Running)).unwrap();
    store.add(pod("c", None, &[8080], Phase::Pending)).unwrap();
}

#[test]
fn values_of_any_type_are_looked_up_as_what_they_are() {
    let by_node = Index::new("node", |pod: &Pod| pod.node.clone());
    let by_maybe = Index::new("maybe", |pod: &Pod| [pod.node.clone()]);
    let by_port = Index::new("port", |pod: &Pod| pod.ports.clone());
    let by_ports = Index::new("ports", |pod: &Pod| [pod.ports.clone()]);
    let by_phase = Index::new("phase", |pod: &Pod| [pod.phase]);
    let by_pair = Index::new("pair", |pod: &Pod| [(pod.phase, pod.ports.len())]);
    let by_key = Index::new("key", |pod: &Pod| [pod.key().to_key().unwrap()]);
    let builder = Store::builder().index(&by_node).index(&by_maybe).index(&by_port);
    let builder = builder.index(&by_ports).index(&by_phase).index(&by_pair).index(&by_key);
    let store = builder.build();
    fill(&store);
    let snapshot = store.snapshot();
    assert_eq!(names(snapshot.by(&by_node, "n1")), ["a"]);
    assert_eq!(names(snapshot.by(&by_maybe, &None)), ["c"]);
    assert_eq!(names(snapshot.by(&by_port, &80)), ["a", "b"]);
    assert_eq!(names(snapshot.by(&by_ports, &[80, 443])), ["a"]);
    assert_eq!(names(snapshot.by(&by_phase, &Phase::Running)), ["a", "b"]);
    assert_eq!(names(snapshot.by(&by_pair, &(Phase::Running, 1))), ["b"]);
    assert_eq!(names(snapshot.by(&by_key, &"ns/c".parse().unwrap())), ["c"]);
    assert_eq!(names(snapshot.by(&by_node, "n3")), Vec::<&str>::new());
}

#[test]
fn a_range_of_values_is_in_order() {
    let by_port = Index::new("port", |pod: &Pod| pod.ports.clone());
    let by_node = Index::new("node", |pod: &Pod| pod.node.clone());
    let store = Store::builder().index(&by_port).build();
    fill(&store);
    let snapshot = store.snapshot();
    let ports = |groups: watchcache::store::Groups<'_, Pod, u16>| -> Vec<(u16, usize)> {
        groups.map(|(port, pods)| (*port, pods.len())).collect()
    };
    assert_eq!(ports(snapshot.groups(&by_port, ..)), [(80, 2), (443, 1), (8080, 1)]);
    assert_eq!(ports(snapshot.groups(&by_port, 81..8080)), [(443, 1)]);
    assert_eq!(ports(snapshot.groups(&by_port, 443..=8080)), [(443, 1), (8080, 1)]);
    #[allow(clippy::reversed_empty_ranges)]
    let reversed = 8080..80;
    assert_eq!(ports(snapshot.groups(&by_port, reversed)), []);
    // Not the store's.
    let nodes = snapshot.groups(&by_node, ..).map(|(node, pods)| (node.to_string(), names(pods)));
    let expected = [("n1".to_owned(), vec!["a"]), ("n2".to_owned(), vec!["b"])];
    assert_eq!(nodes.collect::<Vec<_>>(), expected);
}

#[test]
fn a_handle_serves_several_stores_and_keeps_them_apart() {
    let by_node = Index::new("node", |pod: &Pod| pod.node.clone());
    let same_name = Index::new("node", |pod: &Pod| pod.ports.clone());
    let store =
        || Store::builder().index(&by_node).index(&same_name).index(&by_node.clone()).build();
    let (one, other, without) = (store(), store(), Store::new());
    fill(&one);
    fill(&without);
    other.add(pod("x", Some("n1"), &[1], Phase::Pending)).unwrap();
    assert_eq!(names(one.snapshot().by(&by_node, "n1")), ["a"]);
    assert_eq!(names(other.snapshot().by(&by_node, "n1")), ["x"]);
    assert_eq!(names(other.snapshot().by(&same_name, &1)), ["x"]);
    // A store that was not given it finds the same.
    assert_eq!(names(without.snapshot().by(&by_node, "n1")), ["a"]);
    assert_eq!(without.snapshot().by(&by_node, "n1").objects().count(), 1);
}

#[test]
fn without_the_index_an_object_on_which_it_fails_is_not_found() {
    let by_port = Index::new("port", |pod: &Pod| {
        assert_ne!(pod.name, "a", "no a");
        pod.ports.clone()
    });
    let store = Store::new();
    fill(&store);
    assert_eq!(names(store.snapshot().by(&by_port, &80)), ["b"]);
}

/// Counts its comparisons.
#[derive(PartialEq, Eq)]
struct Counted(u64);

static COMPARISONS: AtomicUsize = AtomicUsize::new(0);

impl PartialOrd for Counted {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl Ord for Counted {
    fn cmp(&self, other: &Self) -> Order {
        COMPARISONS.fetch_add(1, Ordering::Relaxed);
        self.0.cmp(&other.0)
    }
}

struct Item {
    key: String,
    name: u64,
    version: u64,
}

fn item(name: u64, version: u64) -> Item {
    Item { key: name.to_string(), name, version }
}

impl Object for Item {
    fn key(&self) -> KeyRef<'_> {
        (&self.key).into()
    }
}

#[test]
fn an_update_that_changes_no_value_touches_no_index() {
    let index = Index::new("counted", |item: &Item| [Arc::new(Counted(item.name))]);
    let store = Store::builder().index(&index).build();
    for name in 0..1_000 {
        store.add(item(name, 0)).unwrap();
    }
    let before = COMPARISONS.load(Ordering::Relaxed);
    for name in 0..1_000 {
        store.add(item(name, 1)).unwrap();
    }
    let made = COMPARISONS.load(Ordering::Relaxed) - before;
    assert_eq!(made, 1_000, "one with the value before");
}

#[test]
fn lent_values_are_found_as_returned_ones_are() {
    let by_node = Index::lending("node", |pod: &Pod, lend| {
        pod.node.as_deref().into_iter().for_each(lend);
    });
    let by_port = Index::lending("port", |pod: &Pod, lend| pod.ports.iter().for_each(lend));
    let by_ports = Index::lending("ports", |pod: &Pod, lend| lend(pod.ports.as_slice()));
    let (with, without) = (Store::builder().index(&by_node).index(&by_port), Store::new());
    let with = with.index(&by_ports).build();
    for store in [&with, &without] {
        fill(store);
        store.add(pod("b", Some("n1"), &[443, 80, 443], Phase::Running)).unwrap();
        // The same values in another order.
        store.add(pod("b", Some("n1"), &[80, 443], Phase::Pending)).unwrap();
        let snapshot = store.snapshot();
        assert_eq!(names(snapshot.by(&by_node, "n1")), ["a", "b"]);
        assert_eq!(names(snapshot.by(&by_node, "n2")), Vec::<&str>::new());
        assert_eq!(names(snapshot.by(&by_port, &443)), ["a", "b"]);
        assert_eq!(names(snapshot.by(&by_ports, &[80, 443])), ["a", "b"]);
        // Fewer, the first of them as before.
        store.add(pod("a", None, &[80], Phase::Running)).unwrap();
        let snapshot = store.snapshot();
        assert_eq!(names(snapshot.by(&by_port, &80)), ["a", "b"]);
        assert_eq!(names(snapshot.by(&by_port, &443)), ["b"]);
        assert_eq!(names(snapshot.by(&by_node, "n1")), ["b"]);
    }
}

#[test]
fn a_function_that_panics_once_it_has_lent_a_value_changes_nothing() {
    let by_port = Index::lending("port", |pod: &Pod, lend| {
        pod.ports.iter().for_each(lend);
        assert_ne!(pod.phase, Phase::Pending, "too early");
    });
    let store = Store::builder().index(&by_port).build();
    store.add(pod("a", None, &[80, 443], Phase::Running)).unwrap();
    for ports in [&[80, 443][..], &[80], &[80, 1], &[2, 3]] {
        assert!(store.add(pod("a", None, ports, Phase::Pending)).is_err());
        assert!(store.add(pod("b", None, ports, Phase::Pending)).is_err());
        let values = || store.snapshot().groups(&by_port, ..).map(|(port, _)| *port).collect();
        let values: Vec<u16> = values();
        assert_eq!(values, [80, 443]);
    }
    store.add(pod("a", None, &[80, 1], Phase::Running)).unwrap();
    assert_eq!(names(store.snapshot().by(&by_port, &1)), ["a"]);
    assert_eq!(names(store.snapshot().by(&by_port, &443)), Vec::<&str>::new());
}

/// Counts how many of them there are.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Kept(u64);

static KEPT: AtomicUsize = AtomicUsize::new(0);

impl Kept {
    fn new(value: u64) -> Arc<Self> {
        KEPT.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self(value))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        KEPT.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn a_value_that_objects_have_in_common_is_kept_once() {
    let index = Index::new("kept", |item: &Item| {
        [Kept::new(item.name % 10), Kept::new(100 + item.version % 3)]
    });
    let store = Store::builder().index(&index).build();
    for version in 0..4 {
        for name in 0..500 {
            store.add(item(name, version)).unwrap();
        }
        let _ = store.stats();
        assert_eq!(KEPT.load(Ordering::Relaxed), 11, "version {version}");
    }
    for name in 0..500 {
        store.delete(&name.to_string());
    }
    let _ = store.stats();
    assert_eq!(KEPT.load(Ordering::Relaxed), 0);
}

/// What compares as it likes: no order at all, and a panic now and then.
#[derive(PartialEq, Eq)]
struct Unruly(u64);

thread_local! {
    static RANDOM: Cell<u64> = const { Cell::new(1) };
}

fn random(below: u64) -> u64 {
    let next = RANDOM.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    RANDOM.set(next);
    (next >> 33) % below
}

impl PartialOrd for Unruly {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl Ord for Unruly {
    fn cmp(&self, other: &Self) -> Order {
        match random(40) {
            0 => panic!("no comparison today"),
            1..4 => other.0.cmp(&self.0),
            4 => Order::Equal,
            _ => self.0.cmp(&other.0),
        }
    }
}

/// All that is found by the index is what the snapshot has.
fn is_whole(snapshot: &Snapshot<Item>, index: &Index<Item, Unruly>) {
    for (_, items) in snapshot.groups(index, ..) {
        for (key, item) in items {
            assert_eq!(snapshot.get(key).unwrap().version, item.version);
        }
    }
}

#[test]
fn values_without_an_order_harm_nothing_but_their_index() {
    watched(|| {
        let values = |item: &Item| {
            let value = |n| Arc::new(Unruly((item.name + item.version * n) % 7));
            (0..item.version % 4).map(value).collect::<Vec<_>>()
        };
        let index = Index::new("unruly", values);
        let store = Store::builder().index(&index).build();
        let mut kept = Vec::new();
        let mut model = std::collections::BTreeMap::new();
        for version in 0..sized(6_000, 200) as u64 {
            let name = random(60);
            match random(4) {
                0 => {
                    store.delete(&name.to_string());
                    model.remove(&name);
                }
                // A comparison that panics before anything is changed is a rejection.
                _ if store.add(item(name, version)).is_ok() => _ = model.insert(name, version),
                _ => {}
            }
            if version.is_multiple_of(50) {
                kept.push(store.snapshot());
                if kept.len() > 5 {
                    is_whole(&kept.remove(random(5) as usize), &index);
                }
            }
        }
        kept.iter().for_each(|snapshot| is_whole(snapshot, &index));
        let snapshot = store.snapshot();
        let found = snapshot.objects().map(|item| (item.name, item.version));
        assert_eq!(found.collect::<std::collections::BTreeMap<_, _>>(), model);
        // Nothing that is freed is left in it.
        kept.clear();
        for name in model.keys() {
            store.delete(&name.to_string());
        }
        let snapshot = store.snapshot();
        eventually("freed", || store.stats().retained_versions <= model.len());
        assert_eq!(snapshot.groups(&index, ..).map(|(_, items)| items.count()).sum::<usize>(), 0);
    });
}

/// As `f64` compares.
#[derive(PartialEq)]
struct Load(f64);

impl Eq for Load {}

impl PartialOrd for Load {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl Ord for Load {
    fn cmp(&self, other: &Self) -> Order {
        self.0.partial_cmp(&other.0).unwrap()
    }
}

#[test]
fn a_value_that_is_not_equal_to_itself_is_refused() {
    let load = |item: &Item| [Arc::new(Load(1.0 / item.version as f64 * 0.0))];
    let index = Index::new("load", load);
    let store = Store::builder().index(&index).build();
    store.add(item(1, 1)).unwrap();
    // Not a number.
    assert!(store.add(item(2, 0)).is_err());
    assert_eq!(store.len(), 1);
    assert_eq!(store.snapshot().by(&index, &Load(0.0)).len(), 1);
}

/// Its destructor panics.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Bomb(u64);

static DROPPED: AtomicUsize = AtomicUsize::new(0);

impl Drop for Bomb {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
        panic!("the destructor of a value");
    }
}

#[test]
fn the_panic_of_a_values_destructor_ends_there() {
    watched(|| {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let index = Index::new("bomb", move |item: &Item| {
            count.fetch_add(1, Ordering::Relaxed);
            [Arc::new(Bomb(item.version))]
        });
        let store = Store::builder().index(&index).build();
        for version in 0..50 {
            store.add(item(version % 3, version)).unwrap();
            // The same values, of which one is dropped at once.
            store.add(item(version % 3, version)).unwrap();
        }
        assert_eq!(store.snapshot().by(&index, &Lookup::of(49)).len(), 1);
        store.delete("0");
        assert_eq!(store.len(), 2);
        drop(store);
        // What looked up was none of the store's.
        assert_eq!(DROPPED.load(Ordering::Relaxed), made.load(Ordering::Relaxed));
    });
}

/// As a [`Bomb`], and not counted.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Shell(u64);

impl Drop for Shell {
    fn drop(&mut self) {
        panic!("the destructor of a value");
    }
}

/// Two destructors that panic, one while the other unwinds, would end the process.
#[test]
fn the_panics_of_values_end_there_also_where_a_store_has_no_such_index() {
    watched(|| {
        let shells = |item: &Item| [Arc::new(Shell(item.name)), Arc::new(Shell(item.version))];
        let index = Index::new("shells", shells);
        let store = Arc::new(Store::new());
        store.add(item(1, 7)).unwrap();
        let seven = std::mem::ManuallyDrop::new(Arc::new(Shell(7)));
        let snapshot = store.snapshot();
        assert_eq!(snapshot.by(&index, &seven).len(), 1);
        // What is handed out is its caller's to drop.
        assert_eq!(snapshot.groups(&index, ..).map(std::mem::forget).count(), 2);
        let mut sub = store.subscribe().index(&index, Arc::clone(&seven)).start().unwrap();
        store.add(item(2, 8)).unwrap();
        store.add(item(3, 7)).unwrap();
        let mut told = 0;
        while let Ok(delivery) = sub.try_next() {
            told += delivery.iter().count();
        }
        assert_eq!(told, 1, "of the two only one has it");
    });
}

static ARMED: AtomicBool = AtomicBool::new(false);

/// As a [`Shell`], and its comparison panics while it is armed.
#[derive(PartialEq, Eq)]
struct Mine(u64);

impl PartialOrd for Mine {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl Ord for Mine {
    fn cmp(&self, other: &Self) -> Order {
        assert!(!ARMED.load(Ordering::Relaxed), "the comparison of a value");
        self.0.cmp(&other.0)
    }
}

impl Drop for Mine {
    fn drop(&mut self) {
        panic!("the destructor of a value");
    }
}

/// The function's own values are dropped where it unwinds.
#[test]
fn a_comparison_that_panics_beside_destructors_that_do_is_a_rejection() {
    watched(|| {
        let mines = |item: &Item| [Arc::new(Mine(item.version)), Arc::new(Mine(item.version + 1))];
        let index = Index::new("mines", mines);
        let store = Store::builder().index(&index).build();
        store.add(item(1, 1)).unwrap();
        ARMED.store(true, Ordering::Relaxed);
        assert!(store.add(item(1, 2)).is_err());
        ARMED.store(false, Ordering::Relaxed);
        assert_eq!(store.get("1").unwrap().version, 1);
        store.add(item(1, 3)).unwrap();
        let three = std::mem::ManuallyDrop::new(Mine(3));
        assert_eq!(store.snapshot().by(&index, &three).len(), 1);
    });
}

/// A value that is looked up and never dropped.
struct Lookup(std::mem::ManuallyDrop<Bomb>);

impl Lookup {
    fn of(value: u64) -> Self {
        Self(std::mem::ManuallyDrop::new(Bomb(value)))
    }
}

impl std::ops::Deref for Lookup {
    type Target = Bomb;

    fn deref(&self) -> &Bomb {
        &self.0
    }
}

/// An index function, like a value's comparison, may read the store it is of.
#[test]
fn an_index_function_may_read() {
    let store: Arc<Mutex<Option<Arc<Store<Item>>>>> = Arc::default();
    let held = Arc::clone(&store);
    let index = Index::new("known", move |item: &Item| {
        let store = held.lock().unwrap().clone();
        [store.is_some_and(|store| store.contains(&item.name.to_string()))]
    });
    let built = Arc::new(Store::builder().index(&index).build());
    *store.lock().unwrap() = Some(Arc::clone(&built));
    built.add(item(1, 1)).unwrap();
    assert_eq!(built.snapshot().by(&index, &false).len(), 1);
    built.add(item(1, 2)).unwrap();
    assert_eq!(built.snapshot().by(&index, &true).len(), 1);
    *store.lock().unwrap() = None;
}

/// Its destructor has another thread ask for the store's lock.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Asking(String);

static ASKED: Mutex<Option<Arc<Store<Pod>>>> = Mutex::new(None);
static ANSWERS: AtomicUsize = AtomicUsize::new(0);

impl IndexValue for Asking {
    type Value = Self;
}

impl Drop for Asking {
    fn drop(&mut self) {
        let Some(store) = ASKED.lock().unwrap().take() else { return };
        let asking = std::thread::spawn(move || drop(store.delete("ns/none")));
        asking.join().unwrap();
        ANSWERS.fetch_add(1, Ordering::Relaxed);
    }
}

/// There may be one for each object: whoever writes meanwhile does not wait for them.
#[test]
fn values_that_a_revision_alone_had_are_dropped_under_no_lock() {
    watched(|| {
        let index = Index::new("asking", |pod: &Pod| [Asking(pod.node.clone().unwrap())]);
        let store = Arc::new(Store::builder().index(&index).build());
        store.add(pod("a", Some("n1"), &[], Phase::Running)).unwrap();
        let snapshot = store.snapshot();
        store.add(pod("a", Some("n2"), &[], Phase::Running)).unwrap();
        eventually("freed", || store.stats().retained_versions <= 1);
        *ASKED.lock().unwrap() = Some(Arc::clone(&store));
        drop(snapshot);
        eventually("answered", || {
            let _ = store.stats();
            ANSWERS.load(Ordering::Relaxed) == 1
        });
    });
}
