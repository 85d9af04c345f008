//! Keys: parsing, display, order, and that the borrowed form is the same key.
#![allow(clippy::unwrap_used)]

use std::hash::{BuildHasher, RandomState};

use proptest::prelude::*;
use watchcache::{Key, KeyError, KeyRef};

#[test]
fn bad_keys_say_what_is_wrong() {
    for (text, error, sentence) in [
        ("", KeyError::Empty, "key is empty: expected \"namespace/name\" or \"name\""),
        (
            "/web",
            KeyError::EmptyNamespace("/web".into()),
            "key \"/web\" has an empty namespace: leave out the '/' for a cluster-scoped object",
        ),
        ("default/", KeyError::EmptyName("default/".into()), "key \"default/\" has an empty name"),
        (
            "a/b/c",
            KeyError::ExtraSlash("a/b/c".into()),
            "key \"a/b/c\" has more than one '/': expected \"namespace/name\" or \"name\"",
        ),
    ] {
        let found = text.parse::<Key>().unwrap_err();
        assert_eq!(found, error);
        assert_eq!(found.to_string(), sentence);
    }
    assert!(Key::namespaced("a/b", "c").is_err());
    assert!(Key::cluster_scoped("a/b").is_err());
}

#[test]
fn keys_order_by_namespace_then_name() {
    let mut keys: Vec<Key> =
        ["b/a", "a-b/x", "a/z", "node", "a/b"].iter().map(|key| key.parse().unwrap()).collect();
    keys.sort();
    let keys: Vec<_> = keys.iter().map(Key::as_str).collect();
    assert_eq!(keys, ["node", "a/b", "a/z", "a-b/x", "b/a"]);
}

proptest! {
    #[test]
    fn a_key_survives_its_text(namespace in "[a-z.-]{0,8}", name in "[a-zA-Z0-9.:-]{1,12}") {
        let key = Key::new(Some(&namespace), &name).unwrap();
        prop_assert_eq!(&key.to_string().parse::<Key>().unwrap(), &key);
        prop_assert_eq!(key.namespace(), Some(namespace.as_str()).filter(|n| !n.is_empty()));
        prop_assert_eq!(key.name(), name.as_str());
    }

    #[test]
    fn any_text_parses_or_is_refused_and_borrows_alike(text in ".{0,20}") {
        if let Ok(key) = text.parse::<Key>() {
            let borrowed = KeyRef::from(text.as_str());
            prop_assert_eq!(key.to_string(), text.clone());
            prop_assert_eq!(borrowed, key.as_ref());
            prop_assert_eq!(borrowed.to_string(), text.clone());
            prop_assert_eq!(borrowed.to_key().unwrap(), key.clone());
            let hasher = RandomState::new();
            prop_assert_eq!(hasher.hash_one(borrowed), hasher.hash_one(&key));
        }
    }
}
