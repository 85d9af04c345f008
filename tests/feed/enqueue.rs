//! Queues fed by a subscription: with objects, and with what they lead to.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use watchcache::fifo::{Backoff, Closed, ManualClock, Request};
use watchcache::store::FeedLimits;
use watchcache::store::feed::SubscribeError;
use watchcache::{Change, Fifo, Key, Object, Sink, Store};

use crate::common::canary::{Canary, Ledger, panicked};
use crate::common::watchdog::{sized, watched};
use crate::handlers::drive;
use crate::thing::{Thing, batch, listing, put};

fn keys<T: watchcache::Object>(fifo: &Fifo<T>) -> Vec<String> {
    let mut keys: Vec<_> = fifo.keys().iter().map(ToString::to_string).collect();
    keys.sort();
    keys
}

#[test]
fn objects_wait_while_they_match() {
    let store = Store::new();
    store.replace(&listing(&[("a/x", 1), ("a/y", 2)], None));
    let fifo = Fifo::new();
    let odd =
        store.subscribe().filter(|thing: &Thing| thing.value % 2 == 1).enqueue(&fifo).unwrap();
    let mut task = pin!(odd.run_async());
    drive(task.as_mut());
    assert_eq!(keys(&fifo), ["a/x"]);
    put(&store, "a/y", 3);
    put(&store, "a/x", 5);
    drive(task.as_mut());
    assert_eq!(keys(&fifo), ["a/x", "a/y"]);
    assert_eq!(fifo.get("a/x").map(|thing| thing.value), Some(5));
    put(&store, "a/x", 6);
    store.delete("a/y");
    drive(task.as_mut());
    assert!(fifo.is_empty());
}

#[test]
fn what_is_gone_comes_with_its_last_state() {
    // One that falls far behind knows it, too.
    for log in [4, 1000] {
        let limits = FeedLimits::default().log(log, usize::MAX).behind(log, usize::MAX);
        let store = Store::builder().feed(limits).build();
        store.replace(&listing(&[("a/deleted", 1), ("a/left", 3), ("a/unlisted", 5)], None));
        let fifo = Fifo::builder().deletions().build().unwrap();
        let odd = store.subscribe().filter(|thing: &Thing| thing.value % 2 == 1);
        let mut task = pin!(odd.enqueue(&fifo).unwrap().run_async());
        drive(task.as_mut());
        while let Ok(lease) = fifo.try_lease() {
            assert!(!lease.is_deleted());
            lease.done();
        }
        for value in 0..sized(100, 40) as u32 {
            put(&store, "b/other", value * 2);
        }
        store.delete("a/deleted");
        put(&store, "a/left", 4);
        store.replace(&listing(&[("a/left", 4)], None));
        drive(task.as_mut());
        let mut gone = Vec::new();
        while let Ok(lease) = fifo.try_lease() {
            assert!(lease.is_deleted());
            gone.push((lease.key().to_string(), lease.value));
            lease.done();
        }
        gone.sort();
        let expected = [("a/deleted", 1), ("a/left", 3), ("a/unlisted", 5)];
        assert_eq!(gone, expected.map(|(key, value)| (key.to_owned(), value)));
    }
}

/// With a key of another type, and the last state.
#[test]
fn what_a_change_means_may_be_a_deletion() {
    type Named = Request<u32, Arc<Thing>>;
    let named = |thing: &Arc<Thing>| {
        assert_ne!(thing.value, 66, "no name for that");
        Arc::new(Named::with_value(thing.value, thing.clone()).unwrap())
    };
    let store = Store::<Thing>::new();
    let fifo = Fifo::<Named>::builder().deletions().build().unwrap();
    let feeding = store.subscribe().enqueue_changes(&fifo, move |item| {
        assert!(item.old.or(item.new).is_some_and(|thing| item.key == thing.key()));
        let gone = item.old.map(|thing| Change::Delete(Some(named(&thing))));
        gone.into_iter().chain(item.new.map(|thing| Change::Add(named(&thing))))
    });
    let feeding = feeding.unwrap();
    let registration = feeding.registration();
    let mut task = pin!(feeding.run_async());
    let mut told = || {
        drive(task.as_mut());
        let leases = std::iter::from_fn(|| {
            let lease = fifo.try_lease().ok()?;
            let told = (*lease.target(), lease.value().key.clone(), lease.is_deleted());
            lease.done();
            Some(told)
        });
        let mut told: Vec<_> = leases.collect();
        told.sort();
        told
    };
    let (x, y) = (|| "a/x".to_owned(), || "a/y".to_owned());
    put(&store, "a/x", 1);
    assert_eq!(told(), [(1, x(), false)]);
    put(&store, "a/x", 2);
    assert_eq!(told(), [(1, x(), true), (2, x(), false)]);
    store.delete("a/x");
    assert_eq!(told(), [(2, x(), true)]);
    // One that fails takes nothing else along.
    store.apply(&batch(&[("a/x", Some(66)), ("a/y", Some(3))]));
    assert_eq!(told(), [(3, y(), false)]);
    assert_eq!(registration.panics(), 1);
}

/// It would be told of none, and remember each key for ever.
#[test]
fn a_queue_that_hands_out_deletions_is_not_fed_by_a_mapping() {
    let store = Store::<Thing>::new();
    let fifo = Fifo::<Key>::builder().deletions().build().unwrap();
    let refused = store.subscribe().enqueue_keys(&fifo).err();
    assert_eq!(refused, Some(SubscribeError::NeverDeleted));
    let owner = |thing: &Thing| Some(thing.key().to_key().unwrap());
    assert_eq!(store.subscribe().enqueue_mapped(&fifo, owner).err(), refused);
}

#[test]
fn each_change_leads_to_the_owners_before_and_after() {
    let store = Store::new();
    let fifo = Fifo::<Key>::new();
    let owner = |thing: &Thing| Key::namespaced("owners", &thing.value.to_string()).ok();
    let mut task = pin!(store.subscribe().enqueue_mapped(&fifo, owner).unwrap().run_async());
    let mut told = |store: &Store<Thing>, write: &dyn Fn(&Store<Thing>)| {
        write(store);
        drive(task.as_mut());
        let keys = keys(&fifo);
        while fifo.try_pop().is_ok() {}
        keys
    };
    assert_eq!(told(&store, &|store| put(store, "a/x", 1)), ["owners/1"]);
    assert_eq!(told(&store, &|store| put(store, "a/x", 2)), ["owners/1", "owners/2"]);
    // Of several things that one owner has, it is told once.
    let both =
        |store: &Store<Thing>| drop(store.replace(&listing(&[("a/x", 2), ("a/y", 2)], None)));
    assert_eq!(told(&store, &both), ["owners/2"]);
    assert_eq!(told(&store, &|store| drop(store.delete("a/x"))), ["owners/2"]);
    assert!(told(&store, &|store| store.mark_synced()).is_empty());
}

#[test]
fn a_mapping_that_panics_loses_only_its_own() {
    let store = Store::new();
    store.replace(&listing(&[("a/bad", 13), ("a/good", 1), ("a/nameless", 0)], None));
    let fifo = Fifo::<Key>::new();
    let leads_to = |thing: &Thing| {
        assert_ne!(thing.value, 13);
        Key::namespaced("owners", &thing.key.replace('/', "-"))
    };
    let handling = store.subscribe().enqueue_mapped(&fifo, leads_to).unwrap();
    let registration = handling.registration();
    drive(pin!(handling.run_async()).as_mut());
    assert_eq!(keys(&fifo), ["owners/a-good", "owners/a-nameless"]);
    assert_eq!(registration.panics(), 1);
    assert!(registration.is_synced());
}

#[test]
fn a_mapping_that_panics_on_the_state_before_loses_nothing_of_the_one_after() {
    let store = Store::new();
    let fifo = Fifo::<Key>::new();
    let leads_to = |thing: &Thing| {
        assert_ne!(thing.value, 13);
        Key::namespaced("owners", &thing.value.to_string())
    };
    let handling = store.subscribe().enqueue_mapped(&fifo, leads_to).unwrap();
    let registration = handling.registration();
    let mut task = pin!(handling.run_async());
    put(&store, "a/x", 13);
    drive(task.as_mut());
    put(&store, "a/x", 1);
    drive(task.as_mut());
    assert_eq!(keys(&fifo), ["owners/1"], "it is repaired");
    put(&store, "a/x", 13);
    drive(task.as_mut());
    assert_eq!(registration.panics(), 3);
}

#[test]
fn one_without_a_usable_key_keeps_no_other_from_being_queued() {
    let store = Store::new();
    let fifo = Fifo::<Thing>::new();
    let leads_to = |_: &Thing| ["a/good", "", "a/better"].map(|key| Thing::new(key, 1));
    let handling = store.subscribe().enqueue_mapped(&fifo, leads_to).unwrap();
    let registration = handling.registration();
    put(&store, "a/x", 1);
    drive(pin!(handling.run_async()).as_mut());
    assert_eq!(keys(&fifo), ["a/better", "a/good"]);
    assert_eq!(registration.panics(), 1);
    assert!(registration.last_panic().is_some_and(|text| text.contains("cannot be queued")));
}

/// What a mapping makes, the queue alone holds.
#[test]
fn a_delivery_is_applied_once_whatever_its_objects_destructors_do() {
    let ledger = Ledger::new();
    let store = Store::new();
    let fifo = Fifo::<Canary>::new();
    let makes = Arc::clone(&ledger);
    let leads_to = move |_: &Thing| [makes.canary("k").panics()];
    let mut task = pin!(store.subscribe().enqueue_mapped(&fifo, leads_to).unwrap().run_async());
    for value in 0..2 {
        put(&store, "a/x", value);
        drive(task.as_mut());
    }
    assert!(panicked(|| fifo.pop().unwrap()), "there is one, and it panics");
    store.mark_synced();
    drive(task.as_mut());
    assert!(fifo.is_empty(), "nothing has changed since it was handed out");
    // A closed queue drops all that comes.
    fifo.close();
    put(&store, "a/x", 2);
    put(&store, "a/x", 3);
    drive(task.as_mut());
    ledger.assert_all_dropped_once();
}

/// An update that is left out is the state before the next one, whatever was told.
#[test]
fn an_owner_that_is_left_is_queued_where_the_part_of_interest_has_owners() {
    let owner = |thing: &Thing| Key::namespaced("owners", &thing.value.to_string()).ok();
    for (has_owner, expected) in [(false, vec!["owners/12", "owners/2"]), (true, vec!["owners/1"])]
    {
        let store = Store::new();
        let fifo = Fifo::<Key>::new();
        let part = move |thing: &Thing| (thing.value / 10, has_owner.then_some(thing.value));
        let subscribe = store.subscribe().changes_of(part);
        let mut task = pin!(subscribe.enqueue_mapped(&fifo, owner).unwrap().run_async());
        put(&store, "a/x", 1);
        drive(task.as_mut());
        while fifo.try_pop().is_ok() {}
        for value in [2, 12] {
            put(&store, "a/x", value);
            drive(task.as_mut());
        }
        let keys = keys(&fifo);
        assert!(expected.iter().all(|owner| keys.iter().any(|key| key == owner)), "{keys:?}");
        assert_eq!(keys.iter().any(|key| key == "owners/1"), has_owner);
    }
}

#[test]
fn a_full_queue_loses_nothing_and_a_closed_one_ends_nothing() {
    let store = Store::new();
    let fifo = Fifo::<Thing>::builder().capacity(1).build().unwrap();
    let mut task = pin!(store.subscribe().enqueue(&fifo).unwrap().run_async());
    store.replace(&listing(&[("a/x", 1), ("a/y", 1), ("a/z", 1)], None));
    drive(task.as_mut());
    assert_eq!(fifo.len(), 3);
    fifo.close();
    put(&store, "a/x", 2);
    assert!(!drive(task.as_mut()));
    assert_eq!(fifo.get("a/x").map(|thing| thing.value), Some(1));
}

#[test]
fn several_stores_feed_one_queue_of_keys() {
    let (owners, owned) = (Store::new(), Store::new());
    let fifo = Fifo::<Key>::new();
    let itself = |thing: &Thing| thing.key.parse::<Key>();
    let owner = |thing: &Thing| Key::namespaced("a", &format!("owner-{}", thing.value));
    let mut first = pin!(owners.subscribe().enqueue_mapped(&fifo, itself).unwrap().run_async());
    let mut second = pin!(owned.subscribe().enqueue_mapped(&fifo, owner).unwrap().run_async());
    put(&owners, "a/owner-1", 0);
    put(&owned, "b/map", 1);
    drive(first.as_mut());
    drive(second.as_mut());
    assert_eq!(keys(&fifo), ["a/owner-1"], "one run for both");
    drop(owned);
    assert!(drive(second.as_mut()));
    assert!(!fifo.is_closed(), "the other one goes on");
}

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn what_is_assumed_and_forgotten_is_no_news_to_a_queue() {
    let (clock, second) = (ManualClock::new(), Duration::from_secs(1));
    let backoff = Backoff::new(second, 4 * second);
    let fifo = Fifo::builder().backoff(backoff).clock(&clock).deletions().build().unwrap();
    let store = Store::new();
    store.replace(&listing(&[("a/x", 1)], None));
    let unbound = store.subscribe().filter(|thing: &Thing| thing.value % 2 == 1);
    let mut task = pin!(unbound.enqueue(&fifo).unwrap().run_async());
    let mut told = || drive(task.as_mut());
    told();
    // A binding that fails, whether what was assumed is forgotten before or after.
    for (failures, wait) in (0..).zip([1, 2, 4, 4]) {
        let lease = fifo.try_lease().unwrap();
        assert_eq!(lease.failures(), failures);
        store.assume(Thing::new("a/x", 2), LONG).unwrap();
        told();
        if failures % 2 == 0 {
            store.forget("a/x");
            told();
            lease.retry();
        } else {
            lease.retry();
            store.forget("a/x");
            told();
        }
        clock.advance(wait * second - Duration::from_nanos(1));
        assert!(fifo.try_lease().is_err(), "it stays away for its back-off");
        clock.advance(Duration::from_nanos(1));
    }
    // One that succeeds, and what the source has to say of it.
    let lease = fifo.try_lease().unwrap();
    store.assume(Thing::new("a/x", 2), LONG).unwrap();
    told();
    lease.done();
    assert!(fifo.try_lease().is_err());
    put(&store, "a/x", 4);
    told();
    let gone = fifo.try_lease().unwrap();
    assert!(gone.is_deleted() && gone.value == 1);
}

#[test]
fn a_queue_ends_with_the_source_of_its_store() {
    watched(|| {
        let fed = |store: &Store<Thing>, fifo: &Fifo<Thing>| {
            store.subscribe().enqueue(fifo).unwrap().spawn().unwrap()
        };
        let refused = std::io::Error::other("things are forbidden");
        let (store, fifo) = (Store::new(), Fifo::new());
        let lasting = Fifo::builder().outlives_source().build().unwrap();
        let feeding = [fed(&store, &fifo), fed(&store, &lasting)];
        let waiting = std::thread::spawn({
            let fifo = fifo.clone();
            move || std::iter::from_fn(|| fifo.lease().ok().map(|lease| lease.done())).count()
        });
        put(&store, "a/x", 1);
        Sink::ended(&store, Some(&refused));
        assert_eq!(waiting.join().unwrap(), 1, "what was told before comes first");
        assert_eq!(fifo.source_error(), Some("things are forbidden"));
        assert_eq!(lasting.lease().map(|lease| lease.value), Ok(1));

        // Who comes later is told so, unless another source has taken over.
        let late = Fifo::new();
        let feeding_late = fed(&store, &late);
        assert_eq!(late.lease().map(|lease| lease.done()), Ok(()));
        assert_eq!(late.lease().err(), Some(Closed));
        Sink::replace(&store, &listing(&[("a/y", 1)], None));
        let later = Fifo::new();
        let feeding_later = fed(&store, &later);
        feeding_later.registration.wait_synced(None).unwrap();
        assert!(!later.is_closed() && !lasting.is_closed());
        Sink::ended(&store, None);
        assert_eq!(later.lease().map(|lease| lease.done()), Ok(()));
        assert_eq!(later.lease().err(), Some(Closed));
        assert_eq!(later.source_error(), None);
        drop(store);
        feeding.into_iter().for_each(|feeding| drop(feeding.join().unwrap()));
        drop((feeding_late.join().unwrap(), feeding_later.join().unwrap()));
    });
}

#[test]
fn a_source_whose_list_comes_as_a_batch_has_taken_over() {
    let store = Store::new();
    store.mark_synced();
    Sink::ended(&store, None);
    // As behind a filter that has seen a list before.
    Sink::apply_reporting(&store, &batch(&[("a/x", Some(1))]));
    let fifo = Fifo::new();
    let mut task = pin!(store.subscribe().enqueue(&fifo).unwrap().run_async());
    drive(task.as_mut());
    assert!(fifo.len() == 1 && !fifo.is_closed());
}

#[test]
fn the_keys_of_objects_come_for_what_is_gone_too() {
    let store = Store::new();
    let fifo = Fifo::<Key>::new();
    let mut task = pin!(store.subscribe().enqueue_keys(&fifo).unwrap().run_async());
    let mut told = || {
        drive(task.as_mut());
        let keys = keys(&fifo);
        while fifo.try_pop().is_ok() {}
        keys
    };
    put(&store, "a/x", 1);
    put(&store, "b", 1);
    assert_eq!(told(), ["a/x", "b"]);
    store.delete("a/x");
    put(&store, "b", 2);
    assert_eq!(told(), ["a/x", "b"]);
}

#[test]
fn whatever_has_a_text_can_be_a_key() {
    let fifo = Fifo::<Request<String, u32>>::new();
    let texts = ["apps/v1/Deployment/ns/web", "apps%2Fv1", "apps/v1", "%", "a b"];
    for (value, text) in (0..).zip(texts) {
        fifo.add(Request::with_value((*text).to_owned(), value).unwrap()).unwrap();
    }
    assert_eq!(fifo.len(), texts.len());
    for (value, text) in (0..).zip(texts) {
        let lease = fifo.lease().unwrap();
        assert_eq!((lease.target().as_str(), *lease.value()), (text, value));
        lease.done();
    }
    assert!(Request::new("").is_err());
    assert!(Request::new("x".repeat(1 << 20)).is_err());
    let request = Request::new("x".repeat(100)).unwrap();
    assert_eq!(request.size(), size_of_val(&request) + 100, "with its key's text");
}

#[test]
fn a_queue_of_keys_coalesces() {
    let fifo = Fifo::<Key>::new();
    let key: Key = "default/web".parse().unwrap();
    fifo.add(key.clone()).unwrap();
    fifo.add(key.clone()).unwrap();
    assert_eq!(*fifo.pop().unwrap(), key);
    assert!(fifo.is_empty());
}
