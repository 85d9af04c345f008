//! Freeing what nobody can see any more; the writer's work alone.
//!
//! A version is born at one revision and superseded at a later one. It is needed while
//!
//! - a pinned reader may be at a revision before the later one, or
//! - a snapshot holds a revision from the birth on, and before the later one.
//!
//! The first is told by epochs: each publication ends one, and a reader pinned at a later epoch
//! reads at that publication's revision or a newer one, so it stops before it reaches the version.
//! The second is told by the revisions themselves: each superseded version hangs on the newest held
//! revision that needs it, and moves to an older one, or goes, when that revision is let go. So a
//! snapshot retains what it alone can see, and nothing that came after it.
//!
//! A reader of an older snapshot walks through versions it does not need. A version that stands
//! between two needed ones is therefore unlinked first, and freed an epoch later.

use std::collections::VecDeque;
use std::ptr::NonNull;
use std::time::Instant;

use super::pin;
use super::record::RecordRef;
use super::revision::Revision;
use super::slab::Slabs;
use super::table::Table;
use super::version::Version;
use crate::sync::atomic::Ordering;

pub(super) struct Reclaim<T> {
    /// Revisions that a pinned reader may still be taking hold of, oldest first.
    superseded: VecDeque<Superseded<T>>,
    /// The versions that were superseded with them, in the same order.
    versions: VecDeque<NonNull<Version<T>>>,
    /// Revisions that snapshots hold, oldest first.
    held: Vec<Held<T>>,
    /// What no reader can find any more, with the epoch of its unlinking, oldest first.
    limbo: VecDeque<(u64, Unlinked<T>)>,
    /// How much lay here when the last attempt ended.
    left: usize,
    /// Whether a table came since then, which is worth an attempt of its own.
    table: bool,
}

struct Superseded<T> {
    revision: NonNull<Revision<T>>,
    /// The epoch that its supersession ended.
    epoch: u64,
    /// How many of `versions` are its.
    versions: usize,
}

struct Held<T> {
    revision: NonNull<Revision<T>>,
    /// When it was found to be held although superseded.
    since: Instant,
    /// Superseded versions that this is the newest held revision to need.
    versions: Vec<NonNull<Version<T>>>,
}

enum Unlinked<T> {
    Version(NonNull<Version<T>>),
    /// A record with its last version, a deletion.
    Record(RecordRef<T>),
    Table(NonNull<Table<T>>),
}

/// What snapshots hold, for observation.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Retained {
    pub(in super::super) snapshots: usize,
    pub(in super::super) oldest_since: Option<Instant>,
    pub(in super::super) versions: usize,
}

/// Who has the table and the records.
pub(super) trait Owner<T> {
    /// Takes a record whose last version is a deletion, and needed by nobody, out of the table.
    fn unlist(&mut self, record: RecordRef<T>);

    fn slabs(&mut self) -> &mut Slabs<T>;
}

impl<T> Reclaim<T> {
    pub(super) fn new() -> Self {
        Self {
            superseded: VecDeque::new(),
            versions: VecDeque::new(),
            held: Vec::new(),
            limbo: VecDeque::new(),
            left: 0,
            table: false,
        }
    }

    fn pending(&self) -> usize {
        self.superseded.len() + self.versions.len() + self.limbo.len()
    }

    /// Whether so much has gathered since the last attempt that one pays.
    pub(super) fn is_due(&self, threshold: usize) -> bool {
        self.table || self.pending() >= self.left + threshold
    }

    /// A version was superseded in the batch that is being built.
    #[inline]
    pub(super) fn supersede(&mut self, version: NonNull<Version<T>>) {
        self.versions.push_back(version);
    }

    /// A revision was superseded, and with it `versions` versions, by the end of `epoch`.
    pub(super) fn supersede_revision(
        &mut self,
        revision: NonNull<Revision<T>>,
        epoch: u64,
        versions: usize,
    ) {
        self.superseded.push_back(Superseded { revision, epoch, versions });
    }

    pub(super) fn table(&mut self, table: NonNull<Table<T>>) {
        self.limbo.push_back((pin::advance(), Unlinked::Table(table)));
        self.table = true;
    }

    /// A record that no slot leads to any more.
    pub(super) fn record(&mut self, record: RecordRef<T>) {
        self.limbo.push_back((pin::advance(), Unlinked::Record(record)));
    }

    /// Frees what can be freed.
    pub(super) fn collect(&mut self, owner: &mut impl Owner<T>) {
        self.table = false;
        let pinned = pin::oldest_pinned();
        self.free_limbo(pinned, owner.slabs());
        self.release_dead(owner);
        while let Some(oldest) = self.superseded.front()
            && oldest.epoch < pinned
            && let Some(superseded) = self.superseded.pop_front()
        {
            let versions = self.versions.drain(..superseded.versions).collect::<Vec<_>>();
            if holders(superseded.revision) > 0 {
                let since = Instant::now();
                self.held.push(Held { revision: superseded.revision, since, versions });
            } else {
                // SAFETY: nobody holds it; whoever was pinned while it was published has unpinned
                // since, so nobody is about to.
                unsafe { Revision::free(superseded.revision) };
                let newest = self.held.len();
                for version in versions {
                    self.rehome(version, newest, owner);
                }
            }
        }
        self.left = self.pending();
    }

    /// Lets go of revisions whose snapshots are gone.
    fn release_dead(&mut self, owner: &mut impl Owner<T>) {
        let mut i = 0;
        while i < self.held.len() {
            if holders(self.held[i].revision) > 0 {
                i += 1;
                continue;
            }
            let dead = self.held.remove(i);
            // SAFETY: a held revision was superseded an epoch ago; only a holder could make another.
            unsafe { Revision::free(dead.revision) };
            for version in dead.versions {
                self.rehome(version, i, owner);
            }
        }
    }

    /// Hangs a superseded version on the newest of the `older` oldest held revisions, if that one
    /// needs it, and else lets it go.
    fn rehome(&mut self, version: NonNull<Version<T>>, older: usize, owner: &mut impl Owner<T>) {
        // SAFETY: superseded versions are freed by this module alone.
        let born = unsafe { version.as_ref() }.born;
        let home = self.held[..older].last_mut();
        match home {
            // SAFETY: held revisions are freed by this module alone.
            Some(held) if unsafe { Revision::get(held.revision) }.number >= born => {
                held.versions.push(version);
            }
            _ => self.unlink(version, owner),
        }
    }

    /// Takes a version that nobody needs out of its chain.
    fn unlink(&mut self, version: NonNull<Version<T>>, owner: &mut impl Owner<T>) {
        // SAFETY: not freed yet; its record lives as long as any of its versions.
        let (this, record) = unsafe { (version.as_ref(), version.as_ref().record.get()) };
        // ORDERING: Relaxed: only the writer, which this is, stores heads and links.
        let head = record.head.load(Ordering::Relaxed);
        let mut newer = head;
        // SAFETY: versions in a chain are alive, and a superseded version has a newer one.
        let newer = unsafe {
            while (*newer).prev.load(Ordering::Relaxed) != version.as_ptr() {
                newer = (*newer).prev.load(Ordering::Relaxed);
            }
            &*newer
        };
        let older = this.prev.load(Ordering::Relaxed);
        // ORDERING: Release pairs with the Acquire in `visible`: who steps over the gap finds the
        // older version whole.
        newer.prev.store(older, Ordering::Release);
        if self.held.is_empty() {
            // SAFETY: every pinned reader, and every snapshot, is at the revision that superseded
            // this version or at a newer one, and so stops before it.
            unsafe { Version::free(version) };
        } else {
            self.limbo.push_back((pin::advance(), Unlinked::Version(version)));
        }
        // SAFETY: `newer` is alive, and the writer may read any value.
        let gone =
            older.is_null() && std::ptr::eq(newer, head) && unsafe { newer.value() }.is_none();
        if gone {
            let record = newer.record;
            owner.unlist(record);
            self.record(record);
        }
    }

    fn free_limbo(&mut self, pinned: u64, slabs: &mut Slabs<T>) {
        while let Some((epoch, _)) = self.limbo.front()
            && *epoch < pinned
            && let Some((_, unlinked)) = self.limbo.pop_front()
        {
            // SAFETY: unlinked at an epoch that every pinned reader came after.
            unsafe { unlinked.free(slabs) };
        }
    }

    /// What is retained for snapshots.
    pub(super) fn retained(&self) -> Retained {
        let held = self.held.iter().map(|held| held.revision);
        let superseded = self.superseded.iter().map(|superseded| superseded.revision);
        Retained {
            snapshots: held.chain(superseded).map(holders).sum(),
            oldest_since: self.held.first().map(|held| held.since),
            versions: self.held.iter().map(|held| held.versions.len()).sum::<usize>()
                + self.versions.len()
                + self.limbo.len(),
        }
    }

    /// The versions that are retained, for measuring what they hold.
    pub(super) fn versions(&self) -> impl Iterator<Item = &Version<T>> {
        let held = self.held.iter().flat_map(|held| &held.versions);
        // SAFETY: these are freed by this module alone.
        self.versions.iter().chain(held).map(|version| unsafe { version.as_ref() })
    }

    /// Frees all that is not in a chain any more, and every superseded revision.
    ///
    /// # Safety
    /// There is no reader and no snapshot left.
    pub(super) unsafe fn free_all(&mut self, slabs: &mut Slabs<T>) {
        for (_, unlinked) in self.limbo.drain(..) {
            // SAFETY: the caller's word.
            unsafe { unlinked.free(slabs) };
        }
        let held = self.held.drain(..).map(|held| held.revision);
        for revision in held.chain(self.superseded.drain(..).map(|superseded| superseded.revision))
        {
            // SAFETY: the caller's word.
            unsafe { Revision::free(revision) };
        }
    }
}

impl<T> Unlinked<T> {
    /// # Safety
    /// Nobody can reach it. A record is of these slabs.
    unsafe fn free(self, slabs: &mut Slabs<T>) {
        // SAFETY: the caller's word, for each arm.
        unsafe {
            match self {
                Self::Version(version) => Version::free(version),
                Self::Record(record) => {
                    // ORDERING: Relaxed: only the writer stores heads.
                    let head = record.get().head.load(Ordering::Relaxed);
                    if let Some(last) = NonNull::new(head) {
                        Version::free(last);
                    }
                    slabs.give_back(record);
                }
                Self::Table(table) => Table::free(table),
            }
        }
    }
}

fn holders<T>(revision: NonNull<Revision<T>>) -> usize {
    // ORDERING: Acquire pairs with the Release in `Hold::drop`: what the last holder read comes
    // before what the writer frees.
    // SAFETY: only this module frees revisions that are superseded.
    unsafe { Revision::get(revision) }.holders.load(Ordering::Acquire)
}
