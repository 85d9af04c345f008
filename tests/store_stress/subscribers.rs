//! What follows: threads and tasks that sleep, one that falls behind, and one that comes and goes. What each is
//! told follows from what it was told before, and those that stay to the end know what the store has.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use watchcache::store::Delivery;
use watchcache::{Snapshot, Store};

use crate::common::watchdog::sized;
use crate::follower::take;
use crate::item::{BY_PARITY, Item, name};
use crate::run::{LOG, Random, Run};
use crate::writers::LAST;

/// More than a writer wakes by itself.
const TASKS: u64 = sized(12, 2) as u64;

type Known = BTreeMap<String, Arc<Item>>;

fn content(snapshot: &Snapshot<Item>) -> Known {
    snapshot.iter().map(|(key, item)| (key.to_string(), item.to_arc())).collect()
}

fn told(known: &mut Known, delivery: &Delivery<'_, Item>) {
    for item in delivery {
        for object in [item.old, item.new].into_iter().flatten() {
            object.verify();
            assert_eq!(object.key.as_ref(), item.key);
        }
    }
    take(known, delivery);
}

fn is_last(known: &Known) -> bool {
    known.contains_key(name(LAST).as_str())
}

/// Sleeps until there is something to be told.
pub(crate) fn sleeps(run: &Run, store: &Store<Item>) {
    let mut subscription = store.subscribe().with_content().start().unwrap();
    let mut known = Known::new();
    while !is_last(&known) {
        told(&mut known, &subscription.next_timeout(run.limit()).unwrap());
    }
    assert!(known == content(&store.snapshot()), "it was not told what the store has");
}

/// Tasks that do so, some of them no more often than they ask for.
pub(crate) fn tasks(run: &Run, store: &Store<Item>) {
    let task = |number| async move {
        let settles = Duration::from_millis(number % 3);
        let mut subscription = store.subscribe().settle(settles).with_content().start().unwrap();
        let mut known = Known::new();
        while !is_last(&known) {
            told(&mut known, &subscription.next_async().await.unwrap());
        }
        assert!(known == content(&store.snapshot()), "a task was not told what the store has");
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let all = async { tokio::time::timeout(run.limit(), join_all((0..TASKS).map(task))).await };
    runtime.block_on(all).unwrap();
}

/// Looks so seldom that the log has gone on, or even that nothing is left of what it knew.
pub(crate) fn falls_behind(store: &Store<Item>, mut random: Random) {
    let mut subscription = store.subscribe().with_content().start().unwrap();
    let mut known = Known::new();
    while !is_last(&known) {
        // Nearly each revision has a change at least.
        let far = subscription.revision().get() + [2 * LOG, 8 * LOG][random.index(2)] as u64;
        while store.revision().get() <= far && !store.contains(&name(LAST)) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let is_behind = store.revision().get() > far;
        let mut knows = !is_behind;
        while let Ok(delivery) = subscription.try_next() {
            knows |= delivery.is_coalesced() || delivery.is_whole();
            told(&mut known, &delivery);
        }
        assert!(knows, "it was told each change, of which there was no log any more");
    }
    assert!(known == content(&store.snapshot()), "it was not told what the store has");
}

/// Begins anywhere, is about anything, and leaves.
pub(crate) fn comes_and_goes(run: &Run, store: &Store<Item>, mut random: Random) {
    let mut step = 0;
    while run.goes_on(step) {
        step += 1;
        let snapshot = store.snapshot();
        let (begins, mut known) = match random.below(2) {
            0 => (store.subscribe().with_content(), Known::new()),
            _ => (store.subscribe().since(&snapshot), content(&snapshot)),
        };
        let about = match random.below(3) {
            0 => begins,
            1 => {
                known.retain(|_, item| item.key.namespace() == Some("a"));
                begins.namespace("a")
            }
            _ => {
                known.retain(|_, item| item.number % 2 == 1);
                begins.index(&BY_PARITY, 1_u64)
            }
        };
        let mut subscription = about.start().unwrap();
        for _ in 0..random.below(100) {
            if let Ok(delivery) = subscription.try_next() {
                told(&mut known, &delivery);
            }
        }
    }
}
