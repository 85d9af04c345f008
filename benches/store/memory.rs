//! Bytes per object that a store adds to keys and values.

use std::sync::Arc;

use ::watchcache::store::Index;
use stats_alloc::Region;
use watchcache_benches::{Item, key};

use crate::ALLOCATOR;
use crate::contestants::{kube_runtime, watchcache};

const BAR: f64 = 96.0;

pub fn print(objects: usize) {
    println!("| memory at {objects} objects | bytes per object beyond key and value | bar | |");
    println!("|---|---|---|---|");

    // What each store has of the key's text itself is the key, and not beyond it.
    let text = key(0).as_str().len() as f64;
    let values =
        bytes(objects, || (0..objects).map(|i| Arc::new(Item::new(i, 1))).collect::<Vec<_>>());
    let ours = bytes(objects, || watchcache::filled(objects)) - (values - POINTER) - text;
    let verdict = if ours <= BAR { "pass" } else { "MISS" };
    println!("| {} | {ours:.1} | {BAR} | {verdict} |", watchcache::NAME);

    let values = bytes(objects, || {
        (0..objects).map(|i| Arc::new(kube_runtime::Item::new(i, 1))).collect::<Vec<_>>()
    });
    let theirs = bytes(objects, || kube_runtime::filled(objects)) - (values - POINTER);
    println!("| {} | {:.1} | | |", kube_runtime::NAME, theirs - text);
    println!();
    println!(
        "Each figure is less the {text} bytes of text that the store's own copy of the key has."
    );
    println!();
    indexes(objects);
}

/// What a named index adds, by how many objects have the same value, a text of 12 bytes.
fn indexes(objects: usize) {
    println!("| memory of a named index of {objects} objects | bytes per object |");
    println!("|---|---|");
    let without = bytes(objects, || watchcache::filled(objects));
    for (values, alike) in
        [("100 values", objects / 100), ("10 objects a value", 10), ("a value each", 1)]
    {
        let value = move |item: &Item| format!("value-{:06}", item.number as usize / alike);
        let index = Index::new("value", move |item: &Item| [value(item)]);
        let with = bytes(objects, || watchcache::filled_by(objects, &index));
        println!("| {values} | {:.1} |", with - without);
    }
}

/// Of the vector that holds a value alone.
const POINTER: f64 = size_of::<usize>() as f64;

/// What is still allocated when `made` is made, per object.
fn bytes<T>(objects: usize, made: impl FnOnce() -> T) -> f64 {
    let region = Region::new(ALLOCATOR);
    let held = made();
    let change = region.change();
    drop(held);
    let live = change.bytes_allocated as i128 - change.bytes_deallocated as i128;
    live as f64 / objects as f64
}
