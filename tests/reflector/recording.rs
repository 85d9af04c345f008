//! A sink that writes down what it is told.

use std::error::Error;
use std::sync::{Arc, Mutex};

use watchcache::{Batch, Change, Listing, Sink, Store};

use crate::common::Pod;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Keys and versions of a listing, and its version.
    Listing(Vec<(String, String)>, Option<String>),
    /// Keys and versions, or none for a deletion, of a batch, and its version.
    Batch(Vec<(String, Option<String>)>, Option<String>),
    Resync(Vec<String>),
    Ended(Option<String>),
}

#[derive(Clone, Default)]
pub(crate) struct Recording {
    told: Arc<Mutex<Vec<Told>>>,
}

impl Recording {
    /// What was told since the last question.
    pub(crate) fn take(&self) -> Vec<Told> {
        std::mem::take(&mut *self.told.lock().unwrap())
    }

    fn note(&self, told: Told) {
        self.told.lock().unwrap().push(told);
    }
}

impl Sink<Pod> for Recording {
    fn apply(&self, batch: &Batch<Pod>) {
        let changes = batch.changes().map(|(key, change)| {
            let version = match change {
                Change::Add(pod) => Some(pod.resource_version.clone()),
                Change::Delete(_) => None,
            };
            (key.to_string(), version)
        });
        let version = batch.resource_version().map(ToString::to_string);
        self.note(Told::Batch(changes.collect(), version));
    }

    fn replace(&self, listing: &Listing<Pod>) {
        let objects = listing.objects();
        let objects = objects.map(|(key, pod)| (key.to_string(), pod.resource_version.clone()));
        let version = listing.resource_version().map(ToString::to_string);
        self.note(Told::Listing(objects.collect(), version));
    }

    fn resync(&self, batch: &Batch<Pod>) {
        self.note(Told::Resync(batch.changes().map(|(key, _)| key.to_string()).collect()));
    }

    fn ended(&self, error: Option<&(dyn Error + 'static)>) {
        self.note(Told::Ended(error.map(ToString::to_string)));
    }
}

/// A store that takes a resync as it takes a batch, as sinks do by default.
#[derive(Clone, Default)]
pub(crate) struct Plain(pub(crate) Arc<Store<Pod>>);

impl Sink<Pod> for Plain {
    fn apply(&self, batch: &Batch<Pod>) {
        self.0.apply(batch);
    }

    fn replace(&self, listing: &Listing<Pod>) {
        self.0.replace(listing);
    }
}
