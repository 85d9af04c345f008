//! The end of a store beside its timer's thread, which forgets what was assumed: a subscriber is told what that
//! published, and then the end.

use std::sync::Arc;
use std::time::Duration;

use super::Store;
use super::model::{A, Item};
use crate::run::{Bound, run};
use crate::timer::Tick;

pub fn model() {
    run(Bound { preemptions: 2 }, || {
        let store = Store::new();
        store.assume(Item(A, 1), Duration::ZERO).expect("the key is valid");
        let mut subscription = store.subscribe().start().expect("there is no index to miss");
        // The memory of the store outlives the sleeper: loom does not see what orders its end.
        let assumed = Arc::clone(&store.assumed);
        let sleeper = loom::thread::spawn(move || {
            let mut told = 0;
            while let Some(delivery) = subscription.next() {
                told += delivery.iter().count();
            }
            (told, subscription)
        });
        let timer = loom::thread::spawn({
            let assumed = Arc::clone(&assumed);
            move || _ = assumed.tick()
        });
        drop(store);
        timer.join().expect("the timer does not panic");
        let (told, subscription) = sleeper.join().expect("the sleeper does not panic");
        let is_forgotten = assumed.content().0.get(A).is_none();
        assert_eq!(told > 0, is_forgotten, "ended before all was told");
        drop(subscription);
    });
}
