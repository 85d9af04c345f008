//! A list of keys and values, with all keys' texts in one allocation.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::iter::FusedIterator;

use foldhash::fast::RandomState;

use crate::KeyRef;
use crate::key::split;
use crate::panic::drop_all;

/// A list of values, each with a key. Adding one appends the key's text to the others': no key has an
/// allocation of its own, and user code is not asked for it again.
///
/// The keys are valid: whoever adds one has checked it.
///
/// Values are dropped one by one where several are: see [`drop_all`].
#[derive(Clone)]
pub(crate) struct Keyed<V> {
    texts: String,
    entries: Vec<(Span, V)>,
}

/// Where in the texts a key is.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    len: usize,
    namespace_len: usize,
}

impl Span {
    fn text(self, texts: &str) -> &str {
        &texts[self.start..self.start + self.len]
    }

    fn key(self, texts: &str) -> KeyRef<'_> {
        KeyRef::from(split(self.text(texts), self.namespace_len))
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
        let (namespace, name) = key.parts();
        let start = self.texts.len();
        self.texts.push_str(namespace);
        self.texts.push_str(key.separator());
        self.texts.push_str(name);
        let len = self.texts.len() - start;
        Pending { list: self, span: Span { start, len, namespace_len: namespace.len() } }
    }

    pub(crate) fn iter(&self) -> Iter<'_, V> {
        Iter { texts: &self.texts, entries: self.entries.iter() }
    }

    /// Maps the values, in the same order; a key whose value becomes `None` is left out.
    #[cfg(feature = "reflector")]
    pub(crate) fn filter_map<W>(mut self, mut value: impl FnMut(V) -> Option<W>) -> Keyed<W> {
        let entries = std::mem::take(&mut self.entries).into_iter();
        let entries = entries.filter_map(|(span, old)| Some((span, value(old)?))).collect();
        Keyed { texts: std::mem::take(&mut self.texts), entries }
    }

    /// Keeps only these keys.
    #[cfg(feature = "reflector")]
    pub(crate) fn retain(&mut self, keep: impl Fn(KeyRef<'_>) -> bool) {
        let Self { texts, entries } = self;
        entries.retain(|(span, _)| keep(span.key(texts)));
    }

    /// Keeps the last value of each key, at the position of the first.
    pub(crate) fn keep_last(&mut self) {
        if self.is_distinct() {
            return;
        }
        let Self { texts, entries } = self;
        let mut place: HashMap<&str, usize, RandomState> =
            HashMap::with_capacity_and_hasher(entries.len(), RandomState::default());
        let mut kept = 0;
        for i in 0..entries.len() {
            match place.entry(entries[i].0.text(texts)) {
                Entry::Occupied(first) => entries.swap(*first.get(), i),
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
        let texts = || self.entries.iter().map(|(span, _)| span.text(&self.texts));
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
    span: Span,
}

impl<V> Pending<'_, V> {
    #[cfg(feature = "reflector")]
    pub(crate) fn key(&self) -> KeyRef<'_> {
        self.span.key(&self.list.texts)
    }

    pub(crate) fn push(self, value: V) {
        self.list.entries.push((self.span, value));
    }
}

pub(crate) struct Iter<'l, V> {
    texts: &'l str,
    entries: std::slice::Iter<'l, (Span, V)>,
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
        let (span, value) = self.entries.next()?;
        Some((span.key(self.texts), value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl<V> ExactSizeIterator for Iter<'_, V> {}

impl<V> FusedIterator for Iter<'_, V> {}

#[cfg(test)]
mod tests {
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
