//! Several reflectors into one cache.

use std::sync::Arc;
use std::time::Duration;

use watchcache::reflector::{Merge, Part, WatchEvent};
use watchcache::store::feed::WaitError;
use watchcache::{Batch, Change, Fifo, Listing, Reflector, Sink, Store};

use crate::common::Pod;
use crate::recording::{Plain, Recording, Told};
use crate::script::{Answer, End, Script, open, page, pod};

fn listing(version: u64, pods: &[(&str, u64)]) -> Listing<Pod> {
    let pods = pods.iter().map(|(key, version)| Pod::new(key, *version));
    Listing::new(pods, Some(version.to_string().into())).unwrap()
}

fn put(key: &str, version: u64) -> Batch<Pod> {
    let mut batch = Batch::new();
    batch.add(Pod::new(key, version)).unwrap();
    batch.set_resource_version(version.to_string().into());
    batch
}

fn delete(key: &str, version: u64) -> Batch<Pod> {
    let mut batch = Batch::new();
    batch.push(key, Change::Delete(Some(Arc::new(Pod::new(key, version))))).unwrap();
    batch.set_resource_version(version.to_string().into());
    batch
}

fn keys(store: &Store<Pod>) -> Vec<String> {
    let mut keys: Vec<_> = store.list().iter().map(|pod| pod.key.clone()).collect();
    keys.sort();
    keys
}

#[test]
fn the_first_list_is_one_of_everything_and_the_version_is_the_oldest() {
    let (store, fifo) = (Arc::new(Store::new()), Fifo::new());
    let [a, b] = Merge::new([store.clone()]).sink(fifo.clone()).parts();
    a.replace(&listing(7, &[("a/1", 1), ("a/2", 2)]));
    a.apply(&delete("a/2", 8));
    assert!(store.is_empty(), "half of it is nothing");
    b.replace(&listing(5, &[("b/1", 3)]));
    assert_eq!(keys(&store), ["a/1", "b/1"]);
    assert_eq!(store.resource_version().unwrap().as_str(), "5");
    a.apply(&put("a/3", 20));
    assert_eq!(store.resource_version().unwrap().as_str(), "5");
    b.apply(&put("b/2", 12));
    assert_eq!(store.resource_version().unwrap().as_str(), "12");
    let queued: Vec<_> = fifo.list().iter().map(|pod| pod.key.clone()).collect();
    assert_eq!(queued, ["a/1", "b/1", "a/3", "b/2"]);
}

#[test]
fn a_relist_of_one_part_tells_what_changed_in_it_and_leaves_the_others() {
    let (store, fifo) = (Arc::new(Store::new()), Fifo::new());
    let [a, b] = Merge::new([store.clone()]).sink(fifo.clone()).parts();
    a.replace(&listing(7, &[("a/1", 1), ("a/2", 2), ("a/3", 3)]));
    b.replace(&listing(7, &[("b/1", 4)]));
    while fifo.pop_timeout(std::time::Duration::ZERO).is_ok() {}
    a.replace(&listing(20, &[("a/1", 1), ("a/3", 15)]));
    assert_eq!(keys(&store), ["a/1", "a/3", "b/1"]);
    let queued: Vec<_> = fifo.list().iter().map(|pod| (pod.key.clone(), pod.version())).collect();
    assert_eq!(queued, [("a/3".to_owned(), 15)], "nobody is told of what is unchanged");
}

#[test]
fn a_key_goes_when_the_last_part_lets_go_of_it() {
    let store = Arc::new(Store::new());
    let [web, prod] = Merge::new([store.clone()]).parts();
    web.replace(&listing(7, &[("a/both", 1)]));
    prod.replace(&listing(7, &[("a/both", 1)]));
    // It left the first selection, and is told as deleted there.
    web.apply(&delete("a/both", 9));
    assert_eq!(keys(&store), ["a/both"]);
    prod.apply(&delete("a/both", 10));
    assert!(store.is_empty());
    prod.apply(&delete("a/unknown", 11));
    assert!(store.is_empty());
}

fn told(key: &str, version: u64) -> (String, Option<String>) {
    (key.to_owned(), Some(version.to_string()))
}

fn merged() -> (Recording, [Part<Pod>; 2]) {
    let recording = Recording::default();
    let parts = Merge::new([recording.clone()]).parts();
    (recording, parts)
}

/// The changes that were told, without those of batches that only moved the version.
fn changes(recording: &Recording) -> Vec<(String, Option<String>)> {
    let told = recording.take().into_iter().filter_map(|told| match told {
        Told::Batch(changes, _) => Some(changes),
        _ => None,
    });
    told.flatten().collect()
}

#[test]
fn the_newest_version_counts_whoever_brings_it_and_however_late() {
    let (recording, [a, b]) = merged();
    a.replace(&listing(5, &[("n/x", 5)]));
    a.apply(&put("n/x", 9));
    // A slow list, from before that.
    b.replace(&listing(6, &[("n/x", 6)]));
    let first = Told::Listing(vec![("n/x".into(), "9".into())], Some("6".into()));
    assert_eq!(recording.take(), [first]);
    b.apply(&put("n/x", 8));
    b.apply(&put("n/x", 9));
    assert_eq!(changes(&recording), []);
    b.apply(&put("n/x", 12));
    a.apply(&put("n/x", 12));
    a.replace(&listing(12, &[("n/x", 12)]));
    assert_eq!(changes(&recording), [told("n/x", 12)]);
    // A relist heals what the sinks were given, whatever the part held before.
    a.replace(&listing(20, &[("n/x", 19)]));
    assert_eq!(changes(&recording), [told("n/x", 19)]);
}

#[test]
fn what_is_gone_does_not_come_back_by_a_part_that_is_behind() {
    let (recording, [a, b]) = merged();
    a.replace(&listing(5, &[("n/x", 5)]));
    b.replace(&listing(5, &[]));
    recording.take();
    a.apply(&delete("n/x", 12));
    b.apply(&put("n/x", 8));
    assert_eq!(changes(&recording), [("n/x".to_owned(), None)], "it is from before");
    b.apply(&delete("n/x", 12));
    assert_eq!(changes(&recording), [], "nobody held it");
    b.apply(&put("n/x", 15));
    assert_eq!(changes(&recording), [told("n/x", 15)], "a new one");
}

#[test]
fn an_object_may_move_from_one_selection_to_another() {
    for a_first in [true, false] {
        let (recording, [a, b]) = merged();
        a.replace(&listing(5, &[("n/x", 5)]));
        b.replace(&listing(5, &[]));
        recording.take();
        // One change, told as a deletion here and as an addition there, at one version.
        if a_first {
            a.apply(&delete("n/x", 12));
            b.apply(&put("n/x", 12));
            assert_eq!(changes(&recording), [("n/x".to_owned(), None), told("n/x", 12)]);
        } else {
            b.apply(&put("n/x", 12));
            a.apply(&delete("n/x", 12));
            assert_eq!(changes(&recording), [told("n/x", 12)]);
        }
    }
    // The same, found by a relist, which does not tell when it left.
    let (recording, [a, b]) = merged();
    a.replace(&listing(5, &[("n/x", 5)]));
    b.replace(&listing(5, &[]));
    recording.take();
    a.replace(&listing(20, &[]));
    b.apply(&put("n/x", 12));
    assert_eq!(changes(&recording), [("n/x".to_owned(), None), told("n/x", 12)]);
}

#[test]
fn changes_of_a_batch_keep_their_order() {
    let (recording, [a, b]) = merged();
    a.replace(&listing(5, &[]));
    b.replace(&listing(5, &[]));
    recording.take();
    let mut batch = put("n/x", 6);
    batch.add(Pod::new("n/y", 7)).unwrap();
    batch.push("n/x", Change::Delete(Some(Arc::new(Pod::new("n/x", 8))))).unwrap();
    batch.add(Pod::new("n/x", 9)).unwrap();
    a.apply(&batch);
    let expected = [told("n/x", 6), told("n/y", 7), ("n/x".to_owned(), None), told("n/x", 9)];
    assert_eq!(changes(&recording), expected);
}

#[test]
fn a_resync_of_the_merged_store_makes_no_ghosts() {
    let store = Arc::new(Store::new());
    let recording = Recording::default();
    let [a, b] = Merge::new([store.clone()]).sink(recording.clone()).parts();
    a.replace(&listing(5, &[("a/1", 1)]));
    b.replace(&listing(5, &[("b/1", 2)]));
    recording.take();
    let mut all = Batch::new();
    for pod in store.list() {
        all.add(pod).unwrap();
    }
    a.resync(&all);
    assert_eq!(recording.take(), [Told::Resync(vec!["a/1".into()])]);
    b.apply(&delete("b/1", 6));
    assert_eq!(keys(&store), ["a/1"], "a never held it");
}

#[test]
fn of_what_waits_for_a_part_only_the_newest_is_kept() {
    let (recording, [a, b]) = merged();
    a.replace(&listing(5, &[]));
    let freed = Arc::new(Pod::new("n/x", 6));
    let mut batch = Batch::new();
    batch.add(Arc::clone(&freed)).unwrap();
    a.apply(&batch);
    drop(batch);
    assert!(Arc::strong_count(&freed) > 1);
    a.apply(&put("n/x", 7));
    assert_eq!(Arc::strong_count(&freed), 1, "it was superseded");
    a.apply(&put("n/y", 8));
    a.apply(&delete("n/y", 9));
    b.replace(&listing(9, &[]));
    let first = Told::Listing(vec![("n/x".into(), "7".into())], Some("9".into()));
    assert_eq!(recording.take(), [first]);
}

#[test]
fn a_part_that_is_dropped_lets_go_of_its_keys_and_of_the_version() {
    let (recording, [a, b]) = merged();
    a.replace(&listing(5, &[("a/1", 1), ("n/both", 2)]));
    b.replace(&listing(9, &[("b/1", 3), ("n/both", 2)]));
    recording.take();
    drop(a);
    let expected = Told::Batch(vec![("a/1".into(), None)], Some("9".into()));
    assert_eq!(recording.take(), [expected]);
    b.apply(&put("b/1", 11));
    assert_eq!(recording.take(), [Told::Batch(vec![told("b/1", 11)], Some("11".into()))]);
    // The last one leaves the content as it is.
    drop(b);
    assert_eq!(recording.take(), [Told::Ended(None)]);
}

#[test]
fn nobody_waits_for_a_part_that_is_gone() {
    let (recording, [a, b]) = merged();
    a.replace(&listing(5, &[("a/1", 1)]));
    assert!(recording.take().is_empty());
    drop(b);
    let first = Told::Listing(vec![("a/1".into(), "1".into())], Some("5".into()));
    assert_eq!(recording.take(), [first]);
}

#[test]
fn versions_without_an_order_are_taken_as_they_come() {
    let (recording, [a, b]) = merged();
    a.replace(&listing(5, &[("n/x", 500)]).unordered());
    b.replace(&listing(5, &[]).unordered());
    recording.take();
    let mut batch = put("n/x", 42);
    batch.set_unordered();
    a.apply(&batch);
    assert_eq!(changes(&recording), [told("n/x", 42)]);
    a.apply(&delete("n/x", 41));
    let mut batch = put("n/x", 3);
    batch.set_unordered();
    b.apply(&batch);
    assert_eq!(changes(&recording), [("n/x".to_owned(), None), told("n/x", 3)]);
    // A history that began anew.
    b.replace(&listing(2, &[("n/x", 1)]).unordered());
    assert_eq!(changes(&recording), [told("n/x", 1)]);
}

#[test]
fn merged_versions_have_an_order_if_those_of_each_part_have_one() {
    let Plain(store) = Plain::default();
    let [a, b] = Merge::new([Plain(store.clone())]).parts();
    a.replace(&listing(900, &[("n/x", 5)]));
    b.replace(&listing(50, &[("n/y", 7)]).unordered());
    let wait = |version: &str| store.wait_for_version(&version.into(), Some(Duration::ZERO));
    let unordered = |version: &str| Err(WaitError::Unordered(version.into()));
    assert_eq!(wait("7"), unordered("7"));
    a.apply(&put("n/x", 901));
    assert_eq!(wait("7"), unordered("7"));
    let mut again = Batch::new();
    again.add(Pod::new("n/x", 901)).unwrap();
    a.resync(&again);
    assert_eq!(wait("7"), unordered("7"));
    drop(b);
    assert_eq!(wait("901"), Ok(()));
    a.replace(&listing(800, &[("n/x", 5)]).starting_over());
    assert_eq!(wait("800"), Ok(()));
    assert_eq!(wait("801"), Err(WaitError::Timeout));
}

#[test]
fn what_a_new_history_lacks_may_come_back_in_it() {
    let (recording, [a, b]) = merged();
    a.replace(&listing(50, &[("n/x", 50)]));
    b.replace(&listing(20, &[]));
    recording.take();
    a.replace(&listing(30, &[]).unordered());
    a.apply(&put("n/x", 31));
    assert_eq!(changes(&recording), [("n/x".to_owned(), None), told("n/x", 31)]);
}

#[test]
fn what_waits_for_the_first_list_is_held_already() {
    let (_, [a, b]) = merged();
    a.replace(&listing(5, &[("n/x", 5)]));
    let held = |uid: &str, version: &str| a.held("n/x".into(), Some(uid), version).is_some();
    assert!(held("uid", "5"), "a deletion may carry that version");
    assert!(!held("other", "5") && !held("uid", "6"));
    assert_eq!(a.is_current("n/x".into(), "5"), Some(true));
    assert_eq!(b.is_current("n/x".into(), "5"), Some(false), "it is the other part's");
}

/// One part's history is set back. Another, which holds an older state of the key and is not affected,
/// will bring nothing more of it.
#[test]
fn what_only_a_lost_history_had_gives_way_to_what_another_part_holds() {
    let (recording, [unaffected, ahead]) = merged();
    unaffected.replace(&listing(40, &[("n/x", 31), ("n/y", 32), ("n/z", 33)]));
    ahead.replace(&listing(40, &[("n/x", 31), ("n/z", 33)]));
    ahead.apply(&put("n/x", 56));
    ahead.apply(&put("n/y", 57));
    ahead.apply(&delete("n/z", 58));
    recording.take();
    // Its newest state in the history that counts did not decode, say, or is not selected.
    ahead.replace(&listing(42, &[]).unordered());
    let mut fallen_back = changes(&recording);
    fallen_back.sort();
    assert_eq!(fallen_back, [told("n/x", 31), told("n/y", 32)]);
    // From here on versions count again.
    ahead.apply(&put("n/x", 30));
    assert_eq!(changes(&recording), []);
    unaffected.apply(&put("n/x", 45));
    assert_eq!(changes(&recording), [told("n/x", 45)]);
}

#[test]
fn of_what_several_parts_hold_the_newest_shows_again_and_what_still_counts_is_not_told_again() {
    let recording = Recording::default();
    let [ahead, old, new] = Merge::new([recording.clone()]).parts();
    ahead.replace(&listing(40, &[("n/x", 31), ("n/y", 34)]));
    old.replace(&listing(40, &[("n/x", 31), ("n/y", 34)]));
    new.replace(&listing(40, &[("n/x", 35)]));
    ahead.apply(&put("n/x", 56));
    recording.take();
    ahead.replace(&listing(41, &[]).unordered());
    assert_eq!(changes(&recording), [told("n/x", 35)]);
}

fn other(key: &str, version: u64) -> Pod {
    Pod::new(key, version).with_uid("other")
}

fn listing_of(version: u64, pods: impl IntoIterator<Item = Pod>) -> Listing<Pod> {
    Listing::new(pods, Some(version.to_string().into())).unwrap()
}

#[test]
fn in_a_list_another_uid_is_another_object_whatever_its_version() {
    let store = Arc::new(Store::new());
    let (recording, fifo) = (Recording::default(), Fifo::new());
    let merge = Merge::new([store.clone()]).sink(recording.clone()).sink(fifo.clone());
    let [a, b] = merge.parts();
    a.replace(&listing(50, &[("n/x", 50)]));
    b.replace(&listing(50, &[("n/x", 50)]));
    recording.take();
    a.replace(&listing_of(60, [other("n/x", 42)]));
    assert_eq!(changes(&recording), [("n/x".to_owned(), None), told("n/x", 42)]);
    let held = store.get("n/x").unwrap();
    assert_eq!((&*held.uid, held.version()), ("other", 42));
    assert_eq!(fifo.try_pop().unwrap().version(), 42);
    // What the other part has had to say of the one before, until it comes as far.
    b.apply(&put("n/x", 55));
    b.replace(&listing(58, &[("n/x", 55)]));
    b.apply(&delete("n/x", 59));
    b.replace(&listing_of(61, [other("n/x", 42)]));
    assert_eq!(changes(&recording), []);
    let mut newer = Batch::new();
    newer.add(other("n/x", 62)).unwrap();
    a.apply(&newer);
    assert_eq!(changes(&recording), [told("n/x", 62)]);
}

#[test]
fn a_slow_list_does_not_bring_another_object_back() {
    for waiting in [true, false] {
        let (recording, [a, b]) = merged();
        if !waiting {
            b.replace(&listing(5, &[]));
        }
        a.replace(&listing(5, &[]));
        a.apply(&put("n/x", 9));
        recording.take();
        b.replace(&listing_of(8, [other("n/x", 7)]));
        let content: Vec<Told> = recording.take();
        let first = Told::Listing(vec![("n/x".into(), "9".into())], Some("8".into()));
        let nothing = Told::Batch(vec![], Some("8".into()));
        assert_eq!(content, [if waiting { first } else { nothing }]);
    }
}

#[test]
fn another_object_of_a_list_shows_in_the_first_list_and_in_a_new_history() {
    let (recording, [a, b]) = merged();
    a.replace(&listing(50, &[("n/x", 50)]));
    a.replace(&listing_of(60, [other("n/x", 42)]));
    b.replace(&listing(60, &[]));
    let first = Told::Listing(vec![("n/x".into(), "42".into())], Some("60".into()));
    assert_eq!(recording.take(), [first]);
    // The history is set back to where it was there already.
    a.replace(&listing_of(45, [other("n/x", 42)]).unordered());
    let mut next = Batch::new();
    next.add(other("n/x", 46)).unwrap();
    a.apply(&next);
    assert_eq!(changes(&recording), [told("n/x", 46)]);
}

#[test]
fn a_part_may_bring_again_what_it_said_was_gone() {
    let again: [fn(&Part<Pod>); 2] =
        [|part| part.replace(&listing(30, &[("n/x", 5)])), |part| part.apply(&put("n/x", 5))];
    for again in again {
        let (recording, [a, b]) = merged();
        a.replace(&listing(5, &[("n/x", 5)]));
        b.replace(&listing(4, &[]));
        recording.take();
        a.replace(&listing(20, &[]));
        // One that is behind may not.
        b.apply(&put("n/x", 5));
        assert_eq!(changes(&recording), [("n/x".to_owned(), None)]);
        again(&a);
        assert_eq!(changes(&recording), [told("n/x", 5)]);
    }
}

#[test]
fn a_part_that_was_behind_brings_nothing_older_than_what_others_told() {
    let (recording, [a, b]) = merged();
    a.replace(&listing(5, &[("n/x", 5)]));
    b.replace(&listing(5, &[("n/x", 5)]));
    b.apply(&put("n/x", 9));
    b.apply(&delete("n/x", 12));
    recording.take();
    // What it holds is not what was told: it was deleted, and is there again, before that.
    a.apply(&delete("n/x", 6));
    a.apply(&put("n/x", 7));
    assert_eq!(changes(&recording), [("n/x".to_owned(), None)]);
}

/// What a part brought meanwhile was taken for older, or for gone.
#[test]
fn what_was_older_than_a_lost_history_counts_once_that_is_gone() {
    let (recording, [good, ahead]) = merged();
    for part in [&good, &ahead] {
        part.replace(&listing(40, &[("n/x", 31), ("n/y", 32)]));
    }
    ahead.apply(&put("n/x", 56));
    good.apply(&delete("n/y", 42));
    ahead.apply(&delete("n/y", 57));
    good.apply(&put("n/x", 43));
    good.apply(&put("n/y", 44));
    recording.take();
    ahead.replace(&listing(45, &[]).unordered());
    let mut told_now = changes(&recording);
    told_now.sort();
    assert_eq!(told_now, [told("n/x", 43), told("n/y", 44)]);
}

#[test]
fn parts_share_the_objects_that_they_hold_in_one_state() {
    let (_recording, [a, b]) = merged();
    let [first, second] = [(); 2].map(|()| Arc::new(Pod::new("n/x", 5)));
    a.replace(&Listing::new([Arc::clone(&first)], Some("5".into())).unwrap());
    b.replace(&Listing::new([Arc::clone(&second)], Some("5".into())).unwrap());
    assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (3, 1));
    a.apply(&put("n/x", 6));
    assert_eq!(Arc::strong_count(&first), 2, "one part is behind");
    b.apply(&put("n/x", 6));
    assert_eq!(Arc::strong_count(&first), 1);
}

/// One part's history is set back while another, which holds the key, too, has not come as far.
#[test]
fn what_only_a_lost_history_had_gives_way_to_whatever_comes() {
    type Case<'a> = (fn(&Part<Pod>), &'a [(&'a str, u64)]);
    let after: [Case<'_>; 4] = [
        (|late| late.apply(&put("n/x", 131)), &[("n/x", 131)]),
        (|late| late.apply(&delete("n/x", 60)), &[]),
        (
            |late| {
                late.apply(&delete("n/x", 60));
                late.apply(&put("n/x", 131));
            },
            &[("n/x", 131)],
        ),
        (|late| late.replace(&listing(140, &[("n/x", 50)])), &[("n/x", 50)]),
    ];
    for (after, expected) in after {
        let store = Arc::new(Store::new());
        let [late, early] = Merge::new([store.clone()]).parts();
        late.replace(&listing(58, &[("n/x", 50)]));
        early.replace(&listing(58, &[("n/x", 50)]));
        early.apply(&put("n/x", 135));
        early.replace(&listing(129, &[]).unordered());
        after(&late);
        let held: Vec<_> =
            store.list().iter().map(|pod| (pod.key.clone(), pod.version())).collect();
        let expected: Vec<_> = expected.iter().map(|(key, at)| ((*key).to_owned(), *at)).collect();
        assert_eq!(held, expected);
    }
}

fn held(store: &Store<Pod>) -> Vec<(String, u64)> {
    let mut held: Vec<_> =
        store.list().iter().map(|pod| (pod.key.clone(), pod.version())).collect();
    held.sort();
    held
}

#[test]
fn a_part_that_is_dropped_deletes_nothing_that_another_brings_late() {
    let expected = [("n/x".to_owned(), 19), ("n/y".to_owned(), 30)];
    let store = Arc::new(Store::new());
    let [a, b] = Merge::new([store.clone()]).parts();
    a.replace(&listing(10, &[]));
    b.replace(&listing(10, &[]));
    a.apply(&put("n/x", 19));
    drop(a);
    b.apply(&put("n/x", 19));
    b.apply(&put("n/y", 30));
    assert_eq!(held(&store), expected);

    // The same before the first list.
    let store = Arc::new(Store::new());
    let [a, b] = Merge::new([store.clone()]).parts();
    a.replace(&listing(20, &[("n/x", 19)]));
    drop(a);
    b.replace(&listing(30, &[("n/x", 19), ("n/y", 30)]));
    assert_eq!(held(&store), expected);
}

/// Another part still held an older state when it was dropped, so that what it brought stayed.
#[test]
fn what_a_part_that_was_dropped_brought_is_not_gone_by_the_list_of_another() {
    type Late = fn(&Part<Pod>);
    let late: [Late; 2] =
        [|part| part.apply(&put("n/x", 2)), |part| part.replace(&listing(2, &[("n/x", 2)]))];
    for late in late {
        let store = Arc::new(Store::new());
        let [a, b, dropped] = Merge::new([store.clone()]).parts();
        a.replace(&listing(1, &[("n/x", 1)]));
        b.replace(&listing(1, &[]));
        dropped.replace(&listing(1, &[]));
        // It moves from one selection to the two others.
        dropped.apply(&put("n/x", 2));
        drop(dropped);
        assert_eq!(held(&store), [("n/x".to_owned(), 2)]);
        // That it is not in this selection says nothing of the state at 2, which was never there.
        a.replace(&listing(3, &[]));
        assert_eq!(held(&store), []);
        late(&b);
        assert_eq!(held(&store), [("n/x".to_owned(), 2)]);
    }
}

/// As above, but what was brought is known to be over.
#[test]
fn what_a_part_let_go_of_before_it_was_dropped_is_gone_until_it_is_brought_again() {
    for again in [false, true] {
        let store = Arc::new(Store::new());
        let [a, b, dropped] = Merge::new([store.clone()]).parts();
        a.replace(&listing(1, &[("n/x", 1)]));
        b.replace(&listing(1, &[]));
        dropped.replace(&listing(1, &[]));
        dropped.apply(&put("n/x", 2));
        dropped.apply(&delete("n/x", 3));
        if again {
            dropped.replace(&listing(4, &[("n/x", 2)]));
        }
        drop(dropped);
        a.replace(&listing(5, &[]));
        assert_eq!(held(&store), []);
        // At 2 this part is from before the deletion.
        b.apply(&put("n/x", 2));
        let expected = if again { vec![("n/x".to_owned(), 2)] } else { vec![] };
        assert_eq!(held(&store), expected);
    }
}

#[test]
fn a_deletion_ends_what_a_part_that_was_dropped_brought_before_it() {
    let store = Arc::new(Store::new());
    let [a, b, dropped] = Merge::new([store.clone()]).parts();
    a.replace(&listing(1, &[("n/x", 1)]));
    b.replace(&listing(1, &[]));
    dropped.replace(&listing(1, &[]));
    dropped.apply(&put("n/x", 2));
    drop(dropped);
    a.apply(&delete("n/x", 3));
    b.apply(&put("n/x", 2));
    assert_eq!(held(&store), []);
}

#[test]
fn a_list_from_before_a_state_does_not_end_it() {
    for another_is_behind in [false, true] {
        let store = Arc::new(Store::new());
        let [a, b, dropped] = Merge::new([store.clone()]).parts();
        let before: &[(&str, u64)] = if another_is_behind { &[("n/x", 1)] } else { &[] };
        a.replace(&listing(1, before));
        b.replace(&listing(1, &[]));
        dropped.replace(&listing(1, &[]));
        dropped.apply(&put("n/x", 5));
        dropped.replace(&listing(4, &[]));
        drop(dropped);
        a.replace(&listing(6, &[]));
        assert_eq!(held(&store), []);
        b.apply(&put("n/x", 5));
        assert_eq!(held(&store), [("n/x".to_owned(), 5)]);
    }
}

/// The one that brought it no longer holds it when it, or another part, hears that the history was set back.
#[test]
fn what_no_part_holds_is_not_kept_from_a_lost_history() {
    type Going = fn(Part<Pod>) -> Option<Part<Pod>>;
    let goings: [Going; 2] = [
        |part| {
            part.apply(&delete("n/x", 57));
            Some(part)
        },
        |_| None,
    ];
    for going in goings {
        let (recording, [unaffected, ahead, other]) = {
            let recording = Recording::default();
            (recording.clone(), Merge::new([recording]).parts())
        };
        unaffected.replace(&listing(40, &[("n/x", 31)]));
        ahead.replace(&listing(40, &[("n/x", 31)]));
        other.replace(&listing(40, &[]));
        ahead.apply(&put("n/x", 56));
        let ahead = going(ahead);
        recording.take();
        ahead.as_ref().unwrap_or(&other).replace(&listing(42, &[]).unordered());
        assert_eq!(changes(&recording), [told("n/x", 31)]);
        other.replace(&listing(42, &[]).unordered());
        assert_eq!(changes(&recording), [], "nothing more is lost");
    }
}

#[test]
fn a_part_holds_what_it_brought_whatever_others_told_since() {
    let [a, b] = Merge::new([Arc::new(Store::new())]).parts();
    a.replace(&listing(10, &[("n/x", 6)]));
    b.replace(&listing(10, &[]));
    b.apply(&put("n/x", 20));
    assert!(a.held("n/x".into(), Some("uid"), "6").is_some());
    assert_eq!(a.is_current("n/x".into(), "6"), Some(true));
    assert!(a.held("n/x".into(), Some("uid"), "20").is_none());
    // Nor does it take a sink that answers.
    let [a, b] = Merge::new([Fifo::<Pod>::new()]).parts();
    a.replace(&listing(10, &[("n/x", 6)]));
    b.replace(&listing(10, &[]));
    assert!(a.held("n/x".into(), Some("uid"), "6").is_some());
    assert!(b.held("n/x".into(), Some("uid"), "6").is_none());
}

/// A deletion in the version that is held, of an object that another part holds in a newer one.
#[tokio::test(start_paused = true)]
async fn a_part_lets_go_by_the_version_that_it_holds() {
    let source = |version, first: &[(&str, u64)], after, events| {
        let quiet = Answer::Watch(Ok(vec![]), End::ClosesAfter(Duration::from_secs(after)));
        Script::new([page(version, None, first), quiet, open(events)])
    };
    let store = Arc::new(Store::new());
    let [a, b] = Merge::new([store.clone()]).parts();
    // It leaves a's selection at 12, which a is told with the version before; b has it at 12.
    let one = source(10, &[("n/x", 6)], 10, vec![WatchEvent::Deleted(pod("n/x", 6))]);
    let two = source(12, &[("n/x", 12)], 20, vec![WatchEvent::Deleted(pod("n/x", 13))]);
    let a = Reflector::builder(one).sink(a).build();
    let b = Reflector::builder(two).sink(b).build();
    let stop = || tokio::time::sleep(Duration::from_secs(50));
    let look = async {
        tokio::time::sleep(Duration::from_secs(40)).await;
        held(&store)
    };
    let (held, ..) = tokio::join!(look, a.run(stop()), b.run(stop()));
    assert_eq!(held, []);
}

#[test]
fn a_first_list_without_an_order_leaves_no_ghost_in_a_store_that_held_something() {
    let store = Arc::new(Store::new());
    store.replace(&listing(1000, &[("n/x", 900), ("n/gone", 950)]));
    let [a, b] = Merge::new([store.clone()]).parts();
    a.replace(&listing(20, &[("n/x", 7)]).unordered());
    b.replace(&listing(20, &[]));
    assert_eq!(held(&store), [("n/x".to_owned(), 7)]);
}

#[test]
fn what_a_newer_list_names_is_there_again() {
    for with_last in [false, true] {
        let (recording, [a, b]) = merged();
        a.replace(&listing(50, &[("n/x", 50)]));
        b.replace(&listing(40, &[]));
        // It left a's selection, at a version that the deletion need not tell.
        let mut gone = if with_last { delete("n/x", 50) } else { Batch::new() };
        if !with_last {
            gone.push("n/x", Change::Delete(None)).unwrap();
        }
        gone.set_resource_version("60".into());
        a.apply(&gone);
        recording.take();
        b.replace(&listing(55, &[("n/x", 50)]));
        assert_eq!(changes(&recording), [], "that may be from before");
        b.replace(&listing(70, &[("n/x", 50)]));
        assert_eq!(changes(&recording), [told("n/x", 50)]);
    }
    // The part that let go last held an older state than was told.
    let store = Arc::new(Store::new());
    let [a, b, late] = Merge::new([store.clone()]).parts();
    a.replace(&listing(50, &[("n/x", 50)]));
    b.replace(&listing(50, &[]));
    late.replace(&listing(40, &[]));
    b.apply(&put("n/x", 60));
    b.replace(&listing(65, &[]));
    a.replace(&listing(100, &[]));
    assert_eq!(held(&store), []);
    b.replace(&listing(90, &[("n/x", 60)]));
    assert_eq!(held(&store), [], "of before it was gone");
    b.replace(&listing(110, &[("n/x", 60)]));
    assert_eq!(held(&store), [("n/x".to_owned(), 60)]);
}

#[test]
fn a_list_that_names_the_same_state_confirms_it() {
    let store = Arc::new(Store::new());
    let [a, b] = Merge::new([store.clone()]).parts();
    a.replace(&listing(100, &[("n/x", 50)]));
    b.replace(&listing(90, &[]));
    a.replace(&listing(120, &[("n/x", 50)]));
    // A slow list, of another object of that name, which was there before.
    let other = Pod::new("n/x", 40).with_uid("before");
    b.replace(&Listing::new([other], Some("110".into())).unwrap());
    assert_eq!(held(&store), [("n/x".to_owned(), 50)]);
}

/// Slow to take what has this key.
struct Slow;

impl Sink<Pod> for Slow {
    fn apply(&self, batch: &Batch<Pod>) {
        if batch.changes().any(|(key, _)| key.name() == "slow") {
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    fn replace(&self, _: &Listing<Pod>) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_deletion_is_not_believed_while_another_part_feeds_the_sinks() {
    let store = Arc::new(Store::new());
    let [a, b] = Merge::new([store.clone()]).sink(Slow).parts();
    // Deleted at 5, and there again since 8.
    let gone = WatchEvent::Gone { key: "n/x".parse().unwrap(), version: "5".into() };
    let later = End::Every(Duration::from_millis(100));
    let source =
        Script::new([page(10, None, &[("n/x", 8)]), Answer::Watch(Ok(vec![Ok(gone)]), later)]);
    let reflector = Reflector::builder(source).sink(a).build();
    let monitor = reflector.monitor();
    b.replace(&listing(10, &[]));
    let stop = async {
        monitor.synced().await.unwrap();
        let other = tokio::task::spawn_blocking(move || {
            b.apply(&put("n/slow", 11));
            b
        });
        while monitor.progress().stale_events + monitor.progress().events == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        other.await.unwrap()
    };
    reflector.run(async { drop(stop.await) }).await.unwrap();
    assert!(store.contains("n/x"));
    assert_eq!(monitor.progress().stale_events, 1);
}

/// Its text is the error's own code, which may panic.
#[test]
fn a_part_that_ends_by_an_error_without_a_text_has_ended() {
    #[derive(Debug)]
    struct Textless;

    impl std::fmt::Display for Textless {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("no text")
        }
    }

    impl std::error::Error for Textless {}

    let (recording, [a, b]) = merged();
    a.ended(Some(&Textless));
    b.ended(None);
    let told = recording.take();
    assert!(matches!(&told[..], [Told::Ended(Some(text))] if text.contains("no text")), "{told:?}");
}
