//! Short protection of memory: a pinned reader's thread keeps everything it can reach from being
//! freed until it unpins.
//!
//! One counter, the epoch, is advanced after each publication. A thread that pins announces the
//! epoch it saw in a cache line of its own; what was superseded at an epoch is freed once every
//! announced epoch is later. The announcements are the process's, not a store's: a thread pins all
//! stores at once.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr;

use super::barrier;
use crate::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use crate::sync::{global, local};

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

/// What one thread tells the writers. Two lines wide, since processors fetch lines in pairs.
#[repr(align(128))]
struct Announcement {
    epoch: AtomicU64,
    /// How many pins the owning thread holds; only that thread touches it.
    depth: AtomicUsize,
    /// Whether a thread owns this.
    owned: AtomicBool,
    /// Fixed before the announcement is shared.
    next: *const Announcement,
}

// SAFETY: `next` is written before the announcement is shared, and points at one that is never freed.
unsafe impl Send for Announcement {}
// SAFETY: as above; every other field is atomic.
unsafe impl Sync for Announcement {}

impl Announcement {
    /// Reuses an announcement that no thread owns, or makes one.
    fn acquire() -> &'static Self {
        for announcement in Self::all() {
            // ORDERING: Acquire pairs with the Release in `Owner::drop`: the last owner's stores to
            // `depth` come before ours.
            let free = announcement
                .owned
                .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
                .is_ok();
            if free {
                return announcement;
            }
        }
        let new = Box::leak(Box::new(Self {
            epoch: AtomicU64::new(IDLE),
            depth: AtomicUsize::new(0),
            owned: AtomicBool::new(true),
            next: ptr::null(),
        }));
        // ORDERING: Acquire, since the head becomes reachable through `next`; pairs with the
        // Release below.
        let mut head = DOMAIN.announcements.load(Ordering::Acquire);
        loop {
            new.next = head;
            // ORDERING: Release publishes the fields of `new` to `all`; Acquire on failure as above.
            match DOMAIN.announcements.compare_exchange_weak(
                head,
                new,
                Ordering::Release,
                Ordering::Acquire,
            ) {
                Ok(_) => return new,
                Err(other) => head = other,
            }
        }
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

/// A thread's hold on its announcement; gives it back when the thread ends.
struct Owner(Cell<Option<&'static Announcement>>);

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(announcement) = self.0.get() {
            // ORDERING: Release pairs with the Acquire in `Announcement::acquire`.
            announcement.owned.store(false, Ordering::Release);
        }
    }
}

local! {
    static OWNER: Owner = Owner(Cell::new(None));
}

/// Keeps what this thread can reach from being freed. Cheap to take: one store to a line of the
/// thread's own.
pub(in super::super) struct Pin {
    announcement: &'static Announcement,
    /// Whether the announcement was made for this pin alone, since the thread is ending.
    borrowed: bool,
    /// The announcement is the thread's.
    not_send: PhantomData<*const ()>,
}

impl Pin {
    #[inline]
    pub(in super::super) fn new() -> Self {
        let owned = OWNER.try_with(|owner| match owner.0.get() {
            Some(announcement) => announcement,
            None => {
                let announcement = Announcement::acquire();
                owner.0.set(Some(announcement));
                announcement
            }
        });
        let (announcement, borrowed) = match owned {
            Ok(announcement) => (announcement, false),
            // The thread is ending and has given its own back.
            Err(_) => (Announcement::acquire(), true),
        };
        // ORDERING: Relaxed: only this thread touches `depth`.
        let depth = announcement.depth.load(Ordering::Relaxed);
        if depth == 0 {
            // ORDERING: Acquire pairs with the Release in `advance`: having seen an epoch, this
            // thread sees what was published before it.
            let epoch = DOMAIN.epoch.load(Ordering::Acquire);
            // ORDERING: the barrier orders it before this thread's next loads: either the writer's
            // scan sees the announcement, or those loads see what the writer published and unlinked
            // before the scan. Release pairs with the Acquire in `oldest_pinned`: a scan that sees
            // this announcement, and not the end of the one before, is still behind what the thread
            // read under that one.
            announcement.epoch.store(epoch, Ordering::Release);
            barrier::light();
        }
        // ORDERING: Relaxed, as above.
        announcement.depth.store(depth + 1, Ordering::Relaxed);
        Self { announcement, borrowed, not_send: PhantomData }
    }
}

impl Drop for Pin {
    #[inline]
    fn drop(&mut self) {
        // ORDERING: Relaxed: only this thread touches `depth`.
        let depth = self.announcement.depth.load(Ordering::Relaxed) - 1;
        self.announcement.depth.store(depth, Ordering::Relaxed);
        if depth == 0 {
            // ORDERING: Release pairs with the Acquire in `oldest_pinned`: what this thread read
            // comes before what the writer frees.
            self.announcement.epoch.store(IDLE, Ordering::Release);
        }
        if self.borrowed {
            // ORDERING: Release pairs with the Acquire in `Announcement::acquire`.
            self.announcement.owned.store(false, Ordering::Release);
        }
    }
}

/// Ends the present epoch and returns it. Whoever announces a later one sees what the caller stored
/// before.
pub(super) fn advance() -> u64 {
    // ORDERING: Release pairs with the Acquire in `Pin::new`. A read-modify-write, so that the
    // advances of several stores form one release sequence.
    DOMAIN.epoch.fetch_add(1, Ordering::Release)
}

/// The oldest epoch that a thread is pinned at, or `u64::MAX` if none is. A thread that pins after
/// this call began sees everything the caller published and unlinked before it.
pub(super) fn oldest_pinned() -> u64 {
    barrier::heavy();
    Announcement::all()
        // ORDERING: Acquire pairs with the Release in `Pin::drop`, and with that in `Pin::new`.
        .map(|announcement| announcement.epoch.load(Ordering::Acquire))
        .filter(|&epoch| epoch != IDLE)
        .min()
        .unwrap_or(u64::MAX)
}
