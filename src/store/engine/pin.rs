//! Pins: what a pinned thread can reach is not freed until it unpins.
//!
//! One counter, the epoch, is advanced after each publication. A thread that pins announces the
//! epoch it saw in a cache line of its own; what was superseded at an epoch is freed once every
//! announced epoch is later. The announcements are the process's, not a store's: a thread pins all
//! stores at once, since finding a store's own announcement would cost each read a lookup.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr;

use super::barrier;
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use crate::sync::{ThreadName, global, local};

/// Announced by a thread that is not pinned.
const IDLE: u64 = 0;

struct Domain {
    /// Starts above `IDLE`.
    epoch: AtomicU64,
    /// Every announcement ever made, newest first. They are reused, never freed.
    announcements: AtomicPtr<Announcement>,
}

global! {
    static DOMAIN: Domain =
        Domain { epoch: AtomicU64::new(1), announcements: AtomicPtr::new(ptr::null_mut()) };
}

/// What one thread announces to the writers. Two lines wide, since processors fetch lines in pairs.
#[repr(align(128))]
struct Announcement {
    epoch: AtomicU64,
    /// How many pins the owning thread holds; only that thread touches it. 64 bits wide everywhere,
    /// so that no number of forgotten pins makes it wrap.
    depth: AtomicU64,
    /// Whether the last pin gives the announcement back, since the thread's own hold on it has
    /// ended. Only the owning thread touches it.
    orphaned: AtomicBool,
    /// Whether the owning thread has fenced after `membarrier` was refused; see `barrier`.
    fences: AtomicBool,
    /// Whether a thread owns this.
    owned: AtomicBool,
    /// The owner, for reports.
    owner: ThreadName,
    /// Fixed before the announcement is shared.
    next: *const Announcement,
}

// SAFETY: `next` is written before the announcement is shared, and points at one that is never freed.
unsafe impl Send for Announcement {}
// SAFETY: as above; every other field is atomic or behind a lock.
unsafe impl Sync for Announcement {}

impl Announcement {
    /// Reuses an announcement that no thread owns, or makes one.
    fn acquire() -> &'static Self {
        for announcement in Self::all() {
            // Checked first: an exchange would take the line from its owner's reads.
            // ORDERING: Relaxed: the exchange decides.
            if announcement.owned.load(Ordering::Relaxed) {
                continue;
            }
            // ORDERING: Acquire pairs with the Release in `give_back`: the last owner's stores come
            // before ours; and with the Release in `all_fence`.
            let free = announcement
                .owned
                .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
                .is_ok();
            if free {
                announcement.owner.set();
                return announcement;
            }
        }
        let new = Box::leak(Box::new(Self {
            epoch: AtomicU64::new(IDLE),
            depth: AtomicU64::new(0),
            orphaned: AtomicBool::new(false),
            fences: AtomicBool::new(false),
            owned: AtomicBool::new(true),
            owner: ThreadName::new(),
            next: ptr::null(),
        }));
        new.owner.set();
        // ORDERING: Relaxed, here and on failure: it is read by the exchange, which carries on the Release of whoever
        // linked it.
        let mut head = DOMAIN.announcements.load(Ordering::Relaxed);
        loop {
            new.next = head;
            // ORDERING: Release publishes the fields of `new` to `all`. Acquire pairs with the Release
            // in `all_fence`.
            match DOMAIN.announcements.compare_exchange_weak(
                head,
                new,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return new,
                Err(other) => head = other,
            }
        }
    }

    /// Makes it available to another thread. The caller owns it and holds no pin.
    fn give_back(&self) {
        self.owner.clear();
        // ORDERING: Relaxed: ordered by the Release below. The next owner has seen by way of it that
        // `membarrier` was refused, if this one had, so that its reads fence from the first on.
        self.orphaned.store(false, Ordering::Relaxed);
        self.fences.store(false, Ordering::Relaxed);
        // ORDERING: Release pairs with the Acquire in `acquire`.
        self.owned.store(false, Ordering::Release);
    }

    fn all() -> impl Iterator<Item = &'static Self> {
        // ORDERING: Acquire pairs with the Release in `acquire`.
        let mut next: *const Self = DOMAIN.announcements.load(Ordering::Acquire);
        std::iter::from_fn(move || {
            // SAFETY: announcements are never freed, and were initialised before they were linked.
            let this = unsafe { next.as_ref() }?;
            next = this.next;
            Some(this)
        })
    }
}

/// A thread's hold on its announcement, from its first read to its end.
struct Owner(Cell<Option<&'static Announcement>>);

impl Drop for Owner {
    fn drop(&mut self) {
        let Some(announcement) = self.0.get() else { return };
        // A pin can outlive this: in a thread-local that was first used earlier, or forgotten.
        // ORDERING: Relaxed, here and below: only this thread touches `depth` and `orphaned`.
        if announcement.depth.load(Ordering::Relaxed) == 0 {
            announcement.give_back();
        } else {
            announcement.orphaned.store(true, Ordering::Relaxed);
        }
    }
}

local! {
    static OWNER: Owner = Owner(Cell::new(None));
}

/// Keeps what this thread can reach from being freed. Cheap to take: one store to a cache line of the
/// thread's own.
pub(crate) struct Pin {
    announcement: &'static Announcement,
    /// The announcement is the thread's.
    not_send: PhantomData<*const ()>,
}

impl Pin {
    #[inline]
    pub(crate) fn new() -> Self {
        let owned = OWNER.try_with(|owner| match owner.0.get() {
            Some(announcement) => announcement,
            None => {
                let announcement = Announcement::acquire();
                owner.0.set(Some(announcement));
                announcement
            }
        });
        let announcement = owned.unwrap_or_else(|_| {
            // The thread is ending and its hold is gone: this pin has one for itself.
            let announcement = Announcement::acquire();
            // ORDERING: Relaxed: only this thread touches it.
            announcement.orphaned.store(true, Ordering::Relaxed);
            announcement
        });
        // ORDERING: Relaxed: only this thread touches `depth`.
        let depth = announcement.depth.load(Ordering::Relaxed);
        if depth == 0 {
            // ORDERING: Acquire pairs with the Release in `advance`: having seen an epoch, this
            // thread sees what was published before it. A fence in `light` would do that, too, so no model fails
            // without it; beside `membarrier` nothing else does.
            let epoch = DOMAIN.epoch.load(Ordering::Acquire);
            // ORDERING: the barrier orders it before this thread's next loads: either the writer's
            // scan sees the announcement, or those loads see what the writer published and unlinked
            // before the scan. Release pairs with the Acquire in `scan`: a scan that sees
            // this announcement, and not the end of the one before, is still behind what the thread
            // read under that one.
            announcement.epoch.store(epoch, Ordering::Release);
            if barrier::light() {
                // ORDERING: Relaxed, behind the fence of `light`, which pairs with the Acquire in `all_fence`: this
                // thread has seen that the call was refused, and fences from here on.
                announcement.fences.store(true, Ordering::Relaxed);
            }
        }
        // ORDERING: Relaxed, as above.
        announcement.depth.store(depth + 1, Ordering::Relaxed);
        Self { announcement, not_send: PhantomData }
    }
}

impl Drop for Pin {
    #[inline]
    fn drop(&mut self) {
        let announcement = self.announcement;
        // ORDERING: Relaxed: only this thread touches `depth`.
        let depth = announcement.depth.load(Ordering::Relaxed) - 1;
        announcement.depth.store(depth, Ordering::Relaxed);
        if depth == 0 {
            // ORDERING: Release pairs with the Acquire in `scan`: what this thread read
            // comes before what the writer frees.
            announcement.epoch.store(IDLE, Ordering::Release);
            // ORDERING: Relaxed: only this thread touches it.
            if announcement.orphaned.load(Ordering::Relaxed) {
                announcement.give_back();
            }
        }
    }
}

/// Ends the present epoch and returns it. A thread that announces or ends a later one sees what the
/// caller stored before.
pub(super) fn advance() -> u64 {
    // ORDERING: Release pairs with the Acquire in `Pin::new`. A read-modify-write, so that the
    // advances of several stores form one release sequence. Acquire pairs with the Release here: of a
    // writer that has published and a thread that begins to follow, the later one sees the earlier.
    DOMAIN.epoch.fetch_add(1, Ordering::AcqRel)
}

/// The result of a scan of all announcements.
pub(super) struct Scan {
    /// What the caller superseded or unlinked at an epoch before this one is out of reach of every pinned
    /// thread, and of every thread that pins from now on.
    pub(super) horizon: u64,
    /// The oldest epoch that a thread is pinned at, if it keeps anything from being freed.
    pub(super) oldest_pinned: Option<u64>,
}

/// Scans all announcements; `None` if the system refuses to order them before the scan.
pub(super) fn scan() -> Option<Scan> {
    // ORDERING: Relaxed: it is no older than the caller's own last advance.
    let now = DOMAIN.epoch.load(Ordering::Relaxed);
    if !barrier::heavy(all_fence) {
        return None;
    }
    let oldest_pinned = Announcement::all()
        // ORDERING: Acquire pairs with the Release in `Pin::drop`, and with that in `Pin::new`.
        .map(|announcement| announcement.epoch.load(Ordering::Acquire))
        .filter(|&epoch| epoch != IDLE)
        .min();
    Some(Scan {
        horizon: oldest_pinned.map_or(now, |oldest| oldest.min(now)),
        oldest_pinned: oldest_pinned.filter(|oldest| *oldest < now),
    })
}

/// Returns whether every thread that may be reading has reported that it fences, or will see that it has
/// to.
fn all_fence() -> bool {
    let announcements = &DOMAIN.announcements;
    // ORDERING: Release pairs with the Acquire in `acquire`: a thread whose announcement comes after this sees the
    // mode. Hence an exchange, of the head for itself. Relaxed where it is only read, as `all` acquires it.
    let mut head = announcements.load(Ordering::Relaxed);
    while let Err(other) =
        announcements.compare_exchange(head, head, Ordering::Release, Ordering::Relaxed)
    {
        head = other;
    }
    Announcement::all().all(|announcement| {
        // ORDERING: Acquire pairs with the fence before the store in `Pin::new`: that pin, and any before it, is
        // ordered. Of an announcement without an owner, the Acquire pairs with the Release in
        // `give_back`, and the Release with the Acquire in `acquire`: its next owner sees the mode.
        announcement.fences.load(Ordering::Acquire)
            || announcement
                .owned
                .compare_exchange(false, false, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
    })
}

/// The name of a thread that is pinned at an epoch.
pub(super) fn thread_pinned_at(epoch: u64) -> Option<String> {
    Announcement::all()
        // ORDERING: Relaxed: for a report.
        .find(|announcement| announcement.epoch.load(Ordering::Relaxed) == epoch)?
        .owner
        .get()
}
