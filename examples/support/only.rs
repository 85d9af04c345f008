//! A sink for some of a stream's objects.

use std::sync::Arc;

use watchcache::{Batch, Change, Listing, Object, Sink};

/// Passes on the objects for which a condition holds. The others are deletions to the sink behind.
pub struct Only<S, C> {
    sink: S,
    condition: C,
}

impl<S, C> Only<S, C> {
    pub fn new<T>(sink: S, condition: C) -> Self
    where
        S: Sink<T>,
        C: Fn(&T) -> bool + Send + Sync,
    {
        Self { sink, condition }
    }
}

impl<T: Object, S: Sink<T>, C: Fn(&T) -> bool + Send + Sync> Sink<T> for Only<S, C> {
    fn apply(&self, batch: &Batch<T>) {
        let mut passed = Batch::new();
        for (key, change) in batch.changes() {
            let change = match change {
                Change::Add(object) if !(self.condition)(object) => {
                    Change::Delete(Some(Arc::clone(object)))
                }
                _ => change.clone(),
            };
            passed.push(key, change).expect("a batch has valid keys");
        }
        self.sink.apply(&passed);
    }

    fn replace(&self, listing: &Listing<T>) {
        let objects = listing.objects().filter(|(_, object)| (self.condition)(object));
        let objects = objects.map(|(key, object)| (key, Arc::clone(object)));
        let version = listing.resource_version().cloned();
        let passed = Listing::from_keyed(objects, version).expect("a listing has valid keys");
        self.sink.replace(&passed);
    }

    fn ended(&self, error: Option<&(dyn std::error::Error + 'static)>) {
        self.sink.ended(error);
    }
}
