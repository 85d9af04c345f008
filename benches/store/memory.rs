//! Bytes per object that a store adds to keys and values.

use std::ops::Sub;
use std::sync::Arc;

use ::watchcache::store::Index;
use stats_alloc::Region;
use watchcache_benches::{Item, key};

use crate::ALLOCATOR;
use crate::contestants::{kube_runtime, watchcache};
use crate::figures::Figures;

const BAR: f64 = 100.0;

/// What glibc adds to an allocation that is not tiny: a word in front, and what makes it a multiple of two words.
const OVERHEAD_AT_MOST: f64 = 23.0;

pub fn print(smaller: usize, figures: &mut Figures) {
    println!(
        "| bytes per object beyond key and value | asked for | with malloc's own, at most | bar | |"
    );
    println!("|---|---|---|---|---|");
    for objects in [smaller, 10 * smaller] {
        let values = held(objects, || of_each(objects, |i| Arc::new(Item::new(i, 1))));
        let ours = held(objects, || watchcache::filled(objects)) - values;
        let verdict = if ours.at_most() <= BAR { "pass" } else { "MISS" };
        ours.print(watchcache::NAME, objects, &format!("{BAR} | {verdict}"));
        figures.set(&format!("bytes_per_object_at_{objects}"), ours.at_most());
        // The larger one is what stays.
        figures.set("bytes_per_object", ours.at_most());

        let indexed = held(objects, || watchcache::filled_by_node(objects)) - values;
        indexed.print("watchcache, with an index by node", objects, " | ");
    }
    let values = held(smaller, || of_each(smaller, |i| Arc::new(kube_runtime::Item::new(i, 1))));
    let theirs = held(smaller, || kube_runtime::filled(smaller)) - values;
    theirs.print(kube_runtime::NAME, smaller, " | ");
    println!(
        "\nEach figure is less the {} bytes of text that the store's own copy of the key has.",
        text()
    );
    println!();
    indexes(smaller);
}

/// What a named index adds, by how many objects have the same value, a text of 12 bytes.
fn indexes(objects: usize) {
    println!("| memory of a named index of {objects} objects | bytes per object |");
    println!("|---|---|");
    let without = held(objects, || watchcache::filled(objects)).bytes;
    for (values, alike) in
        [("100 values", objects / 100), ("10 objects a value", 10), ("a value each", 1)]
    {
        let value = move |item: &Item| format!("value-{:06}", item.number as usize / alike);
        let index = Index::new("value", move |item: &Item| [value(item)]);
        let with = held(objects, || watchcache::filled_by(objects, &index)).bytes;
        println!("| {values} | {:.1} |", with - without);
    }
}

fn of_each<T>(objects: usize, make: fn(usize) -> T) -> Vec<T> {
    (0..objects).map(make).collect()
}

/// What each store has of the key's text itself is the key, and not beyond it.
fn text() -> usize {
    key(0).as_str().len()
}

/// What is allocated, per object.
#[derive(Clone, Copy)]
struct Held {
    bytes: f64,
    allocations: f64,
}

impl Held {
    fn beyond_key(self) -> f64 {
        self.bytes - text() as f64
    }

    fn at_most(self) -> f64 {
        self.beyond_key() + OVERHEAD_AT_MOST * self.allocations
    }

    fn print(self, name: &str, objects: usize, rest: &str) {
        println!(
            "| {name}, {objects} objects | {:.1} | {:.1} | {rest} |",
            self.beyond_key(),
            self.at_most()
        );
    }
}

impl Sub for Held {
    type Output = Self;

    /// Without the values, each of which was in a vector.
    fn sub(self, values: Self) -> Self {
        Self {
            bytes: self.bytes - (values.bytes - size_of::<usize>() as f64),
            allocations: self.allocations - values.allocations,
        }
    }
}

/// What is still allocated when `made` is made.
fn held<T>(objects: usize, made: impl FnOnce() -> T) -> Held {
    let region = Region::new(ALLOCATOR);
    let held = made();
    let change = region.change();
    drop(held);
    let per_object = |more: usize, less: usize| (more as f64 - less as f64) / objects as f64;
    Held {
        bytes: per_object(change.bytes_allocated, change.bytes_deallocated),
        allocations: per_object(change.allocations, change.deallocations),
    }
}
