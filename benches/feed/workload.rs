//! A store, and batches of 64 changes without end.

use std::hint::black_box;

use watchcache::store::{Delivery, FeedLimits};
use watchcache::{Batch, Listing, ResourceVersion, Store};
use watchcache_benches::{Item, shuffled};

pub const BATCH: usize = 64;

pub fn filled(objects: usize, limits: FeedLimits) -> Store<Item> {
    let store = Store::builder().feed(limits).build();
    let listing = Listing::new((0..objects).map(|i| Item::new(i, 0)), None::<ResourceVersion>);
    store.replace(&listing.expect("keys are valid"));
    store
}

/// Updates of all objects in random order, one after the other and then again. They have no version,
/// so each counts; and they are there twice, as one that is the newest already would not.
pub struct Updates {
    batches: Vec<Batch<Item>>,
    given: usize,
}

impl Updates {
    pub fn new(objects: usize, size: usize) -> Self {
        let order = shuffled(objects);
        let batches = [&order, &order].into_iter().flat_map(|order| order.chunks(size));
        let batches = batches.map(|chunk| {
            let mut batch = Batch::new();
            for i in chunk {
                batch.add(Item::new(*i, 0)).expect("keys are valid");
            }
            batch
        });
        Self { batches: batches.collect(), given: 0 }
    }

    pub fn next_batch(&mut self) -> &Batch<Item> {
        self.given += 1;
        &self.batches[self.given % self.batches.len()]
    }
}

/// Looks at each change, by key, old and new; returns how many there are.
pub fn look(delivery: &Delivery<'_, Item>) -> usize {
    let mut seen = 0;
    for change in delivery {
        let sum = [change.old, change.new].into_iter().flatten().map(|of| of.body[0]).sum::<u64>();
        black_box((change.key.name().len(), sum));
        seen += 1;
    }
    seen
}
