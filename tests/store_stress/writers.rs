//! What writes: a tide that fills and drains the whole store, a hot key, and single changes anywhere.

use watchcache::{Batch, Listing, Store};

use crate::item::{Item, name};
use crate::run::{KEYS, Random, Run};

/// The key that changes most.
pub(crate) const HOT: u64 = KEYS;

/// The key that is written when all else has been.
pub(crate) const LAST: u64 = KEYS + 1;

/// Fills the store up to all its keys, so that shards grow, and drains it to a few, so that whole
/// slabs empty, over and over; by batches, or by relists.
pub(crate) fn tide(run: &Run, store: &Store<Item>, mut random: Random) {
    let mut step = 0;
    while run.goes_on(step) {
        // An odd multiplier below a power of two would do; any order that differs each time does.
        let (start, stride) = (random.below(KEYS), [1, 7, 11, 13][random.index(4)]);
        let target = 1 + random.below(KEYS);
        if random.below(4) == 0 {
            let listed = (0..target).map(|i| Item::new((start + i * stride) % KEYS));
            store.replace(&Listing::new(listed, None).unwrap());
        }
        for fill in [true, false] {
            let mut done = 0;
            while done < target && run.goes_on(step) {
                let mut batch = Batch::new();
                for i in done..(done + 64).min(target) {
                    let key = (start + i * stride) % KEYS;
                    if fill {
                        batch.add(Item::new(key)).unwrap();
                    } else {
                        batch.delete(&name(key));
                    }
                }
                done += 64;
                step += 1;
                store.apply(&batch);
            }
        }
    }
}

/// Changes one key as often as it can: alone, several times in a batch, deleted and made anew.
pub(crate) fn hot(run: &Run, store: &Store<Item>, mut random: Random) {
    let mut step = 0;
    while run.goes_on(step) {
        step += 1;
        match random.below(16) {
            0 => drop(store.delete(&name(HOT))),
            1 => {
                let mut batch = Batch::new();
                for _ in 0..random.below(6) {
                    batch.add(Item::new(HOT)).unwrap();
                    if random.below(3) == 0 {
                        batch.delete(&name(HOT));
                    }
                }
                store.apply(&batch);
            }
            2 if random.below(64) == 0 => {
                let stats = store.stats();
                assert!(stats.objects <= KEYS as usize + 1, "{stats:?}");
            }
            _ => store.add(Item::new(HOT)).map(drop).unwrap(),
        }
    }
}

/// Single changes of any key, small batches, and small relists.
pub(crate) fn anywhere(run: &Run, store: &Store<Item>, mut random: Random) {
    let mut step = 0;
    while run.goes_on(step) {
        step += 1;
        match random.below(20) {
            0 if random.below(20) == 0 => {
                let items = (0..random.below(64)).map(|_| Item::new(random.below(KEYS)));
                let items: Vec<_> = items.collect();
                store.replace(&Listing::new(items, None).unwrap());
            }
            0..8 => {
                let mut batch = Batch::new();
                for _ in 0..random.below(12) {
                    let key = random.below(KEYS);
                    if random.below(3) == 0 {
                        batch.delete(&name(key));
                    } else {
                        batch.add(Item::new(key)).unwrap();
                    }
                }
                store.apply(&batch);
            }
            8..13 => drop(store.delete(&name(random.below(KEYS)))),
            13 => {
                let seen = store.get(&name(HOT));
                // Somebody else may have been faster.
                let _ = store.compare_and_update(seen.as_ref(), Item::new(HOT));
            }
            _ => store.add(Item::new(random.below(KEYS))).map(drop).unwrap(),
        }
    }
}
