//! Listing in order, and page by page.

use watchcache::store::{PageError, PageToken};
use watchcache::{Key, Store};

use crate::tagged::{Pod, pod};

#[test]
fn namespaces_and_prefixes_list_in_order() {
    let store = Store::new();
    for (i, key) in ["node-1", "b/web-1", "b/web-0", "a/db-0", "b/db-0", "bb/x"].iter().enumerate()
    {
        store.add(pod(key, i as u64 + 1, &[])).unwrap();
    }
    let snapshot = store.snapshot();
    let ordered = |prefix: &str| -> Vec<String> {
        snapshot.prefix(prefix).map(|(key, _)| key.to_string()).collect()
    };
    assert_eq!(ordered(""), ["node-1", "a/db-0", "b/db-0", "b/web-0", "b/web-1", "bb/x"]);
    assert_eq!(ordered("b"), ["b/db-0", "b/web-0", "b/web-1", "bb/x"]);
    assert_eq!(ordered("b/"), ["b/db-0", "b/web-0", "b/web-1"]);
    assert_eq!(ordered("b/web"), ["b/web-0", "b/web-1"]);
    assert_eq!(ordered("node"), ["node-1"]);
    assert!(ordered("c").is_empty());
    let namespaces: Vec<_> = snapshot.namespaces().collect();
    assert_eq!(namespaces, [(None, 1), (Some("a"), 1), (Some("b"), 3), (Some("bb"), 1)]);
    assert_eq!(snapshot.namespace("b").count(), 3);
    assert_eq!(snapshot.namespace_count("none"), 0);
}

#[test]
fn a_prefix_is_one_of_the_keys_text_whatever_its_name_has() {
    let store = Store::new();
    let keys = ["a", "/a/b", "/a/c/", "//", "ab", "b", "a/b", "a/b/c", "a//b", "ab/c", "b//"];
    for key in keys {
        store.add(pod(key, 1, &[])).unwrap();
    }
    let snapshot = store.snapshot();
    let mut sorted = keys.map(|key| key.parse::<Key>().unwrap());
    sorted.sort();
    for text in keys {
        for prefix in (0..=text.len()).map(|end| &text[..end]) {
            let found: Vec<_> = snapshot.prefix(prefix).map(|(key, _)| key.to_string()).collect();
            let all = sorted.iter().map(Key::as_str).filter(|key| key.starts_with(prefix));
            assert_eq!(found, all.collect::<Vec<_>>(), "prefix {prefix:?}");
        }
    }
    let page = snapshot.page("/", 1, None).unwrap();
    let token: PageToken = page.next.unwrap().to_string().parse().unwrap();
    let rest = snapshot.page("/", 5, Some(&token)).unwrap();
    let rest: Vec<_> = rest.entries.iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!((page.entries.len(), rest), (1, vec!["/a/b".to_owned(), "/a/c/".to_owned()]));
}

#[test]
fn a_page_token_belongs_to_its_revision() {
    let store = Store::new();
    for (i, key) in ["a/1", "a/2", "b/1"].iter().enumerate() {
        store.add(pod(key, i as u64 + 1, &[])).unwrap();
    }
    let page = store.snapshot().page("", 2, None).map(|page| page.next.unwrap()).unwrap();
    let token: PageToken = page.to_string().parse().unwrap();
    assert_eq!(token, page);
    store.add(pod("b/0", 9, &[])).unwrap();
    let now = store.snapshot();
    assert!(matches!(now.page("", 2, Some(&token)), Err(PageError::Expired { .. })));
    let rest = now.page("", 5, Some(&token.at(now.revision()))).unwrap();
    let keys: Vec<_> = rest.entries.iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!(keys, ["b/0", "b/1"]);
    for bad in ["", "5", "x:a/b", "5:", "5:/a"] {
        assert_eq!(bad.parse::<PageToken>(), Err(PageError::Malformed(bad.to_owned())));
    }
}

/// Whoever goes on until there is no next page has seen everything: a page says that it is the last
/// one only if nothing is behind it.
#[test]
fn a_page_of_limit_0_says_what_is_behind_it() {
    let store = Store::new();
    for (i, key) in ["a/1", "a/2", "b/1"].iter().enumerate() {
        store.add(pod(key, i as u64 + 1, &[])).unwrap();
    }
    let snapshot = store.snapshot();
    for prefix in ["", "a/", "b", "c"] {
        let all: Vec<_> = snapshot.prefix(prefix).map(|(key, _)| key.to_string()).collect();
        let first = snapshot.page(prefix, 0, None).unwrap();
        assert_eq!(first.next.is_none(), first.remaining == 0, "prefix {prefix:?}");
        let mut listed: Vec<_> = first.entries.iter().map(|(key, _)| key.to_string()).collect();
        assert_eq!(listed.len() + first.remaining, all.len());
        let mut next = first.next;
        while let Some(token) = next {
            let page = snapshot.page(prefix, 1, Some(&token)).unwrap();
            assert_eq!(page.next.is_none(), page.remaining == 0);
            listed.extend(page.entries.iter().map(|(key, _)| key.to_string()));
            next = page.next;
        }
        assert_eq!(listed, all, "prefix {prefix:?}");
    }
    assert_eq!(Store::<Pod>::new().snapshot().page("", 0, None).unwrap().remaining, 0);
}
