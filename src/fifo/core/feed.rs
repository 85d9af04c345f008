//! What comes in: adds, deletes, batches and lists.

use std::borrow::Cow;
use std::time::Duration;

use super::{Core, Locked, STRIPES};
use crate::fifo::clock::Moment;
use crate::fifo::stripe::{Arrival, Gone, Put};
use crate::fifo::{AddError, Added, Closed, Level};
use crate::sync::Arc;
use crate::sync::atomic::Ordering;
use crate::{Batch, Change, Key, KeyRef, Listing, Object};

impl<T: Object> Core<T> {
    /// Accepts an object.
    pub(in crate::fifo) fn add(self: &Arc<Self>, object: Arc<T>) -> Result<Added, AddError<T>> {
        if self.settings.capacity.is_some() {
            let added = self.add_if(object, Duration::ZERO, false)?;
            return Ok(added.unwrap_or(Added::Queued));
        }
        let (key, object) = keyed(object)?;
        let hash = self.hash(key.as_ref());
        let since = self.now_if_timed();
        let mut stripe = self.stripe(hash);
        if !self.is_open() {
            drop(stripe);
            self.refuse();
            return Err(AddError::Closed(object));
        }
        self.touch();
        let put = stripe.put(&self.order, self.arrival(hash, since), Cow::Owned(key), object);
        let depth = stripe.tally.depth;
        drop(stripe);
        let added = put.added;
        self.arrived(put, depth);
        Ok(added)
    }

    /// Accepts an object, perhaps not to be handed out at once, perhaps only if its key has no entry;
    /// `None` if it has.
    pub(in crate::fifo) fn add_if(
        self: &Arc<Self>,
        object: Arc<T>,
        delay: Duration,
        absent: bool,
    ) -> Result<Option<Added>, AddError<T>> {
        let (key, object) = keyed(object)?;
        let hash = self.hash(key.as_ref());
        let arrival = self.arrival(hash, self.now_if_timed());
        let mut stripe = self.stripe(hash);
        if !self.is_open() {
            drop(stripe);
            self.refuse();
            return Err(AddError::Closed(object));
        }
        let known = stripe.contains(hash, &key);
        if absent && known {
            return Ok(None);
        }
        if !known && !self.reserve() {
            drop(stripe);
            self.refuse();
            return Err(AddError::Full(object));
        }
        self.touch();
        let put = if delay.is_zero() {
            stripe.put(&self.order, arrival, Cow::Owned(key), object)
        } else {
            let due = self.settings.clock.now().after(delay);
            stripe.put_delayed(&self.order, arrival, due, key, object)
        };
        let depth = stripe.tally.depth;
        drop(stripe);
        let added = put.added;
        self.arrived(put, depth);
        Ok(Some(added))
    }

    fn arrival(&self, hash: u64, since: Moment) -> Arrival {
        let level = self.order.line.level(Level::Change);
        Arrival { hash, place: None, level, since, listed: false, initial: false }
    }

    /// What follows a put, once unlocked.
    #[inline]
    pub(super) fn arrived(self: &Arc<Self>, put: Put<T>, depth: u64) {
        self.waiters.notify(usize::from(put.available));
        if put.stale {
            self.disown(1, depth);
        }
        if put.sooner {
            self.start_timer();
        }
        self.observe(|observer| match put.added {
            Added::Coalesced => observer.coalesced(),
            Added::Queued | Added::Delayed => observer.added(),
        });
    }

    pub(in crate::fifo) fn delete(&self, key: KeyRef<'_>) -> Option<Arc<T>> {
        let hash = self.hash(key);
        let mut stripe = self.stripe(hash);
        self.touch();
        let before = stripe.len();
        let mut gone = Gone::default();
        stripe.delete(&self.order, hash, key, &mut gone);
        let (after, depth) = (stripe.len(), stripe.tally.depth);
        drop(stripe);
        let value = gone.values.pop();
        self.left(&gone, depth, before - after);
        value
    }

    /// What follows a removal, once unlocked.
    pub(super) fn left(&self, gone: &Gone<T>, depth: u64, entries: usize) {
        self.settle(gone.settled);
        self.disown(gone.stale, depth);
        self.adjust_held(0, entries);
        self.ended();
    }

    /// Applies a batch as one: no other call sees half of it.
    pub(in crate::fifo) fn apply(self: &Arc<Self>, batch: &Batch<T>) -> Result<(), Closed> {
        let changes = batch.changes();
        if changes.is_empty() {
            return if self.is_open() { Ok(()) } else { Err(self.refuse()) };
        }
        let mut needed = [false; STRIPES];
        let hash = |(key, _): &(Key, Change<T>)| {
            let hash = self.hash(key.as_ref());
            needed[self.index(hash)] = true;
            hash
        };
        let hashes: Vec<_> = changes.iter().map(hash).collect();
        let mut stripes: [Option<Locked<'_, T>>; STRIPES] =
            std::array::from_fn(|index| needed[index].then(|| self.at(index)));
        if !self.is_open() {
            drop(stripes);
            return Err(self.refuse());
        }
        self.touch();
        let since = self.now_if_timed();
        let level = self.order.line.level(Level::Change);
        let first = self.order.line.places(changes.len());
        let (mut available, mut added, mut coalesced) = (0_usize, 0_usize, 0_usize);
        let mut displaced = Vec::new();
        let mut gone = Gone::default();
        let entries = |stripes: &[Option<Locked<'_, T>>]| -> usize {
            // Asked for only where they are counted.
            let counted = stripes.iter().filter(|_| self.settings.capacity.is_some());
            counted.flatten().map(|stripe| stripe.len()).sum()
        };
        let before = entries(&stripes);
        for (i, ((key, change), &hash)) in changes.iter().zip(&hashes).enumerate() {
            let Some(stripe) = &mut stripes[self.index(hash)] else {
                unreachable!("each key's stripe was locked");
            };
            match change {
                Change::Put(object) => {
                    let place = Some(first + i as u64);
                    let arrival =
                        Arrival { hash, place, level, since, listed: false, initial: false };
                    let put =
                        stripe.put(&self.order, arrival, Cow::Borrowed(key), Arc::clone(object));
                    available += usize::from(put.available);
                    gone.stale += usize::from(put.stale);
                    if put.added == Added::Coalesced {
                        coalesced += 1;
                    } else {
                        added += 1;
                    }
                    if let Some(value) = put.displaced {
                        displaced.push(value);
                    }
                }
                Change::Delete(_) => {
                    // What this batch had made available is so no more.
                    let fresh = |place| place >= first;
                    let fresh = stripe.is_available(hash, key, fresh);
                    available -= usize::from(fresh);
                    stripe.delete(&self.order, hash, key.as_ref(), &mut gone);
                }
            }
        }
        let after = entries(&stripes);
        let depths = stripes.iter().flatten().map(|stripe| stripe.tally.depth);
        let depth = if gone.stale > 0 { depths.min().unwrap_or(0) } else { 0 };
        drop(stripes);
        self.adjust_held(after, before);
        self.waiters.notify(available);
        self.left(&gone, depth, 0);
        self.observe(|observer| {
            (0..added).for_each(|_| observer.added());
            (0..coalesced).for_each(|_| observer.coalesced());
        });
        Ok(())
    }

    /// Makes the listed objects, in the order of the list, all that waits; as one, too.
    pub(in crate::fifo) fn replace(self: &Arc<Self>, listing: &Listing<T>) -> Result<(), Closed> {
        let mut stripes = self.all();
        if !self.is_open() {
            drop(stripes);
            return Err(self.refuse());
        }
        let initial = self.begin_sync();
        let objects = listing.objects();
        let since = self.now_if_timed();
        let level = self.order.line.level(Level::List);
        let first = self.order.line.places(objects.len());
        let before: usize = stripes.iter().map(|stripe| stripe.len()).sum();
        // Every key that waits is about to get a new place, or to go.
        self.order.line.clear();
        let (mut available, mut added) = (0, 0_usize);
        let mut displaced = Vec::new();
        for (place, (key, object)) in (first..).zip(objects) {
            let hash = self.hash(key.as_ref());
            let arrival = Arrival { hash, place: Some(place), level, since, listed: true, initial };
            let stripe = &mut stripes[self.index(hash)];
            let put = stripe.put(&self.order, arrival, Cow::Borrowed(key), Arc::clone(object));
            available += usize::from(put.available);
            added += usize::from(put.added != Added::Coalesced);
            displaced.extend(put.displaced);
        }
        let mut gone = Gone::default();
        for stripe in &mut stripes {
            stripe.retain_listed(&self.order, first, &mut gone);
        }
        if initial {
            // ORDERING: relaxed: `settle` of any of these keys comes after a section of its stripe's
            // lock, which we hold.
            self.unsynced.store(objects.len(), Ordering::Relaxed);
        }
        let after: usize = stripes.iter().map(|stripe| stripe.len()).sum();
        drop(stripes);
        self.adjust_held(after, before);
        self.waiters.notify(available);
        gone.stale = 0;
        self.left(&gone, 0, 0);
        if initial && objects.is_empty() {
            self.finish_sync();
        }
        self.observe(|observer| {
            (0..added).for_each(|_| observer.added());
            (added..objects.len()).for_each(|_| observer.coalesced());
        });
        Ok(())
    }
}

/// The key is asked for before any lock is taken, since it is the user's code that answers.
fn keyed<T: Object>(object: Arc<T>) -> Result<(Key, Arc<T>), AddError<T>> {
    match object.key() {
        Ok(key) => Ok((key, object)),
        Err(source) => Err(AddError::Key { object, source }),
    }
}
