//! The writer's part of the change feed: recording, logging and waking.

use std::iter;

use super::leaving::share;
use super::log::LogWriter;
use super::segment::{Amount, Batch};
use super::{Feed, WAITER};
use crate::store::engine::{Assumption, PinnedRevision, Publication, Unlocked, WriteGuard};
use crate::sync::PoisonError;
use crate::sync::atomic::Ordering;
use crate::{Key, Object};

/// Returns whether there are subscriptions in `interest`.
fn is_followed(interest: u64) -> bool {
    interest & (WAITER - 1) > 0
}

impl<T: Object> Feed<T> {
    /// The current interest. Call after a publication: see [`Feed::join`].
    #[inline]
    fn interest(&self) -> u64 {
        // ORDERING: Relaxed: the publication is ordered with all interest from before it. Interest that
        // is missed at the beginning of a batch is seen at its end.
        self.asked.interest.load(Ordering::Relaxed)
    }

    /// Whether objects that the log has let go of wait to be dropped.
    #[inline]
    fn is_leaving(&self) -> bool {
        // ORDERING: Relaxed: only the store's writer touches it, under its lock.
        self.asked.leaving.load(Ordering::Relaxed)
    }

    /// Call at the beginning of a batch: returns whether it has to be recorded.
    #[inline]
    pub(crate) fn begin(&self, guard: &mut WriteGuard<'_, T>) {
        let followed = is_followed(self.interest());
        if followed != guard.is_recording() {
            self.turn(guard, followed);
        }
    }

    /// Call after a publication.
    #[inline]
    pub(crate) fn published<'s>(
        &'s self,
        guard: &mut WriteGuard<'s, T>,
        is_relist: bool,
        assumed: Vec<(Key, Option<Assumption<T>>)>,
    ) {
        let interest = self.interest();
        if interest > 0 || guard.is_recording() {
            self.follow(guard, is_relist, assumed, interest);
        } else if self.is_leaving() {
            self.let_leave(guard, share(0));
        }
    }

    /// Drops at most so many of the objects that the log has let go of, once the lock is released. It lets go of as
    /// many at once as it has, which one write is not to pay for.
    #[cold]
    pub(in crate::store) fn let_leave(&self, guard: &mut WriteGuard<'_, T>, most: usize) {
        if self.is_leaving() {
            let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            self.leave_some(guard, &mut writer, most);
        }
    }

    fn leave_some(&self, guard: &mut WriteGuard<'_, T>, writer: &mut LogWriter<T>, most: usize) {
        writer.take_leaving(most).for_each(|object| guard.discard(object));
        // ORDERING: Relaxed: see `is_leaving`.
        self.asked.leaving.store(writer.is_leaving(), Ordering::Relaxed);
    }

    #[cold]
    fn turn(&self, guard: &mut WriteGuard<'_, T>, followed: bool) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        match followed {
            true => {
                writer.open(&self.log, &self.engine);
                writer.settle(&self.log, guard.sequence());
            }
            false => writer.end(&self.log),
        }
        guard.record(followed);
        self.leave_some(guard, &mut writer, share(0));
    }

    fn follow<'s>(
        &'s self,
        guard: &mut WriteGuard<'s, T>,
        is_relist: bool,
        assumed: Vec<(Key, Option<Assumption<T>>)>,
        interest: u64,
    ) {
        let mut publication = guard.take_publication();
        if let Some(publication) = &mut publication {
            let assumptions = assumed.iter().filter_map(|(_, now)| now.as_ref());
            let objects = assumptions.flat_map(|now| iter::once(&now.object).chain(&now.told));
            let bytes = objects.map(|object| guard.measure(object));
            let bytes = bytes.fold(publication.object_bytes, usize::saturating_add);
            publication.object_bytes = bytes;
            publication.changes.assumed = assumed;
        }
        if is_followed(interest) || publication.is_some() {
            self.log(guard, publication, is_relist);
        } else {
            self.let_leave(guard, share(0));
        }
        // Wakers are user code.
        guard.when_unlocked(self);
    }

    /// Adds a publication to the log, or restarts the log after one that was not recorded.
    fn log(
        &self,
        guard: &mut WriteGuard<'_, T>,
        publication: Option<Publication<T>>,
        is_relist: bool,
    ) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let most = share(publication.as_ref().map_or(0, |publication| publication.changes.len()));
        match publication {
            Some(publication) => {
                writer.push(&self.log, &self.engine, Batch { publication, is_relist });
                let (changes, bytes) = guard.retained();
                writer.revoke(&self.log, &self.cursors, Amount { changes, bytes });
            }
            None => {
                writer.open(&self.log, &self.engine);
                guard.record(true);
            }
        }
        writer.settle(&self.log, guard.sequence());
        self.leave_some(guard, &mut writer, most);
    }
}

impl<T: Object> Unlocked for Feed<T> {
    fn unlocked(&self) {
        // All threads are told before the first task.
        let _subscribers = self.subscribers.tell(u64::MAX);
        let is_whole = !self.readiness.is_told() && self.is_synced();
        let _whole = is_whole.then(|| self.tell_synced());
        if self.interest() >= WAITER {
            let pinned = PinnedRevision::new(&self.engine);
            let version = pinned.view().resource_version().and_then(|version| version.rank());
            let revision = pinned.view().number();
            drop(pinned);
            let _revisions = self.revisions.tell(revision);
            // ORDERING: Acquire pairs with the Release in `set_back`.
            let is_set_back = self.is_set_back.swap(false, Ordering::Acquire);
            if is_set_back || self.is_unordered() {
                // Whoever waits for a version hears that it has no order, or is of a history that is void.
                drop(self.versions.tell(u64::MAX));
            } else if let Some(version) = version {
                drop(self.versions.tell(version));
            }
        }
    }
}
