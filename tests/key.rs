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
            "key \"/web\" has an empty namespace: a cluster-scoped object has its name alone",
        ),
        ("default/", KeyError::EmptyName("default/".into()), "key \"default/\" has an empty name"),
        (
            "/",
            KeyError::EmptyNamespace("/".into()),
            "key \"/\" has an empty namespace: a cluster-scoped object has its name alone",
        ),
    ] {
        let found = text.parse::<Key>().unwrap_err();
        assert_eq!(found, error);
        assert_eq!(found.to_string(), sentence);
    }
    for (namespace, name) in [("a/b", "c"), ("/", "c"), ("a/", "")] {
        let error = KeyRef::from((namespace, name)).check().unwrap_err();
        assert_eq!(error, KeyError::SlashInNamespace(namespace.into()));
        assert_eq!(
            error.to_string(),
            format!("namespace {namespace:?} has a '/', which only a name may have")
        );
    }
    assert_eq!(Key::namespaced("", "c"), Err(KeyError::EmptyNamespace("/c".into())));
}

/// For paths and the like, which no Kubernetes object is named after.
#[test]
fn a_name_may_have_slashes_and_a_text_says_whose_they_are() {
    for (text, namespace, name) in [
        ("a/b/c", Some("a"), "b/c"),
        ("/a/b/c", None, "a/b/c"),
        ("a//", Some("a"), "/"),
        ("//a", None, "/a"),
        ("//", None, "/"),
    ] {
        let key: Key = text.parse().unwrap();
        assert_eq!((key.namespace(), key.name(), key.as_str()), (namespace, name, text));
        assert_eq!(Key::new(namespace, name), Ok(key.clone()));
        assert_eq!(KeyRef::from((namespace, name)).to_string(), text);
    }
    for text in ["/", "/a", "a/"] {
        assert_eq!(KeyRef::from(text).to_string(), text, "it is no key, and none is shown for it");
    }
    let sorted: Vec<_> = ["/a/b", "ab", "a/b"].map(|key| key.parse::<Key>().unwrap()).into();
    assert!(sorted.is_sorted(), "those without a namespace come first, by name");
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
    fn a_key_survives_its_text(namespace in "[a-z.-]{0,8}", name in "[a-zA-Z0-9.:/-]{1,12}") {
        let key = Key::new(Some(&namespace), &name).unwrap();
        prop_assert_eq!(&key.to_string().parse::<Key>().unwrap(), &key);
        prop_assert_eq!(key.namespace(), Some(namespace.as_str()).filter(|n| !n.is_empty()));
        prop_assert_eq!(key.name(), name.as_str());
    }

    #[test]
    fn any_text_parses_or_is_refused_and_borrows_alike(text in "[a/]{0,6}|.{0,20}") {
        let borrowed = KeyRef::from(text.as_str());
        prop_assert_eq!(borrowed.to_string(), text.clone());
        if let Ok(key) = text.parse::<Key>() {
            prop_assert_eq!(key.to_string(), text.clone());
            prop_assert_eq!(borrowed, key.as_ref());
            prop_assert_eq!(borrowed.to_key().unwrap(), key.clone());
            let hasher = RandomState::new();
            prop_assert_eq!(hasher.hash_one(borrowed), hasher.hash_one(&key));
        }
    }
}
