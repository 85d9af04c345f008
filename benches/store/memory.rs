//! Bytes per object that a store adds to keys and values.

use std::sync::Arc;

use stats_alloc::Region;
use watchcache_benches::{Item, key};

use crate::ALLOCATOR;
use crate::contestants::{kube_runtime, watchcache};

const BAR: f64 = 96.0;

pub fn print(objects: usize) {
    println!("| memory at {objects} objects | bytes per object beyond key and value | bar | |");
    println!("|---|---|---|---|");

    // The key's text is in the object, and the store shares it.
    let values =
        bytes(objects, || (0..objects).map(|i| Arc::new(Item::new(i, 1))).collect::<Vec<_>>());
    let ours = bytes(objects, || watchcache::filled(objects)) - (values - POINTER);
    let verdict = if ours <= BAR { "pass" } else { "MISS" };
    println!("| {} | {ours:.1} | {BAR} | {verdict} |", watchcache::NAME);

    let indexed = bytes(objects, || watchcache::filled_by_node(objects)) - (values - POINTER);
    println!("| {}, with an index by node | {indexed:.1} | | |", watchcache::NAME);

    let values = bytes(objects, || {
        (0..objects).map(|i| Arc::new(kube_runtime::Item::new(i, 1))).collect::<Vec<_>>()
    });
    let theirs = bytes(objects, || kube_runtime::filled(objects)) - (values - POINTER);
    let text = key(0).as_str().len();
    println!("| {} | {:.1} | | |", kube_runtime::NAME, theirs - text as f64);
    println!();
    println!(
        "kube-runtime's figure is less the {text} bytes of text that its own copy of the key has."
    );
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
