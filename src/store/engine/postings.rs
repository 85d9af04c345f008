//! The records of one value of an index, in key order.
//!
//! A persistent sequence of sorted pages: a clone shares them all, and a change copies one page and
//! the way to it, so it costs O(log records) and a page, whatever the length. Not a tree of a
//! library's: a B+ tree may keep a removed key as a separator, and records are freed once removed.

use std::cmp::Ordering;
use std::ops::Bound;

use super::record::RecordRef;
use crate::KeyRef;
use crate::sync::Arc;

/// A page is split when it reaches this length, and joined with the next when both fit into half.
const PAGE: usize = 128;

type Page<T> = Arc<Vec<RecordRef<T>>>;

pub(super) enum Postings<T> {
    /// Values that name one object are common (an address, a uid) and need no pages.
    One(RecordRef<T>),
    Many(Arc<Pages<T>>),
}

/// Pages, none of them empty.
pub(super) struct Pages<T> {
    pages: imbl::Vector<Page<T>>,
    len: usize,
}

impl<T> Clone for Postings<T> {
    fn clone(&self) -> Self {
        match self {
            Self::One(record) => Self::One(*record),
            Self::Many(pages) => Self::Many(Arc::clone(pages)),
        }
    }
}

impl<T> Clone for Pages<T> {
    fn clone(&self) -> Self {
        Self { pages: self.pages.clone(), len: self.len }
    }
}

impl<T> Postings<T> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(pages) => pages.len,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn insert(&mut self, record: RecordRef<T>) {
        if let Self::One(first) = *self {
            if first == record {
                return;
            }
            let pages = imbl::Vector::unit(Arc::new(vec![first]));
            *self = Self::Many(Arc::new(Pages { pages, len: 1 }));
        }
        if let Self::Many(pages) = self {
            Arc::make_mut(pages).insert(record);
        }
    }

    /// Removes a record, unless it is the only one there is: then the postings have no more use.
    pub(super) fn remove(&mut self, record: RecordRef<T>) {
        if let Self::Many(pages) = self {
            Arc::make_mut(pages).remove(record);
        }
    }

    pub(super) fn is_only(&self, record: RecordRef<T>) -> bool {
        matches!(self, Self::One(only) if *only == record)
    }

    /// The records from a bound on.
    pub(super) fn from<'a>(&'a self, bound: Bound<KeyRef<'_>>) -> Records<'a, T> {
        match self {
            Self::One(only) => Records {
                page: if before(*only, bound) {
                    [].iter()
                } else {
                    std::slice::from_ref(only).iter()
                },
                pages: None,
            },
            Self::Many(pages) => {
                let first = pages.first_page(|last| before(last, bound));
                let page = pages.pages.get(first).map_or(&[][..], |page| page.as_slice());
                let start = page.partition_point(|record| before(*record, bound));
                Records {
                    page: page[start..].iter(),
                    pages: Some(pages.pages.iter().skip(first + 1)),
                }
            }
        }
    }
}

/// Whether a record lies before a bound.
fn before<T>(record: RecordRef<T>, bound: Bound<KeyRef<'_>>) -> bool {
    // SAFETY: a record in an index is alive.
    let key = || unsafe { record.key() };
    match bound {
        Bound::Unbounded => false,
        Bound::Included(bound) => key() < bound,
        Bound::Excluded(bound) => key() <= bound,
    }
}

impl<T> Pages<T> {
    /// The first page whose last record is not `before`.
    fn first_page(&self, before: impl Fn(RecordRef<T>) -> bool) -> usize {
        let (mut low, mut high) = (0, self.pages.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if before(self.pages[middle][self.pages[middle].len() - 1]) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn insert(&mut self, record: RecordRef<T>) {
        let at = self.first_page(|last| last < record).min(self.pages.len() - 1);
        let Some(page) = self.pages.get_mut(at) else { return };
        let page = Arc::make_mut(page);
        let Err(place) = page.binary_search(&record) else { return };
        if page.len() == page.capacity() {
            // Less than by doubling: a store has as many pages as it has objects, over a hundred.
            page.reserve_exact(page.len() / 8 + 1);
        }
        page.insert(place, record);
        self.len += 1;
        if page.len() >= PAGE {
            // A source that lists in key order appends: leave it full pages behind.
            let half = if place + 1 == page.len() { page.len() - 1 } else { page.len() / 2 };
            let rest = page.split_off(half);
            page.shrink_to_fit();
            self.pages.insert(at + 1, Arc::new(rest));
        }
    }

    fn remove(&mut self, record: RecordRef<T>) {
        let at = self.first_page(|last| last < record);
        let Some(page) = self.pages.get_mut(at) else { return };
        let Ok(place) = page.binary_search_by(|held| held.cmp(&record)) else { return };
        let page = Arc::make_mut(page);
        page.remove(place);
        self.len -= 1;
        let left = page.len();
        let next = self.pages.get(at + 1).map_or(PAGE, |next| next.len());
        if left == 0 {
            self.pages.remove(at);
        } else if left + next <= PAGE / 2 {
            let next = self.pages.remove(at + 1);
            if let Some(page) = self.pages.get_mut(at) {
                Arc::make_mut(page).extend_from_slice(&next);
            }
        }
    }
}

/// Records of one value, in key order.
pub(super) struct Records<'a, T> {
    page: std::slice::Iter<'a, RecordRef<T>>,
    pages: Option<
        std::iter::Skip<imbl::vector::Iter<'a, Page<T>, imbl::shared_ptr::DefaultSharedPtr>>,
    >,
}

impl<T> Records<'_, T> {
    pub(super) fn empty() -> Self {
        Self { page: [].iter(), pages: None }
    }
}

impl<T> Iterator for Records<'_, T> {
    type Item = RecordRef<T>;

    #[inline]
    fn next(&mut self) -> Option<RecordRef<T>> {
        loop {
            if let Some(record) = self.page.next() {
                return Some(*record);
            }
            self.page = self.pages.as_mut()?.next()?.iter();
        }
    }
}

impl<T> PartialOrd for RecordRef<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

// By key. Two records of one key are never in one index, so this agrees with `Eq`.
impl<T> Ord for RecordRef<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        if self == other {
            return Ordering::Equal;
        }
        // SAFETY: a record in an index is alive, and so is one that is looked for.
        unsafe { self.key().cmp(&other.key()) }
    }
}
