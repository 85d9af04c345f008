//! Two threads that sleep, or are about to, beside a publication: both are told of it.

use std::sync::Arc;

use super::Store;
use crate::run::{Bound, run};
use crate::{Key, KeyError, Object};

struct Item;

impl Object for Item {
    fn key(&self) -> Result<Key, KeyError> {
        "ns/a".parse()
    }
}

pub fn model() {
    run(Bound { preemptions: 1 }, || {
        let store = Arc::new(Store::new());
        let sleepers = [(); 2].map(|()| {
            let mut subscription = store.subscribe().start().expect("there is no index to miss");
            loom::thread::spawn(move || {
                let told = subscription.next().map(|delivery| delivery.iter().count());
                assert_eq!(told, Some(1));
            })
        });
        store.add(Item).expect("the key is valid");
        for sleeper in sleepers {
            sleeper.join().expect("the sleeper's assertions hold");
        }
    });
}
