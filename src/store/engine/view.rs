//! Reading at one revision, by key.

use super::bucket::Tag;
use super::chain::object_at;
use super::pin::Pin;
use super::prefetch::prefetch_counts;
use super::revision::Revision;
use super::table::Table;
use super::{Engine, Hash};
use crate::sync::Arc;
use crate::{ArcRef, KeyRef, ResourceVersion};

/// Keys whose places are loaded together.
const AT_ONCE: usize = 16;

/// A key and its object.
pub(crate) type Entry<'a, T> = (KeyRef<'a>, ArcRef<'a, T>);

/// An engine's content at one revision, which something else protects for `'a`: a pin since before
/// the revision was learnt, or a hold on it.
pub(crate) struct View<'a, T> {
    pub(super) engine: &'a Engine<T>,
    pub(super) revision: &'a Revision<T>,
}

impl<T> Clone for View<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for View<'_, T> {}

impl<'a, T> View<'a, T> {
    #[inline]
    pub(crate) fn number(self) -> u64 {
        self.revision.number
    }

    /// How many publications there were before this one.
    pub(crate) fn sequence(self) -> u64 {
        self.revision.sequence
    }

    pub(crate) fn len(self) -> usize {
        self.revision.len
    }

    pub(crate) fn resource_version(self) -> Option<&'a ResourceVersion> {
        self.revision.resource_version.as_ref()
    }

    pub(crate) fn is_synced(self) -> bool {
        self.revision.synced
    }

    /// The object of a key. The pin proves that the thread is pinned meanwhile.
    #[inline]
    pub(crate) fn get(self, key: KeyRef<'_>, pin: &Pin) -> Option<ArcRef<'a, T>> {
        self.look_up::<false>(key, pin)
    }

    /// As [`get`](Self::get), to share.
    #[inline]
    pub(super) fn share(self, key: KeyRef<'_>, pin: &Pin) -> Option<Arc<T>> {
        self.look_up::<true>(key, pin).map(ArcRef::to_arc)
    }

    #[inline]
    fn look_up<const SHARE: bool>(self, key: KeyRef<'_>, pin: &Pin) -> Option<ArcRef<'a, T>> {
        let hash = self.engine.hash(key);
        // SAFETY: pinned for longer than the table is used.
        let table = unsafe { self.engine.shard(hash).table() }?;
        self.find::<SHARE>(table, key, hash, pin)
    }

    #[inline]
    fn find<const SHARE: bool>(
        self,
        table: &Table<T>,
        key: KeyRef<'_>,
        hash: Hash,
        _pin: &Pin,
    ) -> Option<ArcRef<'a, T>> {
        // SAFETY: pinned; this view's revision is protected for `'a`.
        unsafe { ArcRef::at(table.find::<SHARE>(key, hash.0, self.revision.number)) }
    }

    /// As [`get`](Self::get), for several keys, prefetched together some keys at a time, to share.
    pub(crate) fn get_each(
        self,
        keys: &[KeyRef<'_>],
        pin: &Pin,
        mut each: impl FnMut(Option<ArcRef<'a, T>>),
    ) {
        for keys in keys.chunks(AT_ONCE) {
            let mut found = [None; AT_ONCE];
            for (found, &key) in found.iter_mut().zip(keys) {
                let hash = self.engine.hash(key);
                // SAFETY: pinned for longer than the table is used.
                let table = unsafe { self.engine.shard(hash).table() };
                *found = table.map(|table: &Table<T>| (table, table.prefetch_home(hash.0), hash));
            }
            for (_, home, hash) in found.iter().flatten() {
                if let Some((record, object)) = home.hint(Tag::of(hash.0)) {
                    record.prefetch_key();
                    prefetch_counts(object);
                }
            }
            for (found, &key) in found.iter().zip(keys) {
                each(found.and_then(|(table, _, hash)| self.find::<true>(table, key, hash, pin)));
            }
        }
    }

    /// Calls `changed` with the entries before and after, for every key that differs between this view
    /// and another of the same engine. Reads the stamp of each shard, of each group of buckets in the shards that
    /// changed, and each bucket in the groups that did.
    ///
    /// The thread is pinned while `changed` runs.
    pub(crate) fn changes<'b>(
        self,
        other: View<'b, T>,
        mut changed: impl FnMut(Option<Entry<'a, T>>, Option<Entry<'b, T>>),
    ) {
        assert!(self.same_engine(other), "views of two engines have no difference");
        let since = self.number().min(other.number());
        for shard in &*self.engine.shards {
            if !shard.stamp.is_after(since) {
                continue;
            }
            let _pin = Pin::new();
            // SAFETY: pinned; both views are protected for their lifetimes.
            unsafe {
                let Some(table) = shard.table() else { continue };
                for record in table.records_changed_since(since) {
                    let mine = object_at(record, self.number());
                    let others = object_at(record, other.number());
                    if mine != others {
                        let key = record.key();
                        let mine = ArcRef::at(mine).map(|mine| (key, mine));
                        let others = ArcRef::at(others).map(|others| (record.key(), others));
                        changed(mine, others);
                    }
                }
            }
        }
    }

    pub(crate) fn is_of(self, engine: &Engine<T>) -> bool {
        std::ptr::eq(self.engine, engine)
    }

    pub(crate) fn same_engine(self, other: View<'_, T>) -> bool {
        std::ptr::eq(self.engine, other.engine)
    }
}
