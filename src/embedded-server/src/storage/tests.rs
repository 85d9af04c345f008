use super::*;
use crate::resource::{self, NODES, PODS};
use serde_json::json;

fn content(name: &str) -> Content {
    let object = json!({"metadata": {"name": name, "namespace": "a"}});
    Content::new(&resource::builtins()[PODS.0], &object, Origin::Client)
}

/// Puts, or deletes where the name has a minus before it.
fn commit(storage: &Storage, names: &[&str]) {
    let items = names.iter().map(|name| {
        let (name, change) = match name.strip_prefix('-') {
            Some(name) => (name, Change::Delete),
            None => (*name, Change::Put(content(name))),
        };
        (PODS, key(Some("a"), name), change)
    });
    storage.commit(items, |change, _| Some(change));
}

fn names(storage: &Storage, version: u64) -> Result<Vec<String>, Compacted> {
    let query = Query { version: Some(version), ..Query::all(PODS, Some("a")) };
    let page = storage.list(&query, |_| true)?;
    Ok(page.entries.iter().map(|entry| format!("{}@{}", entry.name(), entry.version)).collect())
}

#[test]
fn lists_any_kept_version() {
    let storage = Storage::new(HistoryLimit::default());
    commit(&storage, &["x", "y", "-x", "y", "-absent", "x"]);
    assert_eq!(storage.version(), 5);
    assert_eq!(names(&storage, 2).expect("kept"), ["x@1", "y@2"]);
    assert_eq!(names(&storage, 3).expect("kept"), ["y@2"]);
    assert_eq!(names(&storage, 5).expect("kept"), ["x@5", "y@4"]);
    storage.compact(3);
    assert_eq!(names(&storage, 2), Err(Compacted { oldest: 3 }));
    assert_eq!(names(&storage, 3).expect("kept"), ["y@2"]);
    assert_eq!(names(&storage, 4).expect("kept"), ["y@4"]);
    storage.compact(99);
    assert_eq!(names(&storage, 5).expect("kept"), ["x@5", "y@4"]);
    assert!(storage.committed_at(4).is_none());
    assert!(storage.committed_at(5).is_some());
}

#[test]
fn keeps_only_as_many_changes_as_it_is_told_to() {
    let storage = Storage::new(HistoryLimit::changes(3));
    for _ in 0..10 {
        commit(&storage, &["x"]);
    }
    assert_eq!(storage.compacted(), 7);
    assert!(storage.events_since(PODS, 6, 9).is_err());
    let (events, cursor) = storage.events_since(PODS, 7, 2).expect("kept");
    assert_eq!((events.len(), cursor), (2, 9));
    // Nothing about nodes was dropped: their watches go on.
    assert!(storage.events_since(NODES, 0, 9).is_ok());
}

#[test]
fn keeps_only_as_many_bytes_as_it_is_told_to() {
    let bytes = 10_000;
    let storage = Storage::new(HistoryLimit { changes: usize::MAX, bytes });
    for round in 0..1_000 {
        commit(&storage, &["x", "y", "-y"]);
        let state = storage.read();
        let kept: usize = state.logs[PODS.0]
            .since(state.compacted, usize::MAX)
            .map_or(0, |(events, _)| events.iter().map(|event| event.bytes()).sum());
        assert_eq!(state.bytes, kept, "round {round}");
        assert!(kept <= bytes);
    }
    assert!(storage.compacted() > 2_900, "only {} are gone", storage.compacted());
    storage.compact(storage.version());
    assert_eq!(storage.read().bytes, 0);
}

#[test]
fn what_is_encoded_late_is_counted_and_encoded_once() {
    let bytes = 10_000;
    let storage = Storage::new(HistoryLimit { changes: usize::MAX, bytes });
    let definition = &resource::builtins()[PODS.0];
    for round in 0..1_000 {
        commit(&storage, &["x", "y", "-y", "z"]);
        let from = storage.version().saturating_sub(9).max(storage.compacted());
        let (events, _) = storage.events_since(PODS, from, 100).expect("kept");
        // The newest states, replaced ones, and such as have gone.
        let entries = events.iter().filter_map(|event| event.newest()).step_by(1 + round % 3);
        for entry in entries {
            let first = storage.message(definition, entry).expect("a Pod");
            let second = storage.message(definition, entry).expect("a Pod");
            assert!(Arc::ptr_eq(&first, &second));
        }
        let state = storage.read();
        let kept: usize = state.logs[PODS.0]
            .since(state.compacted, usize::MAX)
            .map_or(0, |(events, _)| events.iter().map(|event| event.bytes()).sum());
        assert_eq!(state.bytes, kept, "round {round}");
        assert!(kept <= bytes);
    }
    storage.compact(storage.version());
    assert_eq!(storage.read().bytes, 0);
}

#[test]
fn a_write_decided_on_an_old_state_changes_nothing() {
    let storage = Storage::new(HistoryLimit::default());
    let put = |expected| {
        storage.compare_and_commit(PODS, "a/x", expected, Change::Put(content("x"))).is_ok()
    };
    assert!(!put(Some(1)), "there is no such version");
    assert!(put(None));
    assert!(!put(None), "it is there already");
    assert!(put(Some(1)));
    assert!(!put(Some(1)), "that is not its newest version");
    assert_eq!(storage.version(), 2);
    let delete = |expected| storage.compare_and_commit(PODS, "a/x", expected, Change::Delete);
    assert!(delete(Some(1)).is_err());
    assert_eq!(delete(Some(2)).expect("the newest").version, 3);
    assert!(delete(None).is_err(), "nothing to delete");
}

#[test]
fn pages_say_how_many_are_left() {
    let storage = Storage::new(HistoryLimit::default());
    commit(&storage, &["a", "b", "c", "d", "e"]);
    let page = |start: Option<&str>, remaining| {
        let query = Query { start, limit: Some(2), remaining, ..Query::all(PODS, None) };
        storage.list(&query, |_| true).expect("kept")
    };
    let first = page(None, Remaining::Counted);
    assert_eq!((first.entries.len(), first.remaining, first.next.as_deref()), (2, 3, Some("a/c")));
    let second = page(Some("a/c"), Remaining::Known(3));
    assert_eq!((second.remaining, second.next.as_deref()), (1, Some("a/e")));
    let last = page(Some("a/e"), Remaining::Known(1));
    assert_eq!((last.entries.len(), last.remaining, last.next), (1, 0, None));
    assert_eq!(page(None, Remaining::Unasked).remaining, 0);
}
