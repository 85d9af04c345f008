//! What reads: pins, snapshots of every age, and threads that end.

use std::cell::RefCell;
use std::sync::Mutex;

use watchcache::{Snapshot, Store};

use crate::item::{BY_NUMBER, BY_PARITY, Item, name};
use crate::run::{KEPT, KEYS, Random, Run};
use crate::writers::HOT;

pub(crate) fn verify(snapshot: &Snapshot<Item>) {
    let (mut walked, mut sum) = (0, 0);
    for (key, item) in snapshot {
        item.verify();
        assert_eq!(key, item.key.as_ref());
        let found = snapshot.by(&BY_NUMBER, &item.number).objects();
        assert!(
            found.map(|item| item.number).eq([item.number]),
            "an index is not of the snapshot's revision"
        );
        walked += 1;
        sum += item.number;
    }
    let objects = snapshot.objects().inspect(|item| item.verify()).map(|item| item.number);
    assert_eq!(objects.sum::<u64>(), sum, "two walks over one snapshot differ");
    assert_eq!(walked, snapshot.len(), "a walk is not of the snapshot's revision");
    assert_eq!(snapshot.prefix("").inspect(|(_, item)| item.verify()).count(), walked);
    for index in [&BY_PARITY, &BY_NUMBER] {
        let indexed: usize = snapshot.groups(index, ..).map(|(_, items)| items.len()).sum();
        assert_eq!(indexed, walked, "an index is not of the snapshot's revision");
    }
    for parity in [0, 1] {
        for (_, item) in snapshot.by(&BY_PARITY, &parity) {
            item.verify();
            assert_eq!(item.number % 2, parity);
        }
        let objects = snapshot.by(&BY_PARITY, &parity).objects();
        let numbers = objects.inspect(|item| item.verify()).map(|item| item.number);
        let entries = snapshot.by(&BY_PARITY, &parity);
        assert!(numbers.eq(entries.map(|(_, item)| item.number)), "two looks at a value differ");
    }
}

/// The difference of two snapshots turns the older one's content into the newer one's.
fn verify_difference(older: &Snapshot<Item>, newer: &Snapshot<Item>) {
    let (older, newer) =
        if older.revision() <= newer.revision() { (older, newer) } else { (newer, older) };
    let diff = newer.diff(older).unwrap();
    let grown = newer.len() as isize - older.len() as isize;
    let told = diff.added.len() as isize - diff.deleted.len() as isize;
    assert_eq!(told, grown, "a difference does not add up");
    for (key, item) in &diff.added {
        item.verify();
        assert!(older.get(*key).is_none(), "added, and was there");
    }
    for (key, item) in &diff.deleted {
        item.verify();
        assert!(newer.get(*key).is_none(), "deleted, and is there");
    }
    for updated in &diff.updated {
        assert_eq!(older.get(updated.key).unwrap().number, updated.old.number);
        assert_eq!(newer.get(updated.key).unwrap().number, updated.new.number);
    }
}

/// Reads both stores in every way, with a bag of snapshots of either: some are minutes old, some of
/// now.
pub(crate) fn reader(run: &Run, stores: [&Store<Item>; 2], mut random: Random) {
    let mut kept: [Vec<Snapshot<Item>>; 2] = [Vec::new(), Vec::new()];
    let mut last = stores.map(Store::revision);
    let mut step = 0;
    while run.goes_on(step) {
        step += 1;
        let which = random.index(2);
        let (store, kept) = (stores[which], &mut kept[which]);
        match random.below(16) {
            0 => kept.push(store.snapshot()),
            1 if !kept.is_empty() => drop(kept.swap_remove(random.index(kept.len()))),
            2 if !kept.is_empty() => verify(&kept[random.index(kept.len())]),
            3 if !kept.is_empty() => {
                let (one, other) = (random.index(kept.len()), random.index(kept.len()));
                verify_difference(&kept[one], &kept[other]);
            }
            4 => {
                // Of both stores, one within the other.
                let (outer, inner) = (store.pin(), stores[1 - which].pin());
                for _ in 0..20 {
                    let key = name(random.below(KEYS));
                    for item in [outer.get(&key), inner.get(&key)].into_iter().flatten() {
                        item.verify();
                    }
                }
                drop(outer);
                if let Some(item) = inner.get(&name(HOT)) {
                    item.verify();
                }
                assert!(inner.revision() >= last[1 - which], "went back");
                last[1 - which] = inner.revision();
            }
            5 if random.below(8) == 0 => {
                let own = store.snapshot().clone();
                own.into_iter().take(100).for_each(|(_, item)| item.verify());
            }
            6..10 => {
                if let Some(item) = store.get(&name(HOT)) {
                    item.verify();
                }
            }
            _ => {
                if let Some(item) = store.get(&name(random.below(KEYS))) {
                    item.verify();
                }
            }
        }
        // The oldest go last: what is dropped here is of any age.
        if kept.len() > KEPT {
            kept.swap_remove(random.index(kept.len()));
        }
    }
}

thread_local! {
    static SLOT: RefCell<Option<Snapshot<Item>>> = const { RefCell::new(None) };
}

/// Starts threads that read a little and end, some with a snapshot in a thread-local, some by handing
/// one to a thread that comes later.
pub(crate) fn short_threads(run: &Run, stores: [&Store<Item>; 2], mut random: Random) {
    let handed: Mutex<Vec<Snapshot<Item>>> = Mutex::new(Vec::new());
    let mut step = 0;
    while run.goes_on(step) {
        step += 1;
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let (store, what, key) =
                    (stores[random.index(2)], random.below(4), random.below(KEYS));
                let handed = &handed;
                scope.spawn(move || match what {
                    0 => {
                        SLOT.with(|slot| *slot.borrow_mut() = None);
                        SLOT.with(|slot| *slot.borrow_mut() = Some(store.snapshot()));
                    }
                    1 => handed.lock().unwrap().push(store.snapshot()),
                    2 => {
                        let taken = handed.lock().unwrap().pop();
                        if let Some(snapshot) = taken {
                            snapshot.iter().take(50).for_each(|(_, item)| item.verify());
                        }
                    }
                    _ => {
                        if let Some(item) = store.pin().get(&name(key)) {
                            item.verify();
                        }
                    }
                });
            }
        });
    }
}
