//! Recording what a publication changed, for the change feed.
//!
//! A key that changes several times before a publication changes once: from what was published before to
//! what is published now.

use std::ptr;

use super::cell::Cell;
use super::chain::Old;
use super::reclaim::Reclaim;
use super::record::RecordRef;
use super::weight;
use crate::panic::let_go;
use crate::sync::Arc;
use crate::{ArcRef, Key, KeyRef, ResourceVersion};

/// One publication.
pub(crate) struct Publication<T> {
    /// How many there were before it.
    pub(crate) sequence: u64,
    /// The revision that it made, or that it left where only the source's version moved.
    pub(crate) revision: u64,
    pub(crate) resource_version: Option<ResourceVersion>,
    pub(crate) synced: bool,
    pub(crate) changes: Changes<T>,
    /// Bytes of the objects before and after, and of what the store keeps of what was before.
    pub(crate) object_bytes: usize,
}

/// Keys, each with the objects before and after.
pub(crate) struct Changes<T> {
    /// The keys' parts, one after the other.
    text: String,
    entries: Vec<Entry<T>>,
    /// Keys of which something is assumed from here on, or nothing any more.
    pub(crate) assumed: Vec<(Key, Option<Assumption<T>>)>,
}

/// What a key holds that is only assumed, and what the source said of it.
pub(crate) struct Assumption<T> {
    pub(crate) object: Arc<T>,
    pub(crate) told: Option<Arc<T>>,
}

impl<T> Assumption<T> {
    /// Its objects, whose destructors are user code.
    pub(crate) fn into_objects(self) -> impl Iterator<Item = Arc<T>> {
        [Some(self.object), self.told].into_iter().flatten()
    }
}

impl<T> Clone for Assumption<T> {
    fn clone(&self) -> Self {
        Self { object: Arc::clone(&self.object), told: self.told.clone() }
    }
}

/// Its key's parts lie in the text from `start` on, namespace then name.
struct Entry<T> {
    start: usize,
    namespace_len: u32,
    name_len: u32,
    old: Option<Arc<T>>,
    new: Option<Arc<T>>,
}

/// A key, and its objects before and after.
pub(crate) type Changed<'a, T> = (KeyRef<'a>, Option<ArcRef<'a, T>>, Option<ArcRef<'a, T>>);

impl<T> Changes<T> {
    pub(crate) fn new() -> Self {
        Self::with_capacity(0, 0)
    }

    fn with_capacity(entries: usize, text: usize) -> Self {
        let (text, entries) = (String::with_capacity(text), Vec::with_capacity(entries));
        Self { text, entries, assumed: Vec::new() }
    }

    /// Adds a key, unless its object is the same before and after.
    pub(crate) fn push(&mut self, key: KeyRef<'_>, old: Option<&Arc<T>>, new: Option<&Arc<T>>) {
        let same = match (old, new) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (old, new) => old.is_none() && new.is_none(),
        };
        if same {
            return;
        }
        let (namespace, name) = key.parts();
        let len = |part: &str| u32::try_from(part.len()).expect("a key's part is below 4 GiB");
        let (namespace_len, name_len) = (len(namespace), len(name));
        let start = self.text.len();
        self.text.push_str(namespace);
        self.text.push_str(name);
        let (old, new) = (old.cloned(), new.cloned());
        self.entries.push(Entry { start, namespace_len, name_len, old, new });
    }

    /// How many keys changed, and of how many what is assumed did.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() + self.assumed.len()
    }

    /// Whether no key's object changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether nothing changed at all, not even what is assumed.
    pub(crate) fn is_progress(&self) -> bool {
        self.entries.is_empty() && self.assumed.is_empty()
    }

    /// Bytes, without objects.
    pub(crate) fn bytes(&self) -> usize {
        let entries = weight::allocated(self.entries.capacity() * size_of::<Entry<T>>());
        let assumed = self.assumed.capacity() * size_of::<(Key, Option<Assumption<T>>)>();
        let texts: usize = self.assumed.iter().map(|(key, _)| key.as_str().len()).sum();
        weight::allocated(self.text.capacity()) + entries + assumed + texts
    }

    #[inline]
    pub(crate) fn iter(&self) -> ChangesIter<'_, T> {
        ChangesIter { text: &self.text, entries: self.entries.iter() }
    }

    /// Takes its objects out.
    pub(crate) fn take_objects(&mut self) -> impl Iterator<Item = Arc<T>> + use<T> {
        let entries = std::mem::take(&mut self.entries);
        let assumed = std::mem::take(&mut self.assumed).into_iter().filter_map(|(_, now)| now);
        let entries = entries.into_iter().flat_map(|entry| [entry.old, entry.new]).flatten();
        entries.chain(assumed.flat_map(Assumption::into_objects))
    }
}

/// The changes in their order.
pub(crate) struct ChangesIter<'a, T> {
    text: &'a str,
    entries: std::slice::Iter<'a, Entry<T>>,
}

impl<'a, T> Iterator for ChangesIter<'a, T> {
    type Item = Changed<'a, T>;

    #[inline]
    fn next(&mut self) -> Option<Changed<'a, T>> {
        let entry = self.entries.next()?;
        let name = entry.start + entry.namespace_len as usize;
        let end = name + entry.name_len as usize;
        debug_assert!(
            self.text.get(entry.start..name).is_some() && self.text.get(name..end).is_some()
        );
        // SAFETY: `push` alone adds entries, and has appended both parts, of these lengths, at `start`; nothing
        // shortens the text. That nobody looks at a key then costs nothing.
        let key = unsafe {
            KeyRef::from((
                self.text.get_unchecked(entry.start..name),
                self.text.get_unchecked(name..end),
            ))
        };
        Some((key, entry.old.as_ref().map(ArcRef::from), entry.new.as_ref().map(ArcRef::from)))
    }
}

impl<T> Drop for Changes<T> {
    fn drop(&mut self) {
        let_go(self.take_objects());
    }
}

/// The writer's notes on the batch that is being built, if anyone subscribes.
pub(super) struct Recorder<T> {
    pub(super) is_on: bool,
    /// The records that the batch changed, each once.
    records: Vec<RecordRef<T>>,
    /// What was published last, until it is taken.
    pub(super) published: Option<Publication<T>>,
}

impl<T> Recorder<T> {
    pub(super) fn new() -> Self {
        Self { is_on: false, records: Vec::new(), published: None }
    }

    #[inline]
    pub(super) fn changed(&mut self, record: RecordRef<T>) {
        if self.is_on {
            self.records.push(record);
        }
    }

    /// Notes a publication of what was changed, in a store with so many indexes.
    ///
    /// # Safety
    /// The caller is the writer, the batch was published, and nothing was freed since it was begun.
    pub(super) unsafe fn publish(
        &mut self,
        sequence: u64,
        revision: u64,
        resource_version: Option<ResourceVersion>,
        synced: bool,
        indexes: usize,
        reclaim: &Reclaim<T>,
    ) {
        // SAFETY: changed by this batch, so not freed.
        let text = self.records.iter().map(|record| unsafe { Cell::len(record.cell()) }).sum();
        let mut changes = Changes::with_capacity(self.records.len(), text);
        let mut object_bytes = 0_usize;
        for record in self.records.drain(..) {
            // SAFETY: as above. What it held before this batch is in its chain, since that is freed after this
            // publication at the earliest, and was put there by this batch.
            let (key, hot, old) =
                unsafe { (record.key(), record.hot(), record.cold().old().as_ref()) };
            let superseded = old.map_or(0, |old| weight::old::<T>(!old.object().is_null()));
            let old = old.map_or(ptr::null(), Old::object);
            // SAFETY: what was before, and what is now, is alive, as above.
            let (old, new) = unsafe { (ArcRef::at(old), ArcRef::at(hot.newest())) };
            let (old, new) = (old.as_deref(), new.as_deref());
            let own = match new {
                Some(_) => weight::object::<T>(),
                // SAFETY: as above.
                None => weight::record::<T>(unsafe { Cell::len(record.cell()) }),
            };
            // What comes or goes is in another page of each index, and a content in the log has the one before.
            let pages = if old.is_some() && new.is_some() { 0 } else { indexes };
            let overhead = superseded + own;
            let overhead = overhead.saturating_add(pages.saturating_mul(weight::page()));
            let before = changes.len();
            changes.push(key, old, new);
            if changes.len() > before {
                let bytes = reclaim.measure(old).saturating_add(reclaim.measure(new));
                object_bytes = object_bytes.saturating_add(bytes).saturating_add(overhead);
            }
        }
        self.published = Some(Publication {
            sequence,
            revision,
            resource_version,
            synced,
            changes,
            object_bytes,
        });
    }
}
