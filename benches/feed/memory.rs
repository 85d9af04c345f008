//! What one stalled subscriber makes a store keep, however much is published and while the store itself
//! does not grow.

use std::collections::VecDeque;

use stats_alloc::Region;
use watchcache::store::{FeedLimits, Subscription};
use watchcache::{Batch, Key, Store};
use watchcache_benches::{Item, key};

use crate::ALLOCATOR;
use crate::readings::Readings;
use crate::workload::{BATCH, filled, look};

const MIB: f64 = (1 << 20) as f64;
/// Of the limits in bytes.
const LOG: usize = 4 << 20;
const BEHIND: usize = 16 << 20;

pub fn measure(readings: &mut Readings) {
    let (objects, changes) = if readings.test { (1_000, 20_000) } else { (100_000, 10_000_000) };
    let default = FeedLimits::default();
    let small = FeedLimits::default().log(usize::MAX, LOG).behind(usize::MAX, BEHIND);
    readings.table(&format!(
        "Kept for one stalled subscriber of {objects} objects, at most, in {changes} changes"
    ));
    let default_limit = ((64 << 20) + (256 << 20)) as f64 / MIB;
    let small_limit = (LOG + BEHIND) as f64 / MIB;
    let cases: [(&str, FeedLimits, f64, Make); 4] = [
        ("updates, default limits", default, default_limit, Cycle::boxed),
        ("updates, 20 MiB", small, small_limit, Cycle::boxed),
        ("half deletions, half new keys, default limits", default, default_limit, Churn::boxed),
        ("half deletions, half new keys, 20 MiB", small, small_limit, Churn::boxed),
    ];
    for (name, limits, limit, writes) in cases {
        let kept = kept(objects, changes, limits, writes);
        readings.add(name, "MiB", kept.most / MIB, limit);
        let figure = format!("{name}: by the store's own count");
        readings.add(&figure, "MiB", kept.counted / MIB, limit);
        let figure = format!("{name}: deliveries that catch up, the first {}", kept.told);
        readings.add(&figure, "", kept.deliveries as f64, None);
    }
}

struct Kept {
    /// In bytes, beyond the same without a subscriber.
    most: f64,
    /// As the store's statistics have it.
    counted: f64,
    told: String,
    deliveries: usize,
}

fn kept(objects: usize, changes: usize, limits: FeedLimits, writes: Make) -> Kept {
    let store = filled(objects, limits);
    let mut writes = writes(objects);
    let region = Region::new(ALLOCATOR);
    let live = || {
        let change = region.change();
        change.bytes_allocated as f64 - change.bytes_deallocated as f64
    };
    // What it takes without a subscriber.
    let mut without = f64::MIN;
    for _ in 0..(changes / BATCH / 10) {
        writes.write(&store);
        without = without.max(live());
    }
    let mut subscription = store.subscribe().start().expect("no snapshot is another store's");
    let (mut most, mut counted) = (f64::MIN, 0_f64);
    for round in 0..changes / BATCH {
        writes.write(&store);
        most = most.max(live());
        if round % 256 == 0 {
            let feed = store.stats().feed;
            counted = counted.max((feed.log_bytes + feed.behind_bytes) as f64);
        }
    }
    let (told, deliveries) = told(&mut subscription);
    Kept { most: most - without, counted, told, deliveries }
}

/// How a stalled subscriber catches up.
fn told(subscription: &mut Subscription<Item>) -> (String, usize) {
    let (mut first, mut deliveries) = (String::new(), 0);
    while let Ok(delivery) = subscription.try_next() {
        if deliveries == 0 {
            first = format!("{:?} of {}", delivery.kind(), look(&delivery));
        }
        deliveries += 1;
    }
    (first, deliveries)
}

/// Writes without end that leave the store's size as it is.
trait Writes {
    fn write(&mut self, store: &Store<Item>);
}

type Make = fn(usize) -> Box<dyn Writes>;

/// Updates. Each object is made when it is written: what is kept is then kept by the feed alone.
struct Cycle {
    objects: usize,
    next: usize,
}

impl Cycle {
    fn boxed(objects: usize) -> Box<dyn Writes> {
        Box::new(Self { objects, next: 0 })
    }
}

impl Writes for Cycle {
    fn write(&mut self, store: &Store<Item>) {
        let mut batch = Batch::new();
        for _ in 0..BATCH {
            // Coprime to the number of objects: visits all.
            self.next = (self.next + 7_919) % self.objects;
            batch.add(Item::new(self.next, 0)).expect("keys are valid");
        }
        store.apply(&batch);
    }
}

/// The oldest go, new ones come.
struct Churn {
    held: VecDeque<Key>,
    next: usize,
}

impl Churn {
    fn boxed(objects: usize) -> Box<dyn Writes> {
        Box::new(Self { held: (0..objects).map(key).collect(), next: objects })
    }
}

impl Writes for Churn {
    fn write(&mut self, store: &Store<Item>) {
        let mut batch = Batch::new();
        for _ in 0..BATCH / 2 {
            if let Some(oldest) = self.held.pop_front() {
                batch.delete(&oldest);
            }
            let item = Item::new(self.next, 0);
            self.held.push_back(item.key.clone());
            self.next += 1;
            batch.add(item).expect("keys are valid");
        }
        store.apply(&batch);
    }
}
