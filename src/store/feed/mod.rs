//! The change feed: every change of a store, for subscribers of any speed.
//!
//! A subscription begins at one revision and is then given each later change exactly once, publication
//! by publication, in order. What a publication changed is stored once, in a log that all subscriptions
//! read in place; each has a place of its own in it. So a write costs the same for one subscription as for
//! a thousand, and for a slow one as for a fast one.
//!
//! A subscription that the log has left behind is given the difference between what it was told last
//! and the newest revision, coalesced; one that would make the store keep too much is given the whole
//! content anew. It is told which, by [`Delivery::kind`].
//!
//! | file | idea |
//! |---|---|
//! | `subscribe`, `subscription`, `blocking`, `stream`, `delivery` | the public face |
//! | `segment`, `log` | what is kept, and for how long |
//! | `cursor` | where a subscription stands, and how its place is taken away |
//! | `difference` | what a subscription is told that the log has left behind |
//! | `confirmed` | what the source said, where something else is assumed |
//! | `filter` | which changes a subscription is told of |
//! | `handler`, `handling` | an informer's handlers |
//! | `stats` | figures |
//! | `follow` | what the store's writer does |
//! | `goal`, `readiness` | waiting for a revision, or for the first whole content |

mod blocking;
mod confirmed;
mod cursor;
mod delivery;
mod difference;
mod error;
mod filter;
mod follow;
mod goal;
mod handler;
mod handling;
mod log;
mod readiness;
mod segment;
mod stats;
mod stream;
mod subscribe;
mod subscription;

pub use blocking::Deliveries;
pub(super) use confirmed::Overlay;
pub use delivery::{Delivery, DeliveryKind, Item, Items};
pub use error::{NextError, SubscribeError, SyncError, TryNextError, WaitError};
pub use handler::Handler;
pub use handling::{Handling, Registration, Running};
pub use stats::FeedStats;
pub use stream::DeliveryStream;
pub use subscribe::Subscribe;
pub use subscription::Subscription;

use crossbeam_utils::CachePadded;

use self::cursor::Cursors;
use self::log::{Log, LogWriter};
use self::readiness::Readiness;
use self::segment::Amount;
use self::stats::Told;
use super::engine::Engine;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Arc, Mutex};
use crate::waiters::Waiters;

/// How much a store keeps for its subscriptions; see [`StoreBuilder::feed`](super::StoreBuilder::feed).
///
/// An amount is a number of changes and of bytes, objects' bytes by [`Object::size`](crate::Object::size)
/// among them; an object counts where it comes and where it goes, whoever else holds it.
///
/// ```
/// use watchcache::store::FeedLimits;
///
/// let limits = FeedLimits::default().log(10_000, 16 << 20).behind(50_000, 64 << 20);
/// assert!(format!("{limits:?}").contains("10000"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FeedLimits {
    log: Amount,
    behind: Amount,
    always: bool,
}

impl FeedLimits {
    /// The most that the log keeps: 65,536 changes and 64 MiB, unless this says otherwise. A publication
    /// that is larger by itself is not kept: every subscription is told of it by a difference. The log has
    /// at most some 16,000 publications in any case.
    #[must_use]
    pub fn log(mut self, changes: usize, bytes: usize) -> Self {
        self.log = Amount { changes, bytes };
        self
    }

    /// The most that the store keeps behind the log, for subscriptions that have fallen behind it:
    /// 262,144 changes and 256 MiB, unless this says otherwise. Beyond it, the slowest are given the
    /// whole content anew ([`DeliveryKind::Reset`]).
    #[must_use]
    pub fn behind(mut self, changes: usize, bytes: usize) -> Self {
        self.behind = Amount { changes, bytes };
        self
    }

    /// Whether the log is kept without a subscription, too: for subscriptions from a snapshot that is
    /// older than they are. They are given each change then, instead of a difference.
    #[must_use]
    pub fn always(mut self, always: bool) -> Self {
        self.always = always;
        self
    }
}

impl Default for FeedLimits {
    fn default() -> Self {
        Self {
            log: Amount { changes: 1 << 16, bytes: 64 << 20 },
            behind: Amount { changes: 1 << 18, bytes: 256 << 20 },
            always: false,
        }
    }
}

/// A waiter for a revision, in the upper half of `interest`. The lower half counts the subscriptions.
const WAITER: u64 = 1 << 32;

/// What a store and its subscriptions share.
pub(super) struct Feed<T> {
    engine: Arc<Engine<T>>,
    /// Who wants to hear of publications. Read by each of them, and seldom written.
    interest: CachePadded<AtomicU64>,
    log: Log<T>,
    cursors: Cursors<T>,
    /// Under the store's writing lock, so nobody waits for it.
    writer: Mutex<LogWriter<T>>,
    subscribers: Arc<Waiters>,
    revisions: Arc<Waiters>,
    versions: Arc<Waiters>,
    readiness: Readiness,
    told: Told,
    /// Whether the log is kept without a subscription.
    always: bool,
    closed: AtomicBool,
}

impl<T> Feed<T> {
    pub(super) fn new(engine: &Arc<Engine<T>>, limits: FeedLimits) -> Arc<Self> {
        Arc::new(Self {
            engine: Arc::clone(engine),
            interest: CachePadded::new(AtomicU64::new(u64::from(limits.always))),
            log: Log::new(),
            cursors: Cursors::new(),
            writer: Mutex::new(LogWriter::new(limits)),
            subscribers: Arc::new(Waiters::for_news()),
            revisions: Arc::new(Waiters::for_news()),
            versions: Arc::new(Waiters::for_news()),
            readiness: Readiness::new(),
            told: Told::new(),
            always: limits.always,
            closed: AtomicBool::new(false),
        })
    }

    /// Announces that somebody wants to hear of publications. What was published before this returns,
    /// and whose writer does not know of it, is seen by the caller from here on.
    fn join(&self, who: u64) {
        // ORDERING: Relaxed, as the meeting orders it.
        self.interest.fetch_add(who, Ordering::Relaxed);
        Engine::<T>::meet_writer();
    }

    fn leave(&self, who: u64) {
        // ORDERING: Relaxed: a writer that misses it works in vain.
        self.interest.fetch_sub(who, Ordering::Relaxed);
    }

    /// Wakes whoever waits for deliveries, to look again.
    fn tell_subscribers(&self) {
        self.subscribers.tell(u64::MAX);
    }

    /// Wakes whoever waits for the whole content, to look again.
    fn tell_waiters(&self) {
        self.readiness.tell();
    }

    /// Whether the store is gone, and nothing is published any more.
    fn is_closed(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `close`: what was published is seen.
        self.closed.load(Ordering::Acquire)
    }

    /// The store is gone.
    pub(super) fn close(&self) {
        // ORDERING: Release pairs with the Acquire in `is_closed`.
        self.closed.store(true, Ordering::Release);
        for waiters in [&self.subscribers, &self.revisions, &self.versions] {
            waiters.tell(u64::MAX);
        }
        self.readiness.tell();
    }
}
