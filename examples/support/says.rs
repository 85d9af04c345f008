//! A sink that prints.

use watchcache::{Batch, Change, KeyRef, Listing, Object, Sink};

/// Prints each change of what is not the example's own: the name, and the new value.
pub struct Says<T> {
    pub text: fn(&T) -> &str,
}

impl<T> Says<T> {
    fn say(&self, key: KeyRef<'_>, object: Option<&T>) {
        if key.name().starts_with("example-") {
            return;
        }
        match object {
            Some(object) => println!("{key} is {:?} now", (self.text)(object)),
            None => println!("{key} is gone"),
        }
    }
}

impl<T: Object> Sink<T> for Says<T> {
    fn apply(&self, batch: &Batch<T>) {
        for (key, change) in batch.changes() {
            match change {
                Change::Add(object) => self.say(key, Some(object)),
                Change::Delete(_) => self.say(key, None),
            }
        }
    }

    fn replace(&self, listing: &Listing<T>) {
        listing.objects().for_each(|(key, object)| self.say(key, Some(object)));
    }
}
