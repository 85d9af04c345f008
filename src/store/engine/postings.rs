//! The records of one value of an index, in key order.
//!
//! A persistent sequence of sorted pages: a clone shares them all, and a change copies one page and
//! the way to it, so it costs O(log records) and a page, whatever the length. Not a tree of a
//! library's: a B+ tree may keep a removed key as a separator, and records are freed once removed.

use std::ops::Bound;

use super::record::RecordRef;
use crate::KeyRef;
use crate::sync::Arc;

/// A page is split when it reaches this length, and joined with the next when both fit into half.
pub(super) const PAGE: usize = 128;

type Page<T> = Arc<Vec<RecordRef<T>>>;

pub(super) enum Postings<T> {
    /// Values that name one object are common (an address, a uid) and need no page.
    One(RecordRef<T>),
    /// As are those of a few (an owner, a node).
    Few(Page<T>),
    Many(Arc<Pages<T>>),
}

/// Pages, none of them empty.
pub(super) struct Pages<T> {
    pages: imbl::Vector<Page<T>>,
    len: usize,
}

/// The result of removing a record.
pub(super) enum Removed {
    /// It was not there.
    No,
    Yes,
    /// It was the only one: the postings are of no use any more.
    Last,
    /// It is the only one and still there, since it has no page: it is removed with the postings.
    Only,
}

impl<T> Clone for Postings<T> {
    fn clone(&self) -> Self {
        match self {
            Self::One(record) => Self::One(*record),
            Self::Few(page) => Self::Few(Arc::clone(page)),
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
            Self::Few(page) => page.len(),
            Self::Many(pages) => pages.len,
        }
    }

    /// # Safety
    /// The records are alive, this one too, and the caller is the writer.
    pub(super) unsafe fn insert(&mut self, record: RecordRef<T>) {
        match self {
            Self::One(first) if *first == record => {}
            Self::One(first) => {
                let mut page = vec![*first];
                // SAFETY: alive, and this is the writer.
                unsafe { insert(&mut page, record) };
                *self = Self::Few(Arc::new(page));
            }
            Self::Few(page) => {
                let held = Arc::make_mut(page);
                // SAFETY: alive, and this is the writer.
                let (_, rest) = unsafe { insert(held, record) };
                if let Some(rest) = rest {
                    let len = held.len() + rest.len();
                    let pages = [Arc::clone(page), Arc::new(rest)].into_iter().collect();
                    *self = Self::Many(Arc::new(Pages { pages, len }));
                }
            }
            // SAFETY: alive, and this is the writer.
            Self::Many(pages) => unsafe { Arc::make_mut(pages).insert(record) },
        }
    }

    /// Removes a record.
    ///
    /// # Safety
    /// As for [`insert`](Self::insert).
    pub(super) unsafe fn remove(&mut self, record: RecordRef<T>) -> Removed {
        // SAFETY: alive, and this is the writer.
        let (removed, left) = unsafe {
            match self {
                Self::One(only) if *only == record => return Removed::Only,
                Self::One(_) => return Removed::No,
                Self::Few(page) => (remove(page, record), page.len()),
                Self::Many(pages) => (Arc::make_mut(pages).remove(record), pages.len),
            }
        };
        match removed {
            false => Removed::No,
            true if left == 0 => Removed::Last,
            true => Removed::Yes,
        }
    }

    /// Whether this is the one record, without a page.
    pub(super) fn is_one(&self, record: RecordRef<T>) -> bool {
        matches!(self, Self::One(only) if *only == record)
    }

    /// The records from a bound on.
    ///
    /// # Safety
    /// The records are alive, and the caller is pinned.
    pub(super) unsafe fn from<'a>(&'a self, bound: Bound<KeyRef<'_>>) -> Records<'a, T> {
        // SAFETY: the records are alive, and the caller is pinned.
        let before = |record: RecordRef<T>| unsafe { is_before(record, bound) };
        let (page, pages) = match self {
            Self::One(only) => (std::slice::from_ref(only), None),
            Self::Few(page) => (page.as_slice(), None),
            Self::Many(pages) => {
                let first = pages.first_page(before);
                let page = pages.pages.get(first).map_or(&[][..], |page| page.as_slice());
                let rest = (first + 1).min(pages.pages.len());
                (page, Some(pages.pages.focus().narrow(rest..).into_iter()))
            }
        };
        let start = page.partition_point(|record| before(*record));
        Records { page: page[start..].iter(), pages }
    }
}

/// Returns whether a record lies before a bound.
///
/// # Safety
/// The record is alive, and the caller is pinned.
unsafe fn is_before<T>(record: RecordRef<T>, bound: Bound<KeyRef<'_>>) -> bool {
    // SAFETY: alive, and the caller is pinned.
    let key = || unsafe { record.key() };
    match bound {
        Bound::Unbounded => false,
        Bound::Included(bound) => key() < bound,
        Bound::Excluded(bound) => key() <= bound,
    }
}

/// Puts a record into a page. Returns whether it was not there, and what the page has no more room for.
///
/// # Safety
/// As for [`Postings::insert`].
unsafe fn insert<T>(
    page: &mut Vec<RecordRef<T>>,
    record: RecordRef<T>,
) -> (bool, Option<Vec<RecordRef<T>>>) {
    // SAFETY: the records are alive, and this is the writer.
    let place = page.binary_search_by(|held| unsafe { held.compare(record) });
    let Err(place) = place else { return (false, None) };
    if page.len() == page.capacity() {
        // Grows by an eighth, not by doubling: a store has a page for every hundred objects.
        page.reserve_exact(page.len() / 8 + 1);
    }
    page.insert(place, record);
    if page.len() < PAGE {
        return (true, None);
    }
    // A source that lists in key order appends: leave it full pages behind.
    let half = if place + 1 == page.len() { page.len() - 1 } else { page.len() / 2 };
    let rest = page.split_off(half);
    page.shrink_to_fit();
    (true, Some(rest))
}

/// Takes a record out of a page, if it is there. The page is copied only then.
///
/// # Safety
/// As for [`Postings::insert`].
unsafe fn remove<T>(page: &mut Page<T>, record: RecordRef<T>) -> bool {
    // SAFETY: the records are alive, and this is the writer.
    let place = page.binary_search_by(|held| unsafe { held.compare(record) });
    let Ok(place) = place else { return false };
    let page = Arc::make_mut(page);
    page.remove(place);
    if page.len() < page.capacity() / 4 {
        // After a mass delete.
        page.shrink_to(2 * page.len());
    }
    true
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

    /// # Safety
    /// As for [`Postings::insert`].
    unsafe fn insert(&mut self, record: RecordRef<T>) {
        // SAFETY: the records are alive, and this is the writer.
        let order = |held: RecordRef<T>| unsafe { held.compare(record) };
        let at = self.first_page(|last| order(last).is_lt()).min(self.pages.len() - 1);
        let Some(page) = self.pages.get_mut(at) else { return };
        // SAFETY: as above.
        let (inserted, rest) = unsafe { insert(Arc::make_mut(page), record) };
        self.len += usize::from(inserted);
        if let Some(rest) = rest {
            self.pages.insert(at + 1, Arc::new(rest));
        }
    }

    /// # Safety
    /// As for [`Postings::insert`].
    unsafe fn remove(&mut self, record: RecordRef<T>) -> bool {
        // SAFETY: the records are alive, and this is the writer.
        let order = |held: RecordRef<T>| unsafe { held.compare(record) };
        let at = self.first_page(|last| order(last).is_lt());
        let Some(page) = self.pages.get_mut(at) else { return false };
        // SAFETY: as above.
        if !unsafe { remove(page, record) } {
            return false;
        }
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
        true
    }
}

/// Records of one value, in key order.
pub(super) struct Records<'a, T> {
    page: std::slice::Iter<'a, RecordRef<T>>,
    pages: Option<imbl::vector::Iter<'a, Page<T>, imbl::shared_ptr::DefaultSharedPtr>>,
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
