//! The rules of writing: what a put, a delete and a relist do to what is held.
//!
//! Methods of an object and index functions are the user's code. They run here, under the writer's
//! lock, on a store that is whole; their panics are caught. Objects are dropped later, by
//! [`WriteGuard`].

use std::cmp::Ordering;

use super::assume::Assumed;
use super::engine::{Assumption, Hashed, Slot, WriteGuard};
use super::error::{RejectReason, Rejected, UpdateError, WriteError};
use super::feed::Feed;
use super::precedence::{Comparison, Precedence, compare, is_older, number};
use super::report::{Applied, Deleted, Outcome, Written};
use crate::panic::catch;
use crate::sync::Arc;
use crate::version;
use crate::{ArcRef, Batch, Change, Key, KeyRef, Listing, Object, ResourceVersion, Revision};

/// Changes whose slots are prefetched together.
const AT_ONCE: usize = 32;

/// Writes that become visible together, possibly from several callers.
pub(super) struct Writing<'s, T: Object> {
    pub(super) guard: WriteGuard<'s, T>,
    feed: &'s Feed<T>,
    pub(super) assumed: &'s Assumed<T>,
    /// Whether a relist is among the writes.
    pub(super) is_relist: bool,
    /// Whether the objects that are put are those of a listing.
    is_listing: bool,
    /// Whether the version that they bring has no order, if they bring one or declare that.
    unordered: Option<bool>,
}

impl<'s, T: Object> Writing<'s, T> {
    pub(super) fn new(
        mut guard: WriteGuard<'s, T>,
        feed: &'s Feed<T>,
        assumed: &'s Assumed<T>,
    ) -> Self {
        feed.begin(&mut guard);
        Self { guard, feed, assumed, is_relist: false, is_listing: false, unordered: None }
    }

    /// Publishes the writes, and has them delivered; returns the revision at which they are visible.
    pub(super) fn publish(&mut self) -> u64 {
        let before = self.guard.sequence();
        let revision = self.guard.publish();
        if self.unordered.take() == Some(false) {
            self.feed.set_unordered(false);
        }
        self.settle_assumed();
        let is_relist = std::mem::take(&mut self.is_relist);
        if self.guard.sequence() != before {
            self.feed.published(&mut self.guard, is_relist, self.assumed.take_touched());
        }
        revision
    }

    /// The revision at which the writes so far are visible.
    pub(super) fn revision(&self) -> Revision {
        Revision::new(self.guard.next())
    }

    fn written(&self, outcome: Outcome) -> Written {
        Written { revision: self.revision(), outcome }
    }

    pub(super) fn add(
        &mut self,
        key: KeyRef<'_>,
        object: &Arc<T>,
    ) -> Result<Written, Box<Rejected>> {
        let key = self.guard.hash(key);
        let outcome = self.put_newer(key, object, Precedence::Newest)?;
        Ok(self.written(outcome))
    }

    /// Releases an object that was added, and from which its key may have been borrowed.
    pub(super) fn let_go(&mut self, object: Arc<T>, result: &Result<Written, Box<Rejected>>) {
        // If stored, the store holds it at least until the lock is released: no destructor runs here.
        if !result.as_ref().is_ok_and(|written| written.outcome.is_stored()) {
            self.guard.discard(object);
        }
    }

    /// Puts an object unless it is what the source said before, or older.
    fn put_newer(
        &mut self,
        key: Hashed<'_>,
        object: &Arc<T>,
        precedence: Precedence,
    ) -> Result<Outcome, Box<Rejected>> {
        if let Some(known) = self.known(key.key()) {
            return self.hear(key, object, precedence, known);
        }
        let slot = self.guard.slot(key);
        if self.is_listing {
            slot.see();
        }
        let number = catch(|| number(&**object)).map_err(|message| panicked(key.key(), message))?;
        let number = number.unwrap_or(0);
        let comparison = match slot.held() {
            None => Ok(Comparison::Newer),
            Some((held, _)) if Arc::ptr_eq(&held, object) => Ok(Comparison::Same),
            // In the usual case the held object is not read.
            Some((_, at)) if at != 0 && number > at => Ok(Comparison::Newer),
            Some((held, at)) => compare(&held, object, at != 0 && number == at, precedence),
        };
        match comparison {
            Ok(Comparison::Newer) => store(slot, object, number),
            Ok(Comparison::Same) => Ok(Outcome::Unchanged),
            Ok(Comparison::Older) => Ok(Outcome::Stale),
            Err(message) => Err(panicked(key.key(), message)),
        }
    }

    /// Puts an object if the key holds what the caller saw. Either the store holds the object then, or
    /// the error does.
    pub(super) fn update(
        &mut self,
        key: KeyRef<'_>,
        seen: Option<&Arc<T>>,
        object: &Arc<T>,
    ) -> Result<Written, UpdateError<T>> {
        let hashed = self.guard.hash(key);
        let slot = self.guard.slot(hashed);
        let held = slot.held().map(|(held, _)| held);
        let as_seen = match (held, seen) {
            (None, None) => true,
            (Some(held), Some(seen)) => Arc::ptr_eq(&held, seen),
            _ => false,
        };
        let conflict = |held: Option<ArcRef<'_, T>>| UpdateError::Conflict {
            object: Arc::clone(object),
            held: held.map(ArcRef::to_arc),
        };
        if !as_seen {
            return Err(conflict(held));
        }
        if held.is_some_and(|held| Arc::ptr_eq(&held, object)) {
            return Ok(self.written(Outcome::Unchanged));
        }
        let judged = catch(|| {
            let older = held.is_some_and(|held| is_older(&**object, &**held));
            (number(&**object).unwrap_or(0), older)
        });
        let stored = match judged {
            Ok((_, true)) => return Err(conflict(held)),
            Ok((number, false)) => store(slot, object, number),
            Err(message) => Err(panicked(key, message)),
        };
        match stored {
            Ok(outcome) => {
                self.no_longer_assume(key);
                Ok(self.written(outcome))
            }
            Err(rejected) => {
                let error = WriteError::from(*rejected);
                Err(UpdateError::Write { object: Arc::clone(object), error })
            }
        }
    }

    pub(super) fn delete(&mut self, key: KeyRef<'_>) -> Deleted<T> {
        self.no_longer_assume(key);
        let key = self.guard.hash(key);
        let object = self.guard.slot(key).delete();
        Deleted { object, revision: self.revision() }
    }

    pub(super) fn apply(&mut self, batch: &Batch<T>) -> Applied {
        let mut applied = Applied::default();
        self.declare(batch.is_unordered());
        let stands = batch.counts_as_it_stands();
        let precedence = if stands { Precedence::Latest } else { Precedence::Newest };
        let mut changes = batch.changes();
        let mut apply = |this: &mut Self, key, change: &Change<T>| match change {
            Change::Add(object) => applied.count(this.put_newer(key, object, precedence)),
            Change::Delete(last) => {
                let last = last.as_deref().filter(|_| !stands);
                this.deleted(key, last, &mut applied);
            }
        };
        if changes.len() == 1 {
            // A single change has no other miss to overlap with.
            for (key, change) in changes {
                apply(self, self.guard.hash(key), change);
            }
        } else {
            let mut found = [None; AT_ONCE];
            let object = |change: &Change<T>| match change {
                Change::Add(object) => WriteGuard::prefetch_object(object),
                Change::Delete(_) => {}
            };
            while self.find(&mut changes, &mut found, object) {
                for (key, change) in found.iter().map_while(|found| *found) {
                    apply(self, key, change);
                }
            }
        }
        self.advance(batch.resource_version(), stands, batch.is_unordered());
        applied.revision = self.revision();
        applied
    }

    /// Hashes the next keys, and prefetches their slots and, by `prefetch`, what comes to them. Returns whether
    /// there are any.
    fn find<'k, V: Copy>(
        &self,
        keyed: &mut impl Iterator<Item = (KeyRef<'k>, V)>,
        found: &mut [Option<(Hashed<'k>, V)>; AT_ONCE],
        prefetch: impl Fn(V),
    ) -> bool {
        for place in &mut *found {
            *place = keyed.next().map(|(key, value)| {
                prefetch(value);
                (self.guard.hash(key), value)
            });
            if place.is_none() {
                break;
            }
        }
        let keys = found.iter().map_while(|found| found.as_ref().map(|(key, _)| key));
        self.guard.prefetch::<AT_ONCE>(keys);
        found[0].is_some()
    }

    /// A deletion as the source reports it: `last` is the object's last state with the version of its
    /// deletion.
    fn deleted(&mut self, key: Hashed<'_>, last: Option<&T>, applied: &mut Applied) {
        if let Some(known) = self.known(key.key()) {
            return self.hear_deleted(key, last, known, applied);
        }
        let slot = self.guard.slot(key);
        let older = match (slot.held(), last) {
            (Some((held, _)), Some(last)) => catch(|| is_older(last, &**held)),
            _ => Ok(false),
        };
        // The source reports a deletion: an object that cannot be compared does not overrule it.
        if older.unwrap_or(false) {
            applied.stale += 1;
            return;
        }
        match slot.delete() {
            Some(held) => {
                applied.deleted += 1;
                self.guard.discard(held);
            }
            None => applied.unchanged += 1,
        }
    }

    /// Replaces the content by a listing, and returns the deleted keys.
    pub(super) fn replace(&mut self, listing: &Listing<T>) -> (Applied, Vec<Key>) {
        let mut applied = Applied::default();
        self.declare(listing.is_unordered());
        let stands = listing.counts_as_it_stands();
        let held = self.guard.len();
        // An object in an older listing that the store lacks was deleted since.
        let older = !stands && self.is_older(listing);
        let precedence = match (stands, older) {
            (true, _) => Precedence::Latest,
            (_, true) => Precedence::Held,
            _ => Precedence::Listed,
        };
        self.guard.begin_relist();
        self.is_listing = true;
        let mut found = [None; AT_ONCE];
        let mut objects = listing.objects();
        while self.find(&mut objects, &mut found, WriteGuard::prefetch_object) {
            for (key, object) in found.iter().map_while(|found| *found) {
                if older || self.assumes() {
                    // It may be that nothing is put.
                    self.guard.slot(key).see();
                }
                if !older || self.is_told(key) {
                    applied.count(self.put_newer(key, object, precedence));
                } else {
                    applied.stale += 1;
                }
            }
        }
        self.is_listing = false;
        // The keys of a listing are distinct, so where none was rejected, the source had told this many.
        let listed = listing.len() - applied.added;
        let gone = if !older && listed == held && applied.rejected.is_empty() {
            Vec::new()
        } else {
            let mut gone = self.unlisted(listing, older);
            gone.retain(|key| {
                self.hear_unlisted(key.as_ref(), |object| is_unknown_to(listing, object, older))
            });
            gone
        };
        applied.deleted = gone.len();
        self.advance(listing.resource_version(), stands, listing.is_unordered());
        self.guard.set_synced();
        applied.revision = self.revision();
        (applied, gone)
    }

    /// Returns whether a listing is older than what the store has seen.
    fn is_older(&self, listing: &Listing<T>) -> bool {
        match (listing.resource_version(), self.guard.resource_version()) {
            (Some(listed), Some(held)) => listed.compare(held) == Some(Ordering::Less),
            _ => false,
        }
    }

    /// What was published and is not listed, unless it is newer than the listing, or may be where the
    /// listing is `older` than what the store has seen.
    fn unlisted(&self, listing: &Listing<T>, older: bool) -> Vec<Key> {
        let stays = |key, object: &T| match self.known(key) {
            Some(Assumption { told: Some(told), .. }) => is_unknown_to(listing, &*told, older),
            // It was never told, so a listing without it is news only if it could have it.
            Some(_) => is_unknown_to(listing, object, true),
            None => is_unknown_to(listing, object, older),
        };
        let unlisted = self.guard.unseen().filter(|(key, object)| !stays(*key, object));
        unlisted.map(|(key, _)| key.to_key_unchecked()).collect()
    }

    /// Versions that are about to be written may have no order. That they have one again shows only in a
    /// version that takes the place of the held one.
    fn declare(&mut self, unordered: bool) {
        if unordered {
            self.assumed.set_unordered(true);
            self.unordered = Some(true);
            self.feed.set_unordered(true);
        }
    }

    /// Moves the source's version forward; never back, unless what was told counts as it `stands`.
    fn advance(&mut self, to: Option<&ResourceVersion>, stands: bool, unordered: bool) {
        let Some(to) = to else { return };
        let held = self.guard.resource_version();
        let is_back = stands
            && !unordered
            && held.and_then(|held| to.compare(held)).is_some_and(Ordering::is_lt);
        if is_back {
            self.feed.set_back();
        }
        let mut held = held.cloned().filter(|_| !stands);
        if to.clone().advance(&mut held) {
            self.guard.set_resource_version(to.clone());
            if !unordered && self.unordered != Some(false) {
                self.assumed.set_unordered(false);
                self.unordered = Some(false);
            }
        }
    }
}

impl<T: Object> Drop for Writing<'_, T> {
    /// Publishes what a write that unwinds has linked.
    fn drop(&mut self) {
        if self.guard.is_unpublished() {
            self.publish();
        }
    }
}

/// Whether an object is newer than a listing, or `otherwise` where that cannot be told.
fn is_unknown_to<T: Object>(listing: &Listing<T>, object: &T, otherwise: bool) -> bool {
    let at = listing.resource_version().filter(|_| !listing.counts_as_it_stands());
    let order = catch(|| version::compare(object.resource_version()?, at?.as_str()));
    order.ok().flatten().map_or(otherwise, Ordering::is_gt)
}

/// Puts an object whatever is held.
#[inline]
pub(super) fn store<T: Object>(
    slot: Slot<'_, '_, '_, T>,
    object: &Arc<T>,
    number: u64,
) -> Result<Outcome, Box<Rejected>> {
    let key = slot.key();
    let outcome = match slot.held() {
        Some(_) => Outcome::Updated,
        None => Outcome::Added,
    };
    let put = slot.put(object, number);
    put.map(|()| outcome).map_err(|unindexed| Box::new(Rejected::unindexed(key, *unindexed)))
}

#[cold]
pub(super) fn panicked(key: KeyRef<'_>, message: String) -> Box<Rejected> {
    let reason = RejectReason::Panicked(message);
    Box::new(Rejected { key: key.to_key_unchecked(), reason })
}
