//! The change feed: every change of a store, for subscribers of any speed.
//!
//! A subscription begins at one revision and then receives each later change exactly once, publication by
//! publication, in order. The changes of a publication are stored once, in a log that all subscriptions
//! read in place; each has its own place in it. So a write costs the same for one subscription as for a
//! thousand, and for a slow one as for a fast one.
//!
//! A subscription that the log has left behind receives the coalesced difference between its last
//! delivery and the newest revision. One that would make the store retain too much receives the whole
//! content again. [`Delivery::kind`] shows which it is.
//!
//! A table that is in step with the store whenever it is looked after:
//!
//! ```
//! use std::collections::BTreeMap;
//! # use watchcache::{KeyRef, Object, Store};
//! # struct Pod { name: &'static str, ip: &'static str }
//! # impl Object for Pod {
//! #     fn key(&self) -> KeyRef<'_> { ("default", self.name).into() }
//! # }
//!
//! let store = Store::new();
//! store.add(Pod { name: "web", ip: "10.0.0.7" })?;
//! let mut subscription = store.subscribe().with_content().start()?;
//! store.add(Pod { name: "web", ip: "10.0.0.8" })?;
//! store.add(Pod { name: "db", ip: "10.0.0.9" })?;
//!
//! let mut ips = BTreeMap::new();
//! while let Ok(delivery) = subscription.try_next() {
//!     if delivery.is_whole() {
//!         ips.clear();
//!     }
//!     for item in &delivery {
//!         match item.new {
//!             Some(pod) => ips.insert(item.key.name().to_owned(), pod.ip),
//!             None => ips.remove(item.key.name()),
//!         };
//!     }
//! }
//! assert_eq!((ips["web"], ips["db"]), ("10.0.0.8", "10.0.0.9"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// | file | idea |
// |---|---|
// | `subscribe`, `subscription`, `blocking`, `stream`, `delivery` | the public face |
// | `segment`, `log` | what is kept, and for how long |
// | `leaving` | what is kept no more, and dropped little by little |
// | `cursor` | a subscription's place, and how it is revoked |
// | `difference` | the delivery for a subscription that the log has left behind |
// | `confirmed` | what the source sent, where something else is assumed |
// | `filter` | which changes a subscription is about |
// | `handler`, `handling` | an informer's handlers |
// | `stats` | statistics |
// | `follow` | the store writer's part |
// | `goal`, `readiness` | waiting for a revision, or for the first whole content |

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
mod leaving;
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
use crate::waiters::{TasksToWake, Waiters};

/// How much a store keeps for its subscriptions; see [`StoreBuilder::feed`](super::StoreBuilder::feed).
///
/// An amount is a number of changes and of bytes, including the objects' by
/// [`Object::size`](crate::Object::size). Each change counts its object before and its object after, even
/// if they are also held elsewhere. What becomes known of a key of which something is
/// [assumed](super::Store::assume) counts as a change, with what is assumed and what the source said.
///
/// The store's own part counts as well, with what a usual allocator adds: what it keeps of a superseded version, of a
/// key that is gone, and of an object beside its size. That is some 200 bytes for each change; for a key that comes or
/// goes, one kilobyte more for each index, and for that of the namespaces, of which a page is copied.
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
    /// The most that the log keeps. Default: 65,536 changes and 64 MiB. A publication that is larger than seven
    /// eighths of it by itself is not kept: every subscription receives a difference instead. The log never
    /// has more than some 16,000 publications.
    #[must_use]
    pub fn log(mut self, changes: usize, bytes: usize) -> Self {
        self.log = Amount { changes, bytes };
        self
    }

    /// The most that the store keeps behind the log, for subscriptions that have fallen behind it.
    /// Default: 262,144 changes and 256 MiB. Beyond it, the slowest receive the whole content again
    /// ([`DeliveryKind::Reset`]).
    #[must_use]
    pub fn behind(mut self, changes: usize, bytes: usize) -> Self {
        self.behind = Amount { changes, bytes };
        self
    }

    /// Sets whether the log is kept even without a subscription, for later subscriptions that start
    /// from an older snapshot. They then receive each change, instead of a difference.
    ///
    /// ```
    /// use watchcache::store::FeedLimits;
    /// use watchcache::{Key, Store};
    ///
    /// let count = |always: bool| {
    ///     let store = Store::<Key>::builder().feed(FeedLimits::default().always(always)).build();
    ///     let snapshot = store.snapshot();
    ///     // Nobody is subscribed.
    ///     for key in ["a/web", "a/db"] {
    ///         store.add(key.parse::<Key>()?)?;
    ///     }
    ///     let mut subscription = store.subscribe().since(&snapshot).start()?;
    ///     let mut deliveries = 0;
    ///     while subscription.try_next().is_ok() {
    ///         deliveries += 1;
    ///     }
    ///     Ok::<_, Box<dyn std::error::Error>>(deliveries)
    /// };
    /// assert_eq!((count(true)?, count(false)?), (2, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

/// What a publication has to ask for.
struct Asked {
    /// Counts of subscribers and waiters.
    interest: AtomicU64,
    /// Whether objects that the log has let go of wait to be dropped. Only the store's writer touches it.
    leaving: AtomicBool,
}

/// The state that a store and its subscriptions share.
pub(super) struct Feed<T> {
    engine: Arc<Engine<T>>,
    /// What each publication reads, and what is seldom written.
    asked: CachePadded<Asked>,
    log: Log<T>,
    cursors: Cursors<T>,
    /// Under the store's writing lock, so nobody waits for it.
    writer: Mutex<LogWriter<T>>,
    subscribers: Arc<Waiters>,
    /// Subscribers whose next delivery is not due, and whom only concerns what does not wait for that: an end,
    /// and that the content is whole.
    hastens: Arc<Waiters>,
    revisions: Arc<Waiters>,
    versions: Arc<Waiters>,
    readiness: Readiness,
    /// How often the source's versions have gained or lost their order: odd while they have none. It becomes
    /// odd before what is told so is published, and even after what has an order again is.
    turns: AtomicU64,
    /// How often the source's version has moved back. It grows before what is older is published.
    set_backs: AtomicU64,
    /// Whether that has to be told to those who wait for a version.
    is_set_back: AtomicBool,
    told: Told,
    /// Whether the log is kept without a subscription.
    always: bool,
    closed: AtomicBool,
}

impl<T> Feed<T> {
    pub(super) fn new(engine: &Arc<Engine<T>>, limits: FeedLimits) -> Arc<Self> {
        Arc::new(Self {
            engine: Arc::clone(engine),
            asked: CachePadded::new(Asked {
                interest: AtomicU64::new(u64::from(limits.always)),
                leaving: AtomicBool::new(false),
            }),
            log: Log::new(),
            cursors: Cursors::new(),
            writer: Mutex::new(LogWriter::new(limits)),
            subscribers: Arc::new(Waiters::for_frequent_news()),
            hastens: Arc::new(Waiters::for_frequent_news()),
            revisions: Arc::new(Waiters::for_news()),
            versions: Arc::new(Waiters::for_news()),
            readiness: Readiness::new(),
            turns: AtomicU64::new(0),
            set_backs: AtomicU64::new(0),
            is_set_back: AtomicBool::new(false),
            told: Told::new(),
            always: limits.always,
            closed: AtomicBool::new(false),
        })
    }

    /// Registers an interest in publications. From the return of this on, the caller sees every
    /// publication whose writer does not see the interest.
    fn join(&self, who: u64) {
        // ORDERING: Relaxed, as `meet_writer` orders it.
        self.asked.interest.fetch_add(who, Ordering::Relaxed);
        Engine::<T>::meet_writer();
    }

    fn leave(&self, who: u64) {
        // ORDERING: Relaxed: a writer that misses it works in vain.
        self.asked.interest.fetch_sub(who, Ordering::Relaxed);
    }

    /// Wakes all who wait for deliveries, as some of them have come to an end.
    fn tell_ends(&self) -> [TasksToWake<'_>; 2] {
        [self.subscribers.tell(u64::MAX), self.hastens.tell(u64::MAX)]
    }

    /// Wakes all who wait for the whole content, to check again.
    fn tell_waiters(&self) -> TasksToWake<'_> {
        self.readiness.tell()
    }

    /// Whether versions of what is published at this moment may have no order.
    fn is_unordered(&self) -> bool {
        self.turns() % 2 == 1
    }

    /// What is published between two calls that return the same even number has an order.
    fn turns(&self) -> u64 {
        // ORDERING: Acquire pairs with the Release in `set_unordered`: what was published before versions
        // had an order again is seen.
        self.turns.load(Ordering::Acquire)
    }

    /// A writer's.
    #[inline]
    pub(super) fn set_unordered(&self, unordered: bool) {
        // ORDERING: Relaxed: it changes under the writer's lock.
        let turns = self.turns.load(Ordering::Relaxed);
        if (turns % 2 == 1) != unordered {
            // ORDERING: Release pairs with the Acquire in `turns`. Whoever acquires the publication that
            // follows sees it too.
            self.turns.store(turns + 1, Ordering::Release);
        }
    }

    fn set_backs(&self) -> u64 {
        // ORDERING: Acquire pairs with the Release in `set_back`. Whoever has pinned what was published behind that
        // sees it, by the publication's.
        self.set_backs.load(Ordering::Acquire)
    }

    /// A writer's, before it publishes an older version of the source than the last.
    pub(super) fn set_back(&self) {
        // ORDERING: Release pairs with the Acquire in `set_backs`, and is ordered before the publication by that.
        self.set_backs.fetch_add(1, Ordering::Release);
        // ORDERING: Release pairs with the Acquire in `unlocked`: whoever is woken sees the number.
        self.is_set_back.store(true, Ordering::Release);
    }

    /// Returns whether the store is gone, so that nothing more is published.
    fn is_closed(&self) -> bool {
        // ORDERING: Acquire pairs with the Release in `close`: what was published is seen.
        self.closed.load(Ordering::Acquire)
    }

    /// Call when the store is gone.
    pub(super) fn close(&self) {
        // ORDERING: Release pairs with the Acquire in `is_closed`.
        self.closed.store(true, Ordering::Release);
        let _ends = self.tell_ends();
        let _goals = [self.revisions.tell(u64::MAX), self.versions.tell(u64::MAX)];
        drop(self.tell_waiters());
    }
}
