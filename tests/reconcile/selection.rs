//! Which objects are reconciled, and which of their changes.

use watchcache::reconcile::Controller;

use crate::driven::Driven;
use crate::thing::{Log, Thing, gone, key, put, put_owned, store, there};

#[test]
fn only_what_is_selected_is_reconciled_whatever_leads_to_it() {
    let things = store(&[("a/odd", 1), ("a/even", 2), ("b/odd", 3), ("a/large", 101)]);
    let others = store(&[]);
    let log = Log::default();
    let reconcile = log.clone();
    let controller = Controller::new(&things)
        .namespace("a")
        .labels("app=odd".parse().unwrap())
        .filter(|thing| thing.value < 100)
        .watches(others.subscribe(), |other: &Thing| other.owner.clone());
    let queue = controller.queue().clone();
    let mut controller =
        Driven::new(controller.reconcile(move |thing| reconcile.clone().reconcile(thing)));
    controller.drive();
    assert_eq!(log.take(), [there("a/odd", 1)]);
    for (i, owner) in ["a/odd", "a/even", "b/odd", "a/large"].into_iter().enumerate() {
        put_owned(&others, &format!("a/{i}"), owner);
    }
    queue.add(key("a/even")).unwrap();
    controller.drive();
    assert_eq!(log.take(), [there("a/odd", 1)]);
    put(&things, "a/even", 7);
    put(&things, "a/odd", 8);
    controller.drive();
    assert_eq!(log.take(), [there("a/even", 7)]);
}

#[test]
fn what_has_no_namespace_is_selected_as_such() {
    let things = store(&[("node", 1), ("a/pod", 1)]);
    // The empty one is no other.
    for none in [None, Some("")] {
        let log = Log::default();
        let reconcile = log.clone();
        let controller = Controller::new(&things)
            .namespace(none)
            .reconcile(move |thing| reconcile.clone().reconcile(thing));
        Driven::new(controller).drive();
        assert_eq!(log.take(), [there("node", 1)]);
    }
}

#[test]
fn what_is_no_longer_selected_is_gone() {
    let things = store(&[("a/x", 1)]);
    let log = Log::default();
    let reconcile = log.clone();
    let controller = Controller::new(&things)
        .filter(|thing| thing.value % 2 == 1)
        .deletions()
        .reconcile(move |thing| reconcile.clone().reconcile(thing));
    let mut controller = Driven::new(controller);
    controller.drive();
    log.take();
    put(&things, "a/x", 3);
    put(&things, "a/x", 4);
    controller.drive();
    assert_eq!(log.take(), [gone("a/x", 3)], "with the last state in which it was");
    put(&things, "a/x", 6);
    controller.drive();
    assert_eq!(log.take(), []);
    put(&things, "a/x", 7);
    controller.drive();
    assert_eq!(log.take(), [there("a/x", 7)]);
}

#[test]
fn only_changes_of_a_part_lead_to_a_reconcile() {
    let things = store(&[("a/x", 10)]);
    let log = Log::default();
    let reconcile = log.clone();
    let controller = Controller::new(&things)
        .changes_of(|thing| thing.value / 10)
        .reconcile(move |thing| reconcile.clone().reconcile(thing));
    let mut controller = Driven::new(controller);
    controller.drive();
    log.take();
    put(&things, "a/x", 11);
    controller.drive();
    assert_eq!(log.take(), []);
    put(&things, "a/x", 22);
    controller.drive();
    assert_eq!(log.take(), [there("a/x", 22)]);
    put(&things, "a/y", 1);
    controller.drive();
    assert_eq!(log.take(), [there("a/y", 1)]);
}

#[test]
fn a_filter_that_panics_holds_of_nothing() {
    let things = store(&[("a/bad", 13), ("a/good", 1)]);
    let log = Log::default();
    let reconcile = log.clone();
    let controller = Controller::new(&things).filter(|thing| {
        assert_ne!(thing.value, 13, "unlucky");
        true
    });
    let queue = controller.queue().clone();
    let mut controller =
        Driven::new(controller.reconcile(move |thing| reconcile.clone().reconcile(thing)));
    queue.add(key("a/bad")).unwrap();
    controller.drive();
    assert_eq!(log.take(), [there("a/good", 1)]);
}
