//! Only what matters to a worker.

use std::sync::Arc;

use watchcache::reflector::ChangeFilter;
use watchcache::{Batch, Change, Listing, Sink, Store};

use crate::common::Pod;
use crate::recording::{Recording, Told};

fn batch(version: u64, changes: Vec<(&str, Option<Pod>)>) -> Batch<Pod> {
    let mut batch = Batch::new();
    for (key, pod) in changes {
        let change = pod.map_or(Change::Delete(None), |pod| Change::Add(Arc::new(pod)));
        batch.push(key, change).unwrap();
    }
    batch.set_resource_version(version.to_string().into());
    batch
}

/// The last digit of the version stands for what is not looked at.
fn filter(recording: &Recording) -> ChangeFilter<Pod, Recording> {
    ChangeFilter::new(recording.clone()).on(|pod: &Pod| {
        assert_ne!(pod.key, "a/panics", "an aspect that cannot be had");
        &pod.resource_version[..1]
    })
}

fn told(key: &str, version: u64) -> (String, Option<String>) {
    (key.to_owned(), Some(version.to_string()))
}

fn put(key: &str, version: u64) -> (&str, Option<Pod>) {
    (key, Some(Pod::new(key, version)))
}

#[test]
fn what_does_not_change_an_aspect_is_left_out_and_the_version_moves_on() {
    let recording = Recording::default();
    let filter = filter(&recording);
    let first = Listing::new([Pod::new("a/1", 10), Pod::new("a/2", 20)], Some("20".into()));
    filter.replace(&first.unwrap());
    assert!(matches!(&recording.take()[..], [Told::Listing(objects, _)] if objects.len() == 2));
    filter.apply(&batch(33, vec![put("a/1", 11), put("a/2", 31), put("a/3", 33)]));
    let expected = vec![told("a/2", 31), told("a/3", 33)];
    assert_eq!(recording.take(), [Told::Batch(expected, Some("33".into()))]);
    // Gone and there again, or another object of the key.
    let other = Pod::new("a/3", 35).with_uid("other");
    filter.apply(&batch(35, vec![("a/1", None), put("a/1", 12), ("a/3", Some(other))]));
    let expected = vec![("a/1".to_owned(), None), told("a/1", 12), told("a/3", 35)];
    assert_eq!(recording.take(), [Told::Batch(expected, Some("35".into()))]);
    // What cannot be compared passes.
    for _ in 0..2 {
        filter.apply(&batch(36, vec![put("a/panics", 36)]));
        let expected = vec![told("a/panics", 36)];
        assert_eq!(recording.take(), [Told::Batch(expected, Some("36".into()))]);
    }
}

#[test]
fn of_a_relist_only_what_changed_passes() {
    let recording = Recording::default();
    let filter = filter(&recording);
    let list = |pods: Vec<Pod>, version: &str| Listing::new(pods, Some(version.into())).unwrap();
    filter.replace(&list(vec![Pod::new("a/1", 10), Pod::new("a/2", 20)], "20"));
    recording.take();
    filter.replace(&list(vec![Pod::new("a/1", 15), Pod::new("a/3", 40)], "40"));
    let expected = vec![("a/2".to_owned(), None), told("a/3", 40)];
    assert_eq!(recording.take(), [Told::Batch(expected, Some("40".into()))]);
}

#[test]
fn a_resync_passes_whole_and_so_does_the_end() {
    let recording = Recording::default();
    let filter = filter(&recording);
    filter.apply(&batch(10, vec![put("a/1", 10)]));
    recording.take();
    filter.resync(&batch(10, vec![put("a/1", 10)]));
    filter.ended(None);
    assert_eq!(recording.take(), [Told::Resync(vec!["a/1".into()]), Told::Ended(None)]);
}

/// A sink that notes whether versions count.
#[derive(Default)]
struct Unordered(std::sync::Mutex<Vec<(bool, bool)>>);

impl Sink<Pod> for Unordered {
    fn apply(&self, batch: &Batch<Pod>) {
        self.0.lock().unwrap().push((batch.is_unordered(), batch.counts_as_it_stands()));
    }

    fn replace(&self, listing: &Listing<Pod>) {
        self.0.lock().unwrap().push((listing.is_unordered(), listing.counts_as_it_stands()));
    }
}

#[test]
fn that_versions_have_no_order_or_start_over_is_passed_on() {
    let sink = Arc::new(Unordered::default());
    let filter = ChangeFilter::new(sink.clone()).on(|pod: &Pod| &pod.uid);
    for unordered in [true, false] {
        let list = Listing::new([Pod::new("a/1", 10)], None).unwrap();
        filter.replace(&if unordered { list.unordered() } else { list });
        let mut changed = batch(11, vec![put("a/1", 11)]);
        if unordered {
            changed.set_unordered();
        }
        filter.apply(&changed);
    }
    filter.replace(&Listing::new([Pod::new("a/1", 12)], None).unwrap().unordered());
    filter.replace(&Listing::new([Pod::new("a/1", 13)], None).unwrap().starting_over());
    let (unordered, ordered, starting_over) = ((true, true), (false, false), (false, true));
    let told = [unordered, unordered, ordered, ordered, unordered, starting_over];
    assert_eq!(*sink.0.lock().unwrap(), told);
}

#[test]
fn another_object_of_a_list_reaches_a_store_whatever_its_version() {
    let store = Arc::new(Store::new());
    let filter = ChangeFilter::new(store.clone()).on(|pod: &Pod| &pod.key);
    filter.replace(&Listing::new([Pod::new("a/1", 50)], Some("50".into())).unwrap());
    let other = || Pod::new("a/1", 42).with_uid("other");
    for _ in 0..2 {
        filter.replace(&Listing::new([other()], Some("60".into())).unwrap());
        assert_eq!(store.get("a/1").map(|pod| pod.version()), Some(42));
    }
    filter.apply(&batch(61, vec![("a/1", None)]));
    assert!(store.is_empty());
}

#[test]
fn a_version_that_was_left_out_supersedes_the_one_that_the_sink_holds() {
    let store = Arc::new(Store::new());
    let filter = ChangeFilter::new(store.clone()).on(|pod: &Pod| &pod.uid);
    let current = |version| filter.is_current("a/1".into(), version);
    assert_eq!(current("10"), Some(false), "it was never there");
    filter.apply(&batch(10, vec![put("a/1", 10)]));
    assert_eq!((current("10"), current("11")), (Some(true), Some(false)));
    filter.apply(&batch(11, vec![put("a/1", 11)]));
    assert_eq!(store.get("a/1").unwrap().version(), 10, "nothing in it changed");
    assert_eq!((current("10"), current("11")), (Some(false), None));
    filter.apply(&batch(12, vec![("a/1", None)]));
    assert_eq!(current("11"), Some(false));
}
