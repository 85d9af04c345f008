//! A list while it arrives.

use std::hash::BuildHasher;
use std::sync::Arc;

use super::paging::Paging;
use crate::keyed::{Keyed, Pending};
use crate::reflector::Undecodable;
use crate::sync::mark_hasher;
use crate::version::number_of;
use crate::{KeyRef, ResourceVersion};

/// The content of a list so far.
pub(super) struct Draft<T> {
    taken: Keyed<Taken<T>>,
    /// Objects that could not be decoded and whose key is unknown.
    nameless: usize,
    /// The first page's version: every change after it is still to come.
    version: Option<ResourceVersion>,
    /// The newest page's version.
    newest_page: Option<u64>,
    newest_object: Option<u64>,
    /// A hash of the keys and versions, in whatever order: that is the source's affair.
    content: u64,
    /// Whether there is an object that the sinks do not hold in this version.
    unheld: bool,
    /// Whether later pages are newer than the first.
    mixed: bool,
    pub(super) paging: Paging,
    /// Bytes of the objects, for sources that do not count what they receive.
    size: u64,
    received_before: u64,
    relist: bool,
}

/// The state of a key in the list so far.
pub(super) enum Taken<T> {
    Object(Arc<T>),
    Bad(Box<Undecodable>),
    /// Deleted within a streaming list.
    Gone,
}

/// A complete list.
pub(super) struct Content<T> {
    pub(super) objects: Keyed<Arc<T>>,
    pub(super) bad: Vec<Undecodable>,
    pub(super) version: Option<ResourceVersion>,
    pub(super) mixed: bool,
    /// Whether it has an object that is newer than itself.
    pub(super) exceeded: bool,
    /// The version of its newest object.
    pub(super) newest: Option<u64>,
    /// A hash of its keys and versions, unless it named some key twice.
    pub(super) content: Option<u64>,
    /// Whether the sinks were without one of its objects.
    pub(super) unheld: bool,
}

impl<T> Draft<T> {
    pub(super) fn new(received_before: u64, relist: bool) -> Self {
        Self {
            taken: Keyed::new(),
            nameless: 0,
            version: None,
            newest_page: None,
            newest_object: None,
            content: 0,
            unheld: false,
            mixed: false,
            paging: Paging::default(),
            size: 0,
            received_before,
            relist,
        }
    }

    pub(super) fn is_relist(&self) -> bool {
        self.relist
    }

    pub(super) fn len(&self) -> usize {
        self.taken.len() + self.nameless
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn reserve(&mut self, more: usize) {
        self.taken.reserve(more);
    }

    /// A page of this version follows; an empty one means none.
    pub(super) fn page_of(&mut self, version: Option<ResourceVersion>) {
        let Some(version) = version.filter(|version| !version.as_str().is_empty()) else { return };
        self.newest_page = self.newest_page.max(version.number());
        match &self.version {
            None => self.version = Some(version),
            Some(first) => self.mixed |= *first != version,
        }
    }

    /// Records an object of this version.
    pub(super) fn saw(
        &mut self,
        key: KeyRef<'_>,
        version: Option<&str>,
        size: impl FnOnce() -> usize,
    ) {
        self.newest_object = self.newest_object.max(version.and_then(number_of));
        self.size = self.size.saturating_add(size() as u64);
        self.saw_key(key, version);
    }

    /// Records that the key is there in this version, good or bad.
    pub(super) fn saw_key(&mut self, key: KeyRef<'_>, version: Option<&str>) {
        let mark = mark_hasher().hash_one((key, version));
        self.content = self.content.wrapping_add(mark);
    }

    /// The sinks do not hold what was seen last.
    pub(super) fn lacks(&mut self) {
        self.unheld = true;
    }

    /// Takes a key, which was checked; its state follows.
    pub(super) fn key(&mut self, key: KeyRef<'_>) -> Pending<'_, Taken<T>> {
        self.taken.key(key)
    }

    pub(super) fn nameless(&mut self) {
        self.nameless += 1;
        self.paging.nameless();
    }

    /// Bytes that the list brought, given how many the source has received by now.
    pub(super) fn bytes(&self, received: u64) -> u64 {
        if received > 0 { received.saturating_sub(self.received_before) } else { self.size }
    }

    /// For each key, the last state counts.
    pub(super) fn finish(mut self) -> Content<T> {
        let taken = self.taken.len();
        self.taken.keep_last();
        let mut distinct = taken == self.taken.len();
        let mut bad = Vec::new();
        let objects = self.taken.filter_map(|taken| match taken {
            Taken::Object(object) => Some(object),
            Taken::Bad(undecodable) => {
                bad.push(*undecodable);
                None
            }
            Taken::Gone => {
                distinct = false;
                None
            }
        });
        // An object that is newer than the list it is in: a source that joins several others and
        // leaves each one's own versions in its objects.
        let exceeded = self.newest_page.is_some() && self.newest_object > self.newest_page;
        Content {
            objects,
            bad,
            version: self.version,
            mixed: self.mixed,
            exceeded,
            newest: self.newest_object,
            content: distinct.then_some(self.content),
            unheld: self.unheld,
        }
    }
}
