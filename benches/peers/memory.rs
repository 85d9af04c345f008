//! What a named index of a store takes, which `main.rs` prints among its cases: a program of its own, as an allocator
//! that counts would slow the others down.
#![allow(missing_docs)]

#[allow(dead_code)]
mod item;

use std::alloc::System;

use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use watchcache::store::Index;
use watchcache::{Listing, ResourceVersion, Store};

use crate::item::{Item, item};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Lends an item's value.
type Value = fn(&Item) -> &str;

fn main() {
    let objects = std::env::args().nth(1).and_then(|text| text.parse().ok()).expect("objects");
    let without = bytes(objects, None);
    let values: [(&str, Value); 3] = [
        ("100 values", |item| item.key.namespace().expect("it is namespaced")),
        ("10 objects a value", |item| &item.owner),
        ("a value each", |item| item.key.name()),
    ];
    for (name, value) in values {
        let index = Index::lending("value", move |item: &Item, lend| lend(value(item)));
        let value = bytes(objects, Some(&index)) - without;
        let case = format!("memory of an index, {name}, per object");
        println!("{}", json!({ "case": case, "unit": "B", "value": value }));
    }
}

/// What a filled store takes, per object. An allocation costs some more than it has asked for: a word of the
/// allocator's, and on average as much again, as sizes are multiples of two words.
fn bytes(objects: usize, index: Option<&Index<Item, str>>) -> f64 {
    let region = Region::new(ALLOCATOR);
    let mut builder = Store::builder();
    if let Some(index) = index {
        builder = builder.index(index);
    }
    let store = builder.build();
    let items = (0..objects).map(|i| item(i, Some(1)));
    store.replace(&Listing::new(items, None::<ResourceVersion>).expect("keys are valid"));
    let change = region.change();
    drop(store);
    let live = |made: usize, freed: usize| made as f64 - freed as f64;
    let asked = live(change.bytes_allocated, change.bytes_deallocated);
    let allocations = live(change.allocations, change.deallocations);
    (asked + allocations * 2.0 * size_of::<usize>() as f64) / objects as f64
}
