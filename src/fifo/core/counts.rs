//! Counts that are kept beside the stripes: keys held, stale tickets, and the first list.

use super::{Core, SYNCED, SYNCING, UNTOUCHED};
use crate::Object;
use crate::fifo::line::Ticket;
use crate::sync::atomic::Ordering;

impl<T: Object> Core<T> {
    /// Counts one more key held, if there is room.
    pub(super) fn reserve(&self) -> bool {
        let Some(capacity) = self.settings.capacity else { return true };
        // ORDERING: relaxed, no partner: a count, which guards no data.
        let more = |held: usize| (held < capacity).then_some(held + 1);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Adds `more` to the keys held and takes `fewer` away.
    pub(super) fn adjust_held(&self, more: usize, fewer: usize) {
        if self.settings.capacity.is_some() && more != fewer {
            // ORDERING: relaxed, as in `reserve`. Wraps, and so does the sum.
            self.held.fetch_add(more.wrapping_sub(fewer), Ordering::Relaxed);
        }
    }

    /// Counts stale tickets; `depth` is that of one stripe. To be called with no lock held.
    pub(super) fn disown(&self, stale: usize, depth: u64) {
        if stale > 0 && self.order.line.disown(stale, depth as usize * self.stripes.len()) {
            self.order.line.compact(|ticket: Ticket| self.stripe(ticket.hash).holds(ticket));
        }
    }

    /// A queue that is fed before any replace has no initial list to wait for.
    pub(super) fn touch(&self) {
        // ORDERING: relaxed, as all of `synced`: it is a flag that guards no data.
        if self.synced.load(Ordering::Relaxed) == UNTOUCHED {
            let (from, to) = (UNTOUCHED, SYNCED);
            let _ = self.synced.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Whether this is the first replace.
    pub(super) fn begin_sync(&self) -> bool {
        let (from, to) = (UNTOUCHED, SYNCING);
        // ORDERING: relaxed, as in `touch`.
        self.synced.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    pub(super) fn settle(&self, keys: usize) {
        // ORDERING: acquire and release, so that who sees the last one sees all others' work too.
        if keys > 0 && self.unsynced.fetch_sub(keys, Ordering::AcqRel) == keys {
            self.finish_sync();
        }
    }

    pub(super) fn finish_sync(&self) {
        // ORDERING: release, with the acquire in `has_synced`: what was done with the keys is visible
        // to who learns that it was.
        self.synced.store(SYNCED, Ordering::Release);
    }

    pub(in crate::fifo) fn has_synced(&self) -> bool {
        // ORDERING: acquire, with the release in `finish_sync`.
        self.synced.load(Ordering::Acquire) == SYNCED
    }
}
