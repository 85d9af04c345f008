//! The rules of writing: what a put, a delete and a relist do to what is held.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::engine::{Pin, WriteGuard};
use super::error::{Reason, Rejected, UpdateError};
use super::index::{Definition, panic_text, values_of};
use super::report::Applied;
use crate::object::same_version;
use crate::sync::Arc;
use crate::version::number_of;
use crate::{Batch, Change, Key, KeyRef, Listing, Object, ResourceVersion, Revision};

/// Changes whose places are loaded together.
const AT_ONCE: usize = 32;

/// Writes that become visible together. Several callers' may.
pub(super) struct Writing<'s, T: Object> {
    pub(super) guard: WriteGuard<'s, T>,
    definitions: Option<Arc<Vec<Definition<T>>>>,
}

/// What counts where a key holds an object already.
#[derive(Clone, Copy)]
enum Precedence {
    /// The newest version, whoever brings it.
    Newest,
    /// What a listing says: another uid is another object, whatever its version.
    Listed,
    /// What comes, since versions have no order.
    Latest,
}

/// What is to become of an object that is put.
enum Verdict {
    Same,
    Older,
    Newer,
}

impl<'s, T: Object> Writing<'s, T> {
    pub(super) fn new(
        guard: WriteGuard<'s, T>,
        definitions: Option<Arc<Vec<Definition<T>>>>,
    ) -> Self {
        Self { guard, definitions }
    }

    fn definitions(&self) -> &[Definition<T>] {
        self.definitions.as_deref().map_or(&[], Vec::as_slice)
    }

    /// The revision at which what was written so far is visible.
    pub(super) fn revision(&self) -> Revision {
        Revision::new(self.guard.next())
    }

    pub(super) fn put(&mut self, key: &Key, object: Arc<T>) -> Applied {
        let mut applied = Applied::default();
        self.put_counted(key.as_ref(), object, Precedence::Newest, &mut applied);
        applied.revision = self.revision();
        applied
    }

    fn put_counted(
        &mut self,
        key: KeyRef<'_>,
        object: Arc<T>,
        precedence: Precedence,
        applied: &mut Applied,
    ) {
        let panicked =
            |message| Rejected { key: key.to_valid_key(), reason: Reason::Panicked(message) };
        let number = match quietly(|| version(&*object)) {
            Ok(number) => number.unwrap_or(0),
            Err(message) => return applied.rejected.push(panicked(message)),
        };
        let held = self.guard.get_numbered(key);
        let verdict = match held {
            None => Ok(Verdict::Newer),
            Some((held, _)) if Arc::ptr_eq(held, &object) => Ok(Verdict::Same),
            // The usual case needs no look at the object that is held.
            Some((_, held)) if held != 0 && number > held => Ok(Verdict::Newer),
            Some((held, at)) => judge(held, &object, at != 0 && number == at, precedence),
        };
        let counted = if held.is_some() { &mut applied.updated } else { &mut applied.added };
        match verdict {
            Ok(Verdict::Same) => applied.unchanged += 1,
            Ok(Verdict::Older) => applied.stale += 1,
            Ok(Verdict::Newer) => match values_of(self.definitions(), key, &*object) {
                Ok(values) => {
                    *counted += 1;
                    self.guard.put(key, object, number, values);
                }
                Err(rejected) => applied.rejected.push(rejected),
            },
            Err(message) => applied.rejected.push(panicked(message)),
        }
    }

    /// Puts an object if the key holds what the caller saw.
    pub(super) fn update(
        &mut self,
        key: &Key,
        seen: Option<&Arc<T>>,
        object: Arc<T>,
    ) -> Result<Revision, UpdateError<T>> {
        let held = self.guard.get(key.as_ref());
        let as_seen = match (held, seen) {
            (None, None) => true,
            (Some(held), Some(seen)) => Arc::ptr_eq(held, seen),
            _ => false,
        };
        if !as_seen {
            return Err(UpdateError::Conflict { object, held: held.cloned() });
        }
        let mut applied = self.put(key, Arc::clone(&object));
        match applied.rejected.pop() {
            Some(rejected) => Err(UpdateError::Write { object, error: rejected.into() }),
            None if applied.stale > 0 => Err(UpdateError::Conflict { object, held: seen.cloned() }),
            None => Ok(applied.revision),
        }
    }

    pub(super) fn delete(&mut self, key: KeyRef<'_>) -> Option<Arc<T>> {
        self.guard.delete(key)
    }

    pub(super) fn apply(&mut self, batch: &Batch<T>) -> Applied {
        let mut applied = Applied::default();
        let unordered = batch.is_unordered();
        let precedence = if unordered { Precedence::Latest } else { Precedence::Newest };
        for changes in batch.changes().chunks(AT_ONCE) {
            // A single change has nothing to overlap its misses with.
            if changes.len() > 1 {
                self.guard.prefetch(changes.iter().map(|(key, _)| key.as_ref()));
            }
            for (key, change) in changes {
                match change {
                    Change::Put(object) => {
                        let object = Arc::clone(object);
                        self.put_counted(key.as_ref(), object, precedence, &mut applied);
                    }
                    Change::Delete(last) => {
                        let last = last.as_deref().filter(|_| !unordered);
                        self.deleted(key, last, &mut applied);
                    }
                }
            }
        }
        self.advance(batch.resource_version(), unordered);
        applied.revision = self.revision();
        applied
    }

    /// A delete as the source reports it: `last` is the object's last state with the version of
    /// its deletion.
    fn deleted(&mut self, key: &Key, last: Option<&T>, applied: &mut Applied) {
        let older = match (self.guard.get(key.as_ref()), last) {
            (Some(held), Some(last)) => quietly(|| is_older(last, &**held)).unwrap_or(false),
            _ => false,
        };
        if older {
            applied.stale += 1;
        } else {
            match self.delete(key.as_ref()) {
                Some(_) => applied.deleted += 1,
                None => applied.unchanged += 1,
            }
        }
    }

    /// Replaces the content by a listing, and returns the keys that are gone.
    pub(super) fn replace(&mut self, listing: &Listing<T>) -> (Applied, Vec<Key>) {
        let mut applied = Applied::default();
        let unordered = listing.is_unordered();
        let precedence = if unordered { Precedence::Latest } else { Precedence::Listed };
        let held = self.guard.len();
        for objects in listing.objects().chunks(AT_ONCE) {
            self.guard.prefetch(objects.iter().map(|(key, _)| key.as_ref()));
            for (key, object) in objects {
                self.put_counted(key.as_ref(), Arc::clone(object), precedence, &mut applied);
            }
        }
        // The keys of a listing are distinct, so where none was rejected, this many were held.
        let listed = listing.len() - applied.added;
        let gone = if listed == held && applied.rejected.is_empty() {
            Vec::new()
        } else {
            self.unlisted(listing)
        };
        for key in &gone {
            self.delete(key.as_ref());
        }
        applied.deleted = gone.len();
        self.advance(listing.resource_version(), unordered);
        applied.revision = self.revision();
        (applied, gone)
    }

    /// What was published and is not listed, unless it is newer than the listing itself.
    fn unlisted(&self, listing: &Listing<T>) -> Vec<Key> {
        let listed: HashSet<KeyRef<'_>, foldhash::fast::RandomState> =
            listing.objects().iter().map(|(key, _)| key.as_ref()).collect();
        let at = listing.resource_version().and_then(ResourceVersion::number);
        let at = at.filter(|_| !listing.is_unordered());
        let pin = Pin::new();
        let view = self.guard.published(&pin);
        let mut cursor = view.cursor(view.shards());
        std::iter::from_fn(|| view.advance(&mut cursor))
            .filter(|(key, object)| {
                let newer = matches!(
                    (quietly(|| version(&***object)).unwrap_or(None), at),
                    (Some(held), Some(at)) if held > at
                );
                !newer && !listed.contains(key)
            })
            .map(|(key, _)| key.to_valid_key())
            .collect()
    }

    /// Moves the source's version forward; back only where versions have no order.
    fn advance(&mut self, to: Option<&ResourceVersion>, unordered: bool) {
        let Some(to) = to else { return };
        let mut held = self.guard.resource_version().cloned().filter(|_| !unordered);
        if to.clone().advance(&mut held) {
            self.guard.set_resource_version(to.clone());
        }
    }
}

/// Compares two objects of one key, whose versions may be known to be the same number. They are a
/// user's type: what panics in it must not unwind through a half-linked batch.
fn judge<T: Object>(
    held: &Arc<T>,
    new: &Arc<T>,
    same_number: bool,
    precedence: Precedence,
) -> Result<Verdict, String> {
    quietly(|| {
        // A uid is a look at the object that is held; its version's text would be another.
        let same =
            if same_number { held.uid() == new.uid() } else { same_version(&**held, &**new) };
        if same {
            Verdict::Same
        } else if same_number {
            Verdict::Newer
        } else {
            let counts = match precedence {
                Precedence::Newest => false,
                Precedence::Listed => held.uid() != new.uid(),
                Precedence::Latest => true,
            };
            if !counts && is_older(&**new, &**held) { Verdict::Older } else { Verdict::Newer }
        }
    })
}

fn quietly<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| panic_text(&*panic))
}

/// An object's version as a number, where it is one.
fn version<T: Object>(object: &T) -> Option<u64> {
    number_of(object.resource_version()?)
}

fn is_older<T: Object>(this: &T, that: &T) -> bool {
    matches!((version(this), version(that)), (Some(this), Some(that)) if this < that)
}
