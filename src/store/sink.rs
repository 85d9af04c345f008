//! A store behind a reflector, and how it reports what it rejected.

use std::collections::HashMap;

use super::{Applied, Rejected, Store};
use crate::panic::catch;
use crate::sync::Arc;
use crate::{Batch, Change, KeyRef, Listing, Object, Refused, ResourceVersion, Sink};

impl<T: Object> Sink<T> for Store<T> {
    fn apply(&self, batch: &Batch<T>) {
        self.feed.source_speaks();
        Store::apply(self, batch);
    }

    fn replace(&self, listing: &Listing<T>) {
        self.feed.source_speaks();
        Store::replace(self, listing);
    }

    fn apply_reporting(&self, batch: &Batch<T>) -> Vec<Refused> {
        // A list behind a filter comes as a batch.
        self.feed.source_speaks();
        let applied = Store::apply(self, batch);
        self.refused(applied, || {
            // The last change of a key in the batch counts.
            batch.changes().map(|(key, change)| match change {
                Change::Add(object) => (key, Some(object)),
                Change::Delete(_) => (key, None),
            })
        })
    }

    fn replace_reporting(&self, listing: &Listing<T>) -> Vec<Refused> {
        self.feed.source_speaks();
        let applied = Store::replace(self, listing).applied;
        self.refused(applied, || listing.objects().map(|(key, object)| (key, Some(object))))
    }

    /// It has them already, and may have them as what is only [assumed](Store::assume).
    fn resync(&self, _: &Batch<T>) {}

    fn held(&self, key: KeyRef<'_>, uid: Option<&str>, resource_version: &str) -> Option<Arc<T>> {
        let same =
            |held: &Arc<T>| held.resource_version() == Some(resource_version) && held.uid() == uid;
        self.told(key).filter(same)
    }

    fn is_current(&self, key: KeyRef<'_>, resource_version: &str) -> Option<bool> {
        let held = self.told(key);
        Some(held.is_some_and(|held| held.resource_version() == Some(resource_version)))
    }

    fn current(&self, key: KeyRef<'_>) -> Option<Arc<T>> {
        self.told(key)
    }

    fn failed(&self, error: &(dyn std::error::Error + 'static)) {
        self.feed.source_failed(error);
    }

    fn ended(&self, error: Option<&(dyn std::error::Error + 'static)>) {
        self.feed.source_ended(error);
    }
}

impl<T: Object> Store<T> {
    /// The rejected objects among those given to the sink, unless a later change of the key counts.
    fn refused<'b, I>(&self, applied: Applied, given: impl FnOnce() -> I) -> Vec<Refused>
    where
        T: 'b,
        I: Iterator<Item = (KeyRef<'b>, Option<&'b Arc<T>>)>,
    {
        if applied.rejected.is_empty() {
            return Vec::new();
        }
        let newest: HashMap<KeyRef<'_>, Option<&Arc<T>>> = given().collect();
        let refused = applied.rejected.into_iter().filter_map(|Rejected { key, reason }| {
            let object = newest.get(&key.as_ref()).copied().flatten()?;
            if self.told(key.as_ref()).is_some_and(|told| Arc::ptr_eq(&told, object)) {
                return None;
            }
            let version = catch(|| object.resource_version().map(ResourceVersion::from));
            let resource_version = version.ok().flatten();
            Some(Refused { key, resource_version, error: reason.to_string() })
        });
        refused.collect()
    }
}
