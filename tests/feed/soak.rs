//! Many subscribers, some of them stalled and some slow, beside a writer that never waits: all end with what
//! the store has, and what is kept for the stalled ones has a limit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use watchcache::Store;
use watchcache::store::FeedLimits;

use crate::common::watchdog::{sized, watched};
use crate::follower::Follower;
use crate::thing::{Thing, batch};

const SUBSCRIBERS: usize = sized(1000, 20);
const BATCHES: u32 = sized(1500, 40) as u32;

#[test]
fn some_stalled_and_some_slow_among_a_thousand() {
    watched(|| {
        let limits = FeedLimits::default().log(4096, usize::MAX).behind(4096, usize::MAX);
        let store = Store::builder().feed(limits).build();
        let mut followers: Vec<_> = (0..SUBSCRIBERS)
            .map(|_| {
                let subscription = store.subscribe().with_content().start().unwrap();
                Follower::<Thing>::new(subscription, BTreeMap::new())
            })
            .collect();
        // Behind the content, so that they keep something.
        followers.iter_mut().for_each(|follower| assert!(follower.step()));
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..BATCHES {
                    let changes: Vec<_> = (0..64).map(|key| (format!("a/{key}"), round)).collect();
                    let changes: Vec<_> = changes
                        .iter()
                        .map(|(key, value)| (&**key, Some(*value).filter(|value| value % 7 > 0)))
                        .collect();
                    store.apply(&batch(&changes));
                }
                is_over.store(true, Ordering::SeqCst);
            });
            // Of each hundred one is stalled, and one takes one delivery where the others take all.
            let mut round = 0_usize;
            while !is_over.load(Ordering::SeqCst) {
                for (number, follower) in followers.iter_mut().enumerate() {
                    match number % 100 {
                        0 => {}
                        1 if round.is_multiple_of(10) => drop(follower.step()),
                        1 => {}
                        _ => drop(follower.drain()),
                    }
                }
                round += 1;
            }
        });
        let retained = store.stats().retained_versions;
        assert!(retained <= 3 * 4096, "{retained} versions are kept for the stalled ones");
        for follower in &mut followers {
            follower.drain();
            let snapshot = store.snapshot();
            assert_eq!(follower.known.len(), snapshot.len());
            let same = |(key, thing): (&String, &Arc<Thing>)| {
                snapshot.get(&**key).is_some_and(|held| *held == *thing)
            };
            assert!(follower.known.iter().all(same));
            assert_eq!(follower.subscription.revision(), store.revision());
        }
    });
}
