//! Writes on the condition that a key still holds what was seen.

use std::sync::Arc;

use watchcache::store::UpdateError;
use watchcache::{KeyRef, Object, Store};

use crate::common::watchdog::sized;
use crate::tagged::pod;

#[test]
fn a_conditional_update_asks_for_the_very_object_that_was_seen() {
    let store = Store::new();
    store.compare_and_update(None, pod("a/1", 1, &[])).unwrap();
    let seen = store.get("a/1").unwrap();
    let conflict = store.compare_and_update(None, pod("a/1", 2, &[])).unwrap_err();
    assert!(
        matches!(&conflict, UpdateError::Conflict { held: Some(held), .. } if Arc::ptr_eq(held, &seen))
    );
    assert_eq!(conflict.into_object().version, 2);
    store.compare_and_update(Some(&seen), pod("a/1", 3, &[])).unwrap();
    assert!(store.compare_and_update(Some(&seen), pod("a/1", 4, &[])).is_err());
    store.delete("a/1");
    let gone = store.compare_and_update(Some(&seen), pod("a/1", 5, &[])).unwrap_err();
    assert_eq!(gone.to_string(), "the key holds nothing any more");
}

#[test]
fn conditional_updates_of_many_threads_lose_no_increment() {
    const EACH: usize = sized(250, 5);
    struct Counter(u64);
    impl Object for Counter {
        fn key(&self) -> KeyRef<'_> {
            "counter".into()
        }
    }
    let store = Store::new();
    store.add(Counter(0)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..EACH {
                    loop {
                        let seen = store.get("counter").unwrap();
                        let next = Counter(seen.0 + 1);
                        if store.compare_and_update(Some(&seen), next).is_ok() {
                            break;
                        }
                    }
                }
            });
        }
    });
    assert_eq!(store.get("counter").unwrap().0, 4 * EACH as u64);
}
