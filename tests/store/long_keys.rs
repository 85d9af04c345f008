//! Keys have a bound. What is beyond it is a typed error, and nothing that was held is lost.

use watchcache::store::{Index, WriteError};
use watchcache::{Batch, Key, KeyRef, Listing, Object, Store};

use crate::common::Pod;

/// As long as a part of a key may be.
const FITS: usize = 64 * 1024;
/// Longer than one may be.
const LONG: usize = FITS + 1;

fn text(length: usize) -> String {
    "x".repeat(length)
}

#[test]
fn a_part_that_is_too_long_makes_no_key() {
    let long = text(LONG);
    let keys = [
        Key::namespaced(&long, "name"),
        Key::namespaced("namespace", &long),
        Key::namespaced(&long, &long),
        Key::cluster_scoped(&long),
        Key::new(Some(&long), "name"),
        Key::new(None, &long),
        long.parse(),
        format!("{long}/name").parse(),
        format!("namespace/{long}").parse(),
        KeyRef::from((long.as_str(), "name")).to_key(),
        KeyRef::from(long.as_str()).to_key(),
    ];
    for (i, key) in keys.into_iter().enumerate() {
        let error = key.map(|key| key.as_str().len()).expect_err(&format!("key {i}"));
        assert!(error.to_string().len() < 1_000, "the error does not repeat the whole text");
    }
}

#[test]
fn a_part_that_fits_makes_a_key_that_the_store_takes() {
    let (namespace, name) = (text(FITS), text(FITS));
    let store = Store::new();
    store.add(Pod::new(&format!("{namespace}/{name}"), 1)).unwrap();
    store.add(Pod::new(&name, 2)).unwrap();
    assert_eq!(store.get((namespace.as_str(), name.as_str())).unwrap().version(), 1);
    assert_eq!(store.get(name.as_str()).unwrap().version(), 2);
    let snapshot = store.snapshot();
    assert_eq!(snapshot.namespace(namespace.as_str()).count(), 1);
    assert_eq!(snapshot.prefix("").count(), 2);
    assert_eq!(store.delete((namespace.as_str(), name.as_str())).object.unwrap().version(), 1);
    drop(snapshot);
    assert_eq!(store.len(), 1);
}

#[test]
fn a_store_refuses_what_is_too_long_and_keeps_what_it_has() {
    let long = text(LONG);
    let store = Store::new();
    store.add(Pod::new("ns/a", 1)).unwrap();
    let before = store.revision();
    for key in [long.clone(), format!("ns/{long}"), format!("{long}/a")] {
        let refused = store.add(Pod::new(&key, 2)).unwrap_err();
        assert!(matches!(refused, WriteError::Key(_)), "{refused:?}");
        assert!(store.compare_and_update(None, Pod::new(&key, 2)).is_err());
        assert!(
            store.get(&key).is_none()
                && !store.contains(&key)
                && store.delete(&key).object.is_none()
        );
        assert!(store.pin().get(&key).is_none() && store.snapshot().get(&key).is_none());
        let mut batch = Batch::new();
        batch.add(Pod::new("ns/b", 3)).unwrap();
        assert!(batch.add(Pod::new(&key, 3)).is_err());
        assert_eq!(batch.len(), 1);
        assert!(Listing::new([Pod::new("ns/c", 3), Pod::new(&key, 3)], None).is_err());
        assert_eq!(store.snapshot().namespace(long.as_str()).count(), 0);
        assert_eq!(store.snapshot().prefix(&key).count(), 0);
    }
    assert_eq!((store.revision(), store.len()), (before, 1));
}

/// Text of a listing's continue token, a selector's value and an index's value are not keys, and
/// have no such bound.
#[test]
fn values_of_an_index_may_be_long() {
    struct Item(usize);
    impl Object for Item {
        fn key(&self) -> KeyRef<'_> {
            "item".into()
        }
    }
    let by_text = Index::new("long", |item: &Item| [text(item.0)]);
    let store = Store::builder().index(&by_text).build();
    store.add(Item(LONG * 3)).unwrap();
    let snapshot = store.snapshot();
    assert_eq!(snapshot.by(&by_text, &text(LONG * 3)).len(), 1);
    assert_eq!(snapshot.by(&by_text, &text(LONG)).len(), 0);
}
