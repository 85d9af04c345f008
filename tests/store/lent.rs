//! Objects that a view lends: `ArcRef`.

use std::fmt;
use std::sync::Arc;

use watchcache::{ArcRef, Fifo, KeyRef, Object, Store};

#[derive(Debug, PartialEq, Eq)]
struct Node {
    name: &'static str,
    cores: u32,
}

impl Object for Node {
    fn key(&self) -> KeyRef<'_> {
        self.name.into()
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} cores", self.name, self.cores)
    }
}

fn store() -> Store<Node> {
    let store = Store::new();
    store.add(Node { name: "n1", cores: 8 }).unwrap();
    store.add(Node { name: "n2", cores: 16 }).unwrap();
    store
}

#[test]
fn what_is_lent_reads_like_the_object() {
    let store = store();
    let (snapshot, pinned) = (store.snapshot(), store.pin());
    let (lent, pinned) = (snapshot.get("n1").unwrap(), pinned.get("n1").unwrap());
    assert_eq!(lent.cores, 8);
    assert_eq!((lent, lent), (pinned, pinned), "it is copied");
    assert_ne!(lent, snapshot.get("n2").unwrap());
    assert_eq!(format!("{lent:?} {lent:>3}"), format!("{:?} {:>3}", *lent, *lent));
}

#[test]
fn an_object_lives_as_long_as_what_lends_it() {
    let store = store();
    let snapshot = store.snapshot();
    let mut cores: Vec<&u32> = snapshot.iter().map(|(_, lent)| &lent.object().cores).collect();
    cores.sort();
    assert_eq!(cores, [&8, &16]);
}

#[test]
fn what_is_lent_can_be_shared_and_put_elsewhere() {
    let store = store();
    let shared = store.snapshot().get("n1").map(ArcRef::to_arc).unwrap();
    assert!(Arc::ptr_eq(&shared, &store.get("n1").unwrap()));

    let (copy, fifo) = (Store::<Node>::new(), Fifo::<Node>::new());
    for (_, lent) in &store.snapshot() {
        copy.add(lent).unwrap();
        fifo.add(lent).unwrap();
    }
    assert!(Arc::ptr_eq(&shared, &copy.get("n1").unwrap()));
    assert!(Arc::ptr_eq(&shared, &fifo.get("n1").unwrap()));
}

#[test]
fn a_conditional_update_takes_what_a_snapshot_lends() {
    let store = store();
    let seen = store.snapshot();
    let update =
        |cores| store.compare_and_update(seen.get("n1").as_deref(), Node { name: "n1", cores });
    assert!(update(9).is_ok());
    assert!(update(10).is_err(), "what was seen is no longer held");
}
