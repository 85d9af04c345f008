//! A store holds the newest version of each object, by key. It is for reading: any number of threads
//! read at once, none of them ever waits, and each can have a view that holds still.

use std::sync::Arc;
use std::thread;

use watchcache::store::{Index, Outcome, UpdateError, WriteError};
use watchcache::{Batch, Key, KeyError, KeyRef, LabelSelector, Listing, Object, Store};

// What goes into a store is a type of your own. The one thing that it must have is a key. Ours are the
// machines of a small cluster:

struct Node {
    name: &'static str,
    zone: &'static str,
    cores: u32,
    version: &'static str,
}

impl Object for Node {
    fn key(&self) -> KeyRef<'_> {
        self.name.into()
    }

    // The rest is optional. A version tells an old state from a new one, ...
    fn resource_version(&self) -> Option<&str> {
        Some(self.version)
    }

    // ... and labels are what selectors ask for.
    fn label(&self, name: &str) -> Option<&str> {
        (name == "zone").then_some(self.zone)
    }
}

fn node(name: &'static str, cores: u32, version: &'static str) -> Node {
    Node { name, zone: if name < "c" { "east" } else { "west" }, cores, version }
}

#[test]
fn step_01_an_object_is_found_by_its_key() -> Result<(), WriteError> {
    let store = Store::new();
    store.add(node("a", 4, "1"))?;

    let found = store.get("a").unwrap();
    assert_eq!(found.cores, 4);
    assert!(store.get("b").is_none());
    Ok(())
}

#[test]
fn step_02_a_key_is_a_name_or_a_namespace_and_a_name() {
    // As in Kubernetes: two objects of the same name in two namespaces have nothing to do with each other.
    let key = Key::namespaced("shop", "web-0").unwrap();
    assert_eq!(key.as_str(), "shop/web-0");
    assert_eq!((key.namespace(), key.name()), (Some("shop"), "web-0"));
    // What cannot be a key is an error, which says why.
    let error = "shop/".parse::<Key>().unwrap_err();
    assert_eq!(error.to_string(), "key \"shop/\" has an empty name");
}

#[test]
fn step_03_the_newest_version_counts_whatever_comes_last() -> Result<(), WriteError> {
    // News may come late, or twice. The store never goes back.
    let store = Store::new();
    assert_eq!(store.add(node("a", 4, "7"))?.outcome, Outcome::Added);
    assert_eq!(store.add(node("a", 8, "9"))?.outcome, Outcome::Updated);
    assert_eq!(store.add(node("a", 6, "8"))?.outcome, Outcome::Stale);
    assert_eq!(store.add(node("a", 8, "9"))?.outcome, Outcome::Unchanged);
    assert_eq!(store.get("a").unwrap().cores, 8);
    Ok(())
}

#[test]
fn step_04_what_was_read_stays_what_it_was() -> Result<(), WriteError> {
    // An object is shared and never changes. Whoever holds it may keep it; a change is another object
    // under the same key.
    let store = Store::new();
    store.add(node("a", 4, "1"))?;
    let before = store.get("a").unwrap();
    store.add(node("a", 8, "2"))?;
    assert_eq!((before.cores, store.get("a").unwrap().cores), (4, 8));
    Ok(())
}

#[test]
fn step_05_a_snapshot_is_everything_at_one_moment() -> Result<(), WriteError> {
    // Two lookups one after the other may see two states. A snapshot is one state, costs next to
    // nothing to take, and holds still while the store goes on.
    let store = Store::new();
    store.add(node("a", 4, "1"))?;
    store.add(node("b", 4, "2"))?;

    let snapshot = store.snapshot();
    store.delete("a");
    store.add(node("c", 16, "4"))?;

    let cores =
        |nodes: &watchcache::Snapshot<Node>| nodes.objects().map(|node| node.cores).sum::<u32>();
    assert_eq!(cores(&snapshot), 8);
    assert_eq!(cores(&store.snapshot()), 20);
    // Comparing two of them takes as long as there are changes between them, however much there is.
    let now = store.snapshot();
    let difference = now.diff(&snapshot).unwrap();
    assert_eq!((difference.added.len(), difference.deleted.len()), (1, 1));
    Ok(())
}

#[test]
fn step_06_a_batch_is_seen_whole_or_not_at_all() -> Result<(), KeyError> {
    // A machine is renamed: the old name goes, and a new one comes. Nobody ever sees both names, or
    // neither.
    let store = Arc::new(Store::new());
    let mut batch = Batch::new();
    batch.add(node("old", 4, "1"))?;
    store.apply(&batch);

    let reader = Arc::clone(&store);
    let watching = thread::spawn(move || {
        while !reader.contains("end") {
            let seen = reader.snapshot();
            let moved = ["old", "new"].into_iter().filter(|name| seen.contains(*name)).count();
            assert_eq!(moved, 1);
        }
    });
    let mut batch = Batch::new();
    batch.delete("old");
    batch.add(node("new", 4, "2"))?;
    store.apply(&batch);
    let mut batch = Batch::new();
    batch.add(node("end", 0, "3"))?;
    store.apply(&batch);
    watching.join().expect("the reader saw one each time");
    Ok(())
}

#[test]
fn step_07_a_list_takes_the_place_of_everything() -> Result<(), WriteError> {
    // After being away for too long, one asks for everything there is, and puts it in place of what one
    // had. What is not in the list is gone; what has not changed stays the very same object.
    let store = Store::new();
    store.add(node("a", 4, "1"))?;
    store.add(node("b", 4, "2"))?;
    let kept = store.get("b").unwrap();

    let listing = Listing::new([node("b", 4, "2"), node("c", 4, "5")], Some("6".into()))?;
    let replaced = store.replace(&listing);

    assert_eq!(replaced.applied.added, 1);
    assert_eq!(replaced.deleted.len(), 1);
    assert!(!store.contains("a") && store.contains("c"));
    assert!(Arc::ptr_eq(&kept, &store.get("b").unwrap()));
    assert_eq!(store.resource_version().unwrap().as_str(), "6");
    Ok(())
}

#[test]
fn step_08_an_index_finds_objects_by_what_is_in_them() -> Result<(), Box<dyn std::error::Error>> {
    // Which machines are in a zone? Without an index one has to look at each of them. An index is a
    // handle: the store is given it, and keeps it up to date; we keep it, and look things up by it.
    let by_zone = Index::new("zone", |node: &Node| [node.zone]);
    let by_cores = Index::new("cores", |node: &Node| [node.cores]);
    let builder = Store::builder().index(&by_zone).index(&by_cores).label_index("zone");
    let store = builder.build();
    for name in ["a", "b", "c", "d"] {
        store.add(node(name, 4, "1"))?;
    }
    let snapshot = store.snapshot();
    let east: Vec<_> = snapshot.by(&by_zone, "east").map(|(key, _)| key.name()).collect();
    assert_eq!(east, ["a", "b"]);
    // Counting them looks at none.
    assert_eq!(snapshot.by(&by_zone, "west").len(), 2);
    // Values have a type and an order, so one can ask for a range of them.
    let with_few: usize = snapshot.groups(&by_cores, 1..8).map(|(_, nodes)| nodes.len()).sum();
    assert_eq!(with_few, 4);
    // A selector, as kubectl takes it, uses the index of a label.
    let selector: LabelSelector = "zone in (west), zone != north".parse()?;
    assert_eq!(snapshot.select(&selector).count(), 2);
    Ok(())
}

#[test]
fn step_09_two_who_change_one_object_do_not_lose_a_change() -> Result<(), WriteError> {
    // Both have read the same machine, and each wants to give it one more core. The second one is
    // refused, is told what the machine is by now, and decides again. The version stays: it is the
    // source's, and this is a change of our own, which lasts until the source tells of a newer one.
    let store = Store::new();
    store.add(node("a", 4, "1"))?;
    let seen = store.get("a").unwrap();

    assert!(store.compare_and_update(Some(&seen), node("a", seen.cores + 1, "1")).is_ok());
    let refused = store.compare_and_update(Some(&seen), node("a", seen.cores + 1, "1"));
    let Err(UpdateError::Conflict { held, .. }) = refused else { panic!("it was taken") };
    let held = held.unwrap();
    assert!(store.compare_and_update(Some(&held), node("a", held.cores + 1, "1")).is_ok());
    assert_eq!(store.get("a").unwrap().cores, 6);
    Ok(())
}

#[test]
fn step_10_the_hottest_path_borrows() -> Result<(), WriteError> {
    // `get` counts a reference, and so writes to memory that other threads write to as well. A pin
    // writes to nothing that is shared. It is for a few lookups: no store frees memory while it is held.
    let store = Store::new();
    store.add(node("a", 4, "1"))?;
    let cores = {
        let pinned = store.pin();
        pinned.get("a").map(|node| node.cores)
    };
    assert_eq!(cores, Some(4));
    Ok(())
}
