//! A list of keys and values, where no key costs an allocation of its own.

use std::collections::HashSet;
use std::fmt;
use std::hash::BuildHasher;
use std::iter::FusedIterator;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::key::split;
use crate::panic::drop_all;
use crate::{Key, KeyRef};

/// A list of values, each with a key. A key that is borrowed from a [`Key`] is a clone of that; the text of any
/// other is appended to one allocation, which all share. User code is not asked for a key again.
///
/// The keys are valid: whoever adds one has checked it.
///
/// Values are dropped one by one where several are: see [`drop_all`].
#[derive(Clone)]
pub(crate) struct Keyed<V> {
    texts: String,
    entries: Vec<(Place, V)>,
}

/// Where a key's text is.
#[derive(Clone)]
enum Place {
    /// In what the object itself holds: a sink that owns its keys clones it once more, without a copy.
    Own(Key),
    Shared(Span),
}

/// Where in the texts a key is.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    // Both fit, as a key's parts are at most `Key::MAX_PART` long.
    len: u32,
    /// Length of the namespace; 0 means cluster-scoped.
    namespace_len: u32,
}

// A place is looked at for each change: it is no larger than a key alone.
const _: () = assert!(size_of::<Place>() == size_of::<Key>());

impl Place {
    #[inline]
    fn text<'l>(&'l self, texts: &'l str) -> &'l str {
        match self {
            Self::Own(key) => key.as_str(),
            Self::Shared(span) => span.text(texts),
        }
    }

    #[inline]
    fn key<'l>(&'l self, texts: &'l str) -> KeyRef<'l> {
        match self {
            Self::Own(key) => key.as_ref(),
            Self::Shared(span) => span.key(texts),
        }
    }
}

impl Span {
    #[inline]
    fn text(self, texts: &str) -> &str {
        &texts[self.start..][..self.len as usize]
    }

    #[inline]
    fn key(self, texts: &str) -> KeyRef<'_> {
        KeyRef::from(split(self.text(texts), self.namespace_len as usize))
    }
}

impl<V> Keyed<V> {
    pub(crate) fn new() -> Self {
        Self { texts: String::new(), entries: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[cfg(feature = "reflector")]
    pub(crate) fn reserve(&mut self, more: usize) {
        self.entries.reserve(more);
    }

    /// Clears the list; its memory is kept.
    pub(crate) fn clear(&mut self) {
        self.texts.clear();
        drop_all(self.entries.drain(..));
    }

    pub(crate) fn into_values(mut self) -> impl Iterator<Item = V> {
        std::mem::take(&mut self.entries).into_iter().map(|(_, value)| value)
    }

    pub(crate) fn push(&mut self, key: KeyRef<'_>, value: V) {
        self.key(key).push(value);
    }

    /// Adds a key first, and its value by [`Pending::push`]: the key may be borrowed from that value.
    pub(crate) fn key(&mut self, key: KeyRef<'_>) -> Pending<'_, V> {
        let place = match key.owner() {
            Some(own) => Place::Own(own.clone()),
            None => Place::Shared(self.append(key)),
        };
        Pending { list: self, place }
    }

    fn append(&mut self, key: KeyRef<'_>) -> Span {
        let (namespace, name) = key.parts();
        let start = self.texts.len();
        self.texts.push_str(namespace);
        self.texts.push_str(key.separator());
        self.texts.push_str(name);
        let len = (self.texts.len() - start) as u32;
        Span { start, len, namespace_len: namespace.len() as u32 }
    }

    pub(crate) fn iter(&self) -> Iter<'_, V> {
        Iter { texts: &self.texts, entries: self.entries.iter() }
    }

    /// Maps the values, in the same order; a key whose value becomes `None` is left out.
    #[cfg(feature = "reflector")]
    pub(crate) fn filter_map<W>(mut self, mut value: impl FnMut(V) -> Option<W>) -> Keyed<W> {
        let entries = std::mem::take(&mut self.entries).into_iter();
        let entries = entries.filter_map(|(place, old)| Some((place, value(old)?))).collect();
        Keyed { texts: std::mem::take(&mut self.texts), entries }
    }

    /// Keeps only these keys.
    #[cfg(feature = "reflector")]
    pub(crate) fn retain(&mut self, keep: impl Fn(KeyRef<'_>) -> bool) {
        let Self { texts, entries } = self;
        entries.retain(|(place, _)| keep(place.key(texts)));
    }

    /// Keeps the last value of each key, at the position of the first.
    pub(crate) fn keep_last(&mut self) {
        if self.is_distinct() {
            return;
        }
        let Self { texts, entries } = self;
        let hasher = RandomState::default();
        let hash = |entries: &[(Place, V)], i: usize| hasher.hash_one(entries[i].0.text(texts));
        // Places of those that are kept: a text is borrowed from its place, and places move.
        let mut seen = HashTable::with_capacity(entries.len());
        let mut kept = 0;
        for i in 0..entries.len() {
            let text = entries[i].0.text(texts);
            let same = |&first: &usize| entries[first].0.text(texts) == text;
            match seen.entry(hash(entries, i), same, |&first| hash(entries, first)) {
                Entry::Occupied(first) => {
                    let first = *first.get();
                    entries.swap(first, i);
                }
                Entry::Vacant(vacant) => {
                    vacant.insert(kept);
                    entries.swap(kept, i);
                    kept += 1;
                }
            }
        }
        drop_all(entries.drain(kept..));
    }

    fn is_distinct(&self) -> bool {
        let texts = || self.entries.iter().map(|(place, _)| place.text(&self.texts));
        // The API server lists in key order, which is the cheap case.
        texts().is_sorted_by(|one, next| one < next) || {
            let mut seen: HashSet<&str, RandomState> =
                HashSet::with_capacity_and_hasher(self.len(), RandomState::default());
            texts().all(|text| seen.insert(text))
        }
    }
}

/// The values may be the last references to objects, whose destructors may panic: if several do, that is one panic
/// and not the end of the process.
impl<V> Drop for Keyed<V> {
    fn drop(&mut self) {
        if std::mem::needs_drop::<V>() {
            drop_all(self.entries.drain(..));
        }
    }
}

impl<V: fmt::Debug> fmt::Debug for Keyed<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.iter().map(|(key, value)| (key.to_string(), value));
        f.debug_list().entries(entries).finish()
    }
}

/// A key that was added to a list but has no value yet. Unless it gets one, it is not part of the list.
pub(crate) struct Pending<'l, V> {
    list: &'l mut Keyed<V>,
    place: Place,
}

impl<V> Pending<'_, V> {
    #[cfg(feature = "reflector")]
    pub(crate) fn key(&self) -> KeyRef<'_> {
        self.place.key(&self.list.texts)
    }

    pub(crate) fn push(self, value: V) {
        self.list.entries.push((self.place, value));
    }
}

pub(crate) struct Iter<'l, V> {
    texts: &'l str,
    entries: std::slice::Iter<'l, (Place, V)>,
}

impl<V> Clone for Iter<'_, V> {
    fn clone(&self) -> Self {
        Self { texts: self.texts, entries: self.entries.clone() }
    }
}

impl<'l, V> Iterator for Iter<'l, V> {
    type Item = (KeyRef<'l>, &'l V);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (place, value) = self.entries.next()?;
        Some((place.key(self.texts), value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl<V> ExactSizeIterator for Iter<'_, V> {}

impl<V> FusedIterator for Iter<'_, V> {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn list(keys: &[&str]) -> Keyed<usize> {
        let mut list = Keyed::new();
        for (i, key) in keys.iter().enumerate() {
            list.push((*key).into(), i);
        }
        list
    }

    fn found(list: &Keyed<usize>) -> Vec<(String, usize)> {
        list.iter().map(|(key, value)| (key.to_string(), *value)).collect()
    }

    fn expected(entries: &[(&str, usize)]) -> Vec<(String, usize)> {
        entries.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect()
    }

    #[test]
    fn keys_come_back_as_they_were_added() {
        let mut list = list(&["ns/a", "node", "n\u{e4}/\u{f6}", "ns/a"]);
        let keys: Vec<_> = list.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["ns/a", "node", "n\u{e4}/\u{f6}", "ns/a"].map(KeyRef::from));
        assert_eq!(list.iter().len(), 4);
        list.clear();
        list.push("b".into(), 7);
        assert_eq!(found(&list), expected(&[("b", 7)]));
    }

    #[test]
    fn a_key_without_a_value_is_no_part() {
        let mut list = list(&["a/x"]);
        let _ = list.key("a/y".into());
        list.push("a/z".into(), 1);
        assert_eq!(found(&list), expected(&[("a/x", 0), ("a/z", 1)]));
    }

    /// Keys of both kinds, in turn.
    fn mixed(keys: &[&str]) -> Keyed<usize> {
        let mut list = Keyed::new();
        for (i, text) in keys.iter().enumerate() {
            let own: Key = text.parse().unwrap();
            list.push(if i % 2 == 0 { own.as_ref() } else { (*text).into() }, i);
        }
        list
    }

    #[test]
    fn a_key_that_an_object_holds_is_not_copied() {
        let own: Key = "ns/a".parse().unwrap();
        let mut list = Keyed::new();
        list.push((&own).into(), 0);
        list.push("ns/b".into(), 1);
        let keys: Vec<_> = list.iter().map(|(key, _)| key.to_key_unchecked()).collect();
        assert_eq!(keys[0].as_str().as_ptr(), own.as_str().as_ptr());
        assert_eq!((keys[1].namespace(), keys[1].name()), (Some("ns"), "b"));
        list.clear();
        assert!(list.iter().next().is_none());
    }

    #[test]
    fn a_key_is_the_same_whoever_holds_its_text() {
        let mut twice = mixed(&["c", "a", "c", "b", "n/a", "a", "n/a", "d", "d"]);
        twice.keep_last();
        let expected = expected(&[("c", 2), ("a", 5), ("b", 3), ("n/a", 6), ("d", 8)]);
        assert_eq!(found(&twice), expected);
    }

    #[test]
    fn the_last_value_counts_in_the_place_of_the_first() {
        let mut sorted = list(&["a", "b", "c"]);
        sorted.keep_last();
        assert_eq!(found(&sorted), expected(&[("a", 0), ("b", 1), ("c", 2)]));
        let mut twice = list(&["c", "a", "c", "b", "a", "d"]);
        twice.keep_last();
        assert_eq!(found(&twice), expected(&[("c", 2), ("a", 4), ("b", 3), ("d", 5)]));
        let mut slashed = list(&["a/b", "/a/b"]);
        slashed.keep_last();
        assert_eq!(found(&slashed), expected(&[("a/b", 0), ("/a/b", 1)]));
    }
}
