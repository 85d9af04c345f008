//! Reclamation: the writer frees what no reader can see any more.
//!
//! A version is born at one revision and superseded at a later one. It is needed while
//!
//! - a pinned reader may be at a revision before the later one, or
//! - a snapshot holds a revision from the birth on, and before the later one.
//!
//! The first is tracked by epochs: each publication ends one, and a reader pinned at a later epoch reads
//! at that publication's revision or a newer one, so it stops before it reaches the version. The second
//! is tracked by the revisions themselves: each superseded version hangs on the newest held revision that
//! needs it, and moves to an older one, or is unlinked, when that revision is released. So a snapshot
//! retains what it alone can see, and nothing that came after it.
//!
//! A reader of an older snapshot walks through versions it does not need. A version that stands
//! between two needed ones is therefore unlinked first, and freed an epoch later.
//!
//! The work is done in steps of constant cost, and each publication does a bounded number of them, so
//! that no single write pays for all that has gathered behind a long pin or many snapshots. The only user
//! code that runs here is [`Measure`]; objects go to [`Garbage`].

use std::collections::BTreeMap;
use std::ops::Bound;
use std::ptr::NonNull;
use std::time::Instant;

use super::cell::Cell;
use super::chain::{Old, owned};
use super::garbage::Garbage;
use super::pin;
use super::pool::Pool;
use super::queue::Queue;
use super::record::RecordRef;
use super::revision::Revision;
use super::slab::Slabs;
use super::table::Table;
use super::weight;
use crate::sync::Arc;

/// Steps that a change of one key earns. In the steady state it causes three at most: its superseded
/// version, that one's freeing after it was unlinked, and its revision. The rest works off what has
/// gathered.
const STEPS_A_CHANGE: usize = 8;

/// Steps that are saved up before they are taken: part of what a step reads is prefetched.
const LUMP: usize = 64;

/// How many versions ahead of its turn what one leads to is prefetched.
const AHEAD: usize = 8;

/// Released versions are unlinked while fewer than this wait to be freed, since new ones are freed behind
/// them. Also the most that may gather before a scan.
const LIMBO: usize = 4096;

/// Returns an object's size in bytes. User code, under the writer's lock; 0 if it panics.
pub(super) type Measure<T> = fn(&T) -> usize;

pub(super) struct Reclaim<T> {
    /// Revisions that a pinned reader may still be acquiring, oldest first.
    superseded: Queue<Superseded<T>>,
    /// The versions that were superseded with them, in the same order.
    versions: Queue<NonNull<Old<T>>>,
    /// Revisions that snapshots hold, by age.
    held: BTreeMap<Age, Held<T>>,
    /// Versions that hung on revisions which were released.
    released: Vec<Released<T>>,
    /// What no reader can find any more, with the epoch of its unlinking, oldest first.
    limbo: Queue<(u64, Unlinked<T>)>,
    /// Unlinked since the epoch was last advanced.
    unlinked: Queue<Unlinked<T>>,
    /// What ended at an epoch before this one is out of reach of every pinned reader.
    horizon: u64,
    /// How much arrived since the last scan of the readers, and how many revisions of it since the last
    /// steps.
    arrived: usize,
    published: usize,
    /// Whether a table is among it, which justifies a scan by itself.
    table: bool,
    /// Held revisions whose snapshots were not checked since the last scan, and the one that was checked
    /// last.
    unasked: usize,
    asked: Age,
    /// Steps that may be taken.
    credit: usize,
    measure: Measure<T>,
    revisions: Pool<Revision<T>>,
    old: Pool<Old<T>>,
    retained: Retained,
    /// How many versions hang on held revisions.
    held_versions: usize,
    pinned: Option<Pinned>,
    /// Whether the last scan failed, since the system refused to order readers before it.
    refused: bool,
}

/// A revision's number, and the epoch that its supersession ended: several revisions have one number
/// where only the source's version differs.
type Age = (u64, u64);

struct Superseded<T> {
    /// None once it was freed or moved to `held`.
    revision: Option<NonNull<Revision<T>>>,
    age: Age,
    /// How many of `versions` belong to it and are still to be placed.
    versions: usize,
}

struct Held<T> {
    revision: NonNull<Revision<T>>,
    /// When it was found to be held although superseded.
    since: Instant,
    /// Superseded versions that this is the newest held revision to need.
    versions: Queue<NonNull<Old<T>>>,
}

struct Released<T> {
    /// Revisions before this one may need them.
    before: Age,
    versions: Queue<NonNull<Old<T>>>,
}

enum Unlinked<T> {
    Version(NonNull<Old<T>>),
    /// A record whose key is deleted.
    Record(RecordRef<T>),
    Table(NonNull<Table<T>>),
}

/// Superseded versions that are not freed, and their objects' bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Retained {
    pub(super) versions: usize,
    pub(super) bytes: usize,
    /// What the store itself takes for them, and for deletions until nobody needs these.
    pub(super) overhead: usize,
    /// Those among them that no snapshot is known to need.
    pub(super) waiting: usize,
}

/// The pin that has kept memory from being freed for the longest time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pinned {
    pub(super) epoch: u64,
    /// When a scan first found it.
    pub(super) since: Instant,
}

/// Where versions live, and where their objects go.
pub(super) trait Owner<T> {
    /// Takes a record out of the table whose last version is a deletion that nobody needs.
    fn unlist(&mut self, record: RecordRef<T>);

    fn slabs(&mut self) -> &mut Slabs<T>;

    fn garbage(&mut self) -> &mut Garbage<T>;
}

impl<T> Reclaim<T> {
    pub(super) fn new(measure: Measure<T>) -> Self {
        Self {
            superseded: Queue::new(),
            versions: Queue::new(),
            held: BTreeMap::new(),
            released: Vec::new(),
            limbo: Queue::new(),
            unlinked: Queue::new(),
            horizon: 0,
            arrived: 0,
            published: 0,
            table: false,
            unasked: 0,
            asked: (0, 0),
            credit: 0,
            measure,
            revisions: Pool::new(),
            old: Pool::new(),
            retained: Retained::default(),
            held_versions: 0,
            pinned: None,
            refused: false,
        }
    }

    /// A version was superseded in the batch that is being built; its object has so many bytes.
    #[inline]
    pub(super) fn supersede(&mut self, version: Old<T>, bytes: usize) -> NonNull<Old<T>> {
        self.retained.versions += 1;
        self.retained.bytes = self.retained.bytes.saturating_add(bytes);
        self.retained.overhead += weight::old::<T>(!version.object().is_null());
        let version = self.old.make(version);
        self.versions.push_back(version);
        version
    }

    /// Counts the record of a deleted key: it is there only for those who saw what was deleted.
    ///
    /// # Safety
    /// It is alive.
    pub(super) unsafe fn count_deletion(&mut self, record: RecordRef<T>) {
        // SAFETY: alive.
        self.retained.overhead += weight::record::<T>(unsafe { Cell::len(record.cell()) });
    }

    /// Counts one no more, as it is to be freed, or its key has come back.
    ///
    /// # Safety
    /// It is alive.
    pub(super) unsafe fn uncount_deletion(&mut self, record: RecordRef<T>) {
        // SAFETY: alive.
        self.retained.overhead -= weight::record::<T>(unsafe { Cell::len(record.cell()) });
    }

    /// The size of an object in bytes, by the user's `Measure`.
    #[inline]
    pub(super) fn measure(&self, object: Option<&Arc<T>>) -> usize {
        object.map_or(0, |object| (self.measure)(object))
    }

    /// Frees a version that was superseded.
    ///
    /// # Safety
    /// Nobody can reach it.
    #[inline]
    unsafe fn free(&mut self, version: NonNull<Old<T>>, owner: &mut impl Owner<T>) {
        // SAFETY: nobody can reach it.
        let object = unsafe { self.release(version) };
        self.retained.versions -= 1;
        self.retained.overhead -= weight::old::<T>(object.is_some());
        if let Some(object) = object {
            // The size may have changed meanwhile; it is only reported.
            let bytes = self.measure(Some(&object));
            self.retained.bytes = self.retained.bytes.saturating_sub(bytes);
            owner.garbage().push(object);
        }
    }

    /// Frees a version, and returns its object, to be dropped when user code may run.
    ///
    /// # Safety
    /// [`supersede`](Self::supersede) made it, and nobody can reach it.
    #[inline]
    unsafe fn release(&mut self, version: NonNull<Old<T>>) -> Option<Arc<T>> {
        // SAFETY: as the caller upholds.
        unsafe {
            let object = Old::end(version);
            self.old.free(version);
            object
        }
    }

    /// Makes a revision.
    #[inline]
    pub(super) fn revision(&mut self, revision: Revision<T>) -> NonNull<Revision<T>> {
        self.revisions.make(revision)
    }

    /// # Safety
    /// [`revision`](Self::revision) made it, and nobody can reach it any more.
    pub(super) unsafe fn free_revision(
        &mut self,
        revision: NonNull<Revision<T>>,
        owner: &mut impl Owner<T>,
    ) {
        // SAFETY: alive until here, and made by a pool.
        unsafe {
            revision.as_ref().end();
            let indexes = &revision.as_ref().indexes;
            if Arc::strong_count(indexes) == 1 {
                owner.garbage().push_indexes(Arc::clone(indexes));
            }
            self.revisions.free(revision);
        }
    }

    /// A revision was superseded, and with it `versions` versions, by the end of `epoch`. What was
    /// unlinked before ended with it.
    pub(super) fn supersede_revision(
        &mut self,
        revision: NonNull<Revision<T>>,
        epoch: u64,
        versions: usize,
    ) {
        // SAFETY: superseded revisions are freed by this module alone.
        let number = unsafe { Revision::get(revision) }.number;
        self.superseded.push_back(Superseded {
            revision: Some(revision),
            age: (number, epoch),
            versions,
        });
        self.arrived += versions + 1;
        self.published += 1;
        self.bury(epoch);
    }

    /// A table that was replaced.
    pub(super) fn table(&mut self, table: NonNull<Table<T>>) {
        self.unlinked.push_back(Unlinked::Table(table));
        self.table = true;
    }

    /// A record that no slot leads to any more.
    pub(super) fn record(&mut self, record: RecordRef<T>) {
        self.unlinked.push_back(Unlinked::Record(record));
    }

    /// Moves what was unlinked to the limbo, by the end of an epoch.
    #[inline]
    fn bury(&mut self, epoch: u64) {
        if self.unlinked.is_empty() {
            return;
        }
        self.arrived += self.unlinked.len();
        while let Some(unlinked) = self.unlinked.pop_front() {
            self.limbo.push_back((epoch, unlinked));
        }
    }

    /// Frees some of what can be freed, after a publication of so many changes. Scans the readers once
    /// `threshold` has gathered.
    pub(super) fn advance(&mut self, changes: usize, threshold: usize, owner: &mut impl Owner<T>) {
        if self.table && !self.unlinked.is_empty() {
            self.bury(pin::advance());
        }
        if self.table || self.arrived >= threshold {
            self.look();
        }
        let lump = LUMP.min(threshold);
        // A revision without a change, such as a bookmark's, has to be freed too.
        let published = std::mem::take(&mut self.published);
        let earned = changes.max(published) * STEPS_A_CHANGE;
        self.credit = (self.credit + earned).min(lump + earned);
        if self.credit >= lump {
            // Unneeded steps are not saved: steps are taken in lumps.
            let steps = std::mem::take(&mut self.credit);
            let left = self.work(steps, owner);
            // The records of a mass delete were unlinked just now. Later writes would earn few steps for them.
            if left > 0 && self.arrived > threshold.max(LUMP) {
                self.look();
                self.work(left, owner);
            }
        }
    }

    /// Scans the readers, and takes at most so many steps; returns how many are left.
    pub(super) fn collect(&mut self, steps: usize, owner: &mut impl Owner<T>) -> usize {
        if !self.unlinked.is_empty() {
            self.bury(pin::advance());
        }
        self.look();
        self.unasked = self.held.len();
        self.work(steps, owner)
    }

    /// Finds out how far the readers have come. Makes every running thread of the process fence, which
    /// the slowest reads wait for, so it is done rarely.
    fn look(&mut self) {
        (self.table, self.arrived) = (false, 0);
        if self.unasked == 0 {
            self.unasked = self.held.len();
        }
        let Some(scan) = pin::scan() else {
            self.refused = true;
            return;
        };
        self.refused = false;
        self.horizon = self.horizon.max(scan.horizon);
        self.pinned = scan.oldest_pinned.map(|epoch| match self.pinned {
            Some(pinned) if pinned.epoch == epoch => pinned,
            _ => Pinned { epoch, since: Instant::now() },
        });
    }

    /// Takes steps until there is nothing to do; returns how many are left of those allowed.
    ///
    /// Half of them are for what each write adds, which never needs more. So neither many snapshots to
    /// check nor many released ones can starve it.
    fn work(&mut self, steps: usize, owner: &mut impl Owner<T>) -> usize {
        let share = steps / 4;
        let mut left = steps - 2 * share;
        // Placed first: released versions go through the limbo, too.
        left = self.place_superseded(left, owner);
        left = self.free_limbo(left, owner);
        left = self.ask_held(left + share, owner);
        left = self.place_released(left + share, owner);
        // With the steps that the others did not need.
        left = self.free_limbo(left, owner);
        left = self.place_superseded(left, owner);
        if !self.unlinked.is_empty() {
            self.bury(pin::advance());
        }
        left
    }

    fn free_limbo(&mut self, mut steps: usize, owner: &mut impl Owner<T>) -> usize {
        while steps > 0
            && let Some((epoch, _)) = self.limbo.front()
            && *epoch < self.horizon
            && let Some((_, unlinked)) = self.limbo.pop_front()
        {
            steps -= 1;
            // SAFETY: unlinked at an epoch that every pinned reader came after.
            unsafe { self.free_unlinked(unlinked, owner) };
        }
        steps
    }

    /// Releases revisions whose snapshots are gone.
    fn ask_held(&mut self, mut steps: usize, owner: &mut impl Owner<T>) -> usize {
        while steps > 0 && self.unasked > 0 {
            steps -= 1;
            self.unasked -= 1;
            let rest = (Bound::Excluded(self.asked), Bound::Unbounded);
            let next = self.held.range(rest).next().or_else(|| self.held.iter().next());
            let Some((&age, held)) = next else { break };
            self.asked = age;
            // SAFETY: held revisions are freed by this module alone.
            if unsafe { Revision::held_by(held.revision) } > 0 {
                continue;
            }
            let Some(dead) = self.held.remove(&age) else { break };
            // SAFETY: it was superseded an epoch ago, and only a holder could make another.
            unsafe { self.free_revision(dead.revision, owner) };
            self.held_versions -= dead.versions.len();
            if !dead.versions.is_empty() {
                self.released.push(Released { before: age, versions: dead.versions });
            }
        }
        steps
    }

    fn place_released(&mut self, mut steps: usize, owner: &mut impl Owner<T>) -> usize {
        while steps > 0
            && self.limbo.len() + self.unlinked.len() < LIMBO
            && let Some(released) = self.released.last_mut()
        {
            let before = released.before;
            if let Some(version) = released.versions.pop_front() {
                steps -= 1;
                self.place(version, before, owner);
            } else {
                self.released.pop();
            }
        }
        steps
    }

    fn place_superseded(&mut self, mut steps: usize, owner: &mut impl Owner<T>) -> usize {
        while steps > 0
            && let Some(oldest) = self.superseded.front_mut()
            && oldest.age.1 < self.horizon
        {
            let (age, revision) = (oldest.age, oldest.revision.take());
            steps -= usize::from(revision.is_some());
            let versions = oldest.versions.min(steps);
            steps -= versions;
            oldest.versions -= versions;
            if oldest.versions == 0 {
                self.superseded.pop_front();
            }
            if let Some(revision) = revision {
                // SAFETY: superseded revisions are freed by this module alone.
                if unsafe { Revision::held_by(revision) } > 0 {
                    let since = Instant::now();
                    let held = Held { revision, since, versions: Queue::new() };
                    self.held.insert(age, held);
                } else {
                    // SAFETY: nobody holds it; every thread that was pinned while it was published has
                    // unpinned since, so nobody is about to.
                    unsafe { self.free_revision(revision, owner) };
                }
            }
            for _ in 0..versions {
                if let Some(ahead) = self.versions.near_front(AHEAD) {
                    // SAFETY: superseded versions are freed by this module alone.
                    unsafe { Old::prefetch_end(*ahead) };
                }
                let Some(version) = self.versions.pop_front() else { break };
                self.place(version, (age.0 + 1, 0), owner);
            }
        }
        steps
    }

    /// Hangs a superseded version on the newest held revision before another, if that one needs it, and
    /// unlinks it otherwise.
    #[inline]
    fn place(&mut self, version: NonNull<Old<T>>, before: Age, owner: &mut impl Owner<T>) {
        // SAFETY: superseded versions are freed by this module alone.
        let this = unsafe { version.as_ref() };
        let home = match self.held.is_empty() {
            true => None,
            false => self.held.range_mut((this.born, 0)..before).next_back(),
        };
        let Some((_, held)) = home else { return self.unlink(version, owner) };
        held.versions.push_back(version);
        self.held_versions += 1;
    }

    /// Takes a version that nobody needs out of its chain.
    #[inline]
    fn unlink(&mut self, version: NonNull<Old<T>>, owner: &mut impl Owner<T>) {
        // SAFETY: not freed yet, and a record lives as long as its chain.
        let record = unsafe { version.as_ref() }.record();
        // SAFETY: this is the writer, and the version is in its chain: it is unlinked once.
        let was_last = unsafe { Old::unlink(version) };
        // SAFETY: as above.
        let gone = was_last && unsafe { record.hot() }.newest().is_null();
        if self.held.is_empty() {
            // SAFETY: every pinned reader, and every snapshot, is at the revision that superseded
            // this version or at a newer one, and so stops before it.
            unsafe { self.free(version, owner) };
        } else {
            self.unlinked.push_back(Unlinked::Version(version));
        }
        if gone {
            owner.unlist(record);
            self.record(record);
        }
    }

    /// Superseded versions that are not freed.
    pub(super) fn retained(&self) -> Retained {
        Retained { waiting: self.retained.versions - self.held_versions, ..self.retained }
    }

    /// When the oldest superseded revision that a snapshot holds was found to be held.
    pub(super) fn oldest_held_since(&self) -> Option<Instant> {
        self.held.first_key_value().map(|(_, held)| held.since)
    }

    /// The oldest pin that the last scan found.
    pub(super) fn pinned(&self) -> Option<Pinned> {
        self.pinned
    }

    /// Returns whether nothing can be freed, since the system refuses to order readers before a scan.
    pub(super) fn is_refused(&self) -> bool {
        self.refused
    }

    /// # Safety
    /// Nobody can reach it. A record is of the owner's slabs.
    unsafe fn free_unlinked(&mut self, unlinked: Unlinked<T>, owner: &mut impl Owner<T>) {
        match unlinked {
            // SAFETY: nobody can reach it.
            Unlinked::Version(version) => unsafe { self.free(version, owner) },
            Unlinked::Record(record) => {
                // SAFETY: nobody can reach the record, whose key is deleted.
                unsafe {
                    self.uncount_deletion(record);
                    owner.slabs().give_back(record);
                }
            }
            // SAFETY: nobody can reach it.
            Unlinked::Table(table) => unsafe { Table::free(table) },
        }
    }

    /// Frees all that is not in a chain any more, and every superseded revision.
    ///
    /// # Safety
    /// There is no reader and no snapshot left.
    pub(super) unsafe fn free_all(&mut self, owner: &mut impl Owner<T>) {
        self.bury(0);
        while let Some((_, unlinked)) = self.limbo.pop_front() {
            // SAFETY: there is no reader left.
            unsafe { self.free_unlinked(unlinked, owner) };
        }
        let held = std::mem::take(&mut self.held).into_values().map(|held| held.revision);
        let mut superseded = std::mem::replace(&mut self.superseded, Queue::new());
        let superseded = std::iter::from_fn(|| superseded.pop_front());
        let superseded = superseded.filter_map(|superseded| superseded.revision);
        for revision in held.chain(superseded) {
            // SAFETY: there is no reader and no snapshot left.
            unsafe { self.free_revision(revision, owner) };
        }
    }
    /// Frees a record with all that it has.
    ///
    /// # Safety
    /// As for [`free_all`](Self::free_all), and it is in the table.
    pub(super) unsafe fn free_record(&mut self, record: RecordRef<T>, owner: &mut impl Owner<T>) {
        // SAFETY: nobody else can reach the record, nor what is in its chain. It has a count of its object.
        unsafe {
            let mut next = NonNull::new(record.cold().old());
            while let Some(version) = next {
                next = NonNull::new(version.as_ref().prev());
                self.release(version).into_iter().for_each(|object| owner.garbage().push(object));
            }
            let newest = owned(record.hot().newest());
            newest.into_iter().for_each(|object| owner.garbage().push(object));
            owner.slabs().give_back(record);
        }
    }
}
