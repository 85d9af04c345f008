//! What other stores lead to.

use watchcache::reconcile::Controller;
use watchcache::{Key, Store};

use crate::driven::Driven;
use crate::thing::{Log, Seen, Thing, key, put, put_owned, store, there};

fn owner(thing: &Thing) -> Option<Key> {
    assert_ne!(thing.value, 13, "unlucky");
    thing.owner.clone()
}

/// What comes of a write.
fn of(controller: &mut Driven, log: &Log, write: impl FnOnce()) -> Vec<Seen> {
    write();
    assert!(controller.drive().is_none());
    log.take()
}

#[test]
fn what_is_owned_leads_to_its_owner_before_and_after() {
    let owners = store(&[("a/1", 1), ("a/2", 2)]);
    let owned = store(&[]);
    let log = Log::default();
    let reconcile = log.clone();
    let controller = Controller::new(&owners)
        .watches(owned.subscribe(), owner)
        .reconcile(move |thing| reconcile.clone().reconcile(thing));
    let mut controller = Driven::new(controller);
    let both = [there("a/1", 1), there("a/2", 2)];
    assert_eq!(of(&mut controller, &log, || {}), both);

    let told = of(&mut controller, &log, || put_owned(&owned, "a/x", "a/1"));
    assert_eq!(told, [there("a/1", 1)]);
    let told = of(&mut controller, &log, || put_owned(&owned, "a/x", "a/2"));
    assert_eq!(told, both);
    let told = of(&mut controller, &log, || drop(owned.delete("a/x")));
    assert_eq!(told, [there("a/2", 2)], "by the last state");
    // Neither what belongs to nobody nor what belongs to somebody who is not there.
    let told = of(&mut controller, &log, || {
        put(&owned, "a/nobodys", 0);
        put_owned(&owned, "a/y", "a/3");
    });
    assert_eq!(told, []);
    let told = of(&mut controller, &log, || put(&owners, "a/3", 3));
    assert_eq!(told, [there("a/3", 3)]);
}

#[test]
fn any_number_of_stores_may_lead_to_any_number_of_keys() {
    let things = store(&[("a/1", 1), ("a/2", 2)]);
    let (settings, nodes) = (store(&[]), Store::<Thing>::new());
    nodes.mark_synced();
    let log = Log::default();
    let reconcile = log.clone();
    let all = things.clone();
    let controller = Controller::new(&things)
        .watches(settings.subscribe(), move |_: &Thing| {
            all.snapshot().keys().filter_map(|key| key.to_key().ok()).collect::<Vec<_>>()
        })
        .watches(nodes.subscribe().filter(|node: &Thing| node.value > 0), |_: &Thing| [key("a/1")])
        .reconcile(move |thing| reconcile.clone().reconcile(thing));
    let mut controller = Driven::new(controller);
    of(&mut controller, &log, || {});
    let told = of(&mut controller, &log, || put(&settings, "a/global", 1));
    assert_eq!(told, [there("a/1", 1), there("a/2", 2)]);
    assert_eq!(of(&mut controller, &log, || put(&nodes, "n/1", 0)), []);
    assert_eq!(of(&mut controller, &log, || put(&nodes, "n/1", 1)), [there("a/1", 1)]);
}

#[test]
fn a_mapping_that_panics_loses_only_its_own() {
    let owners = store(&[("a/1", 1)]);
    let owned = store(&[("a/bad", 13)]);
    let log = Log::default();
    let reconcile = log.clone();
    let controller = Controller::new(&owners)
        .watches(owned.subscribe(), owner)
        .reconcile(move |thing| reconcile.clone().reconcile(thing));
    let mut controller = Driven::new(controller);
    assert_eq!(of(&mut controller, &log, || {}), [there("a/1", 1)]);
    let told = of(&mut controller, &log, || put_owned(&owned, "a/good", "a/1"));
    assert_eq!(told, [there("a/1", 1)]);
    // It comes right, although what it was still leads nowhere.
    let told = of(&mut controller, &log, || put_owned(&owned, "a/bad", "a/1"));
    assert_eq!(told, [there("a/1", 1)]);
}
