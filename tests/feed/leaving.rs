//! What a log lets go of at once is dropped little by little: no write pays for what others have written.

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use watchcache::store::FeedLimits;
use watchcache::{Batch, KeyRef, Object, Store};

const KEYS: usize = 2_000;

/// Far fewer than the keys, and more than what a write of one change may drop.
const FEW: usize = 200;

struct Counted {
    key: String,
    dropped: Arc<AtomicUsize>,
}

impl Object for Counted {
    fn key(&self) -> KeyRef<'_> {
        (&*self.key).into()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

struct Watched {
    store: Store<Counted>,
    dropped: Arc<AtomicUsize>,
    seen: Cell<usize>,
}

impl Watched {
    fn new(changes: usize) -> Self {
        let limits = FeedLimits::default().log(changes, usize::MAX);
        let store = Store::builder().feed(limits).build();
        Self { store, dropped: Arc::default(), seen: Cell::new(0) }
    }

    fn object(&self, key: usize) -> Counted {
        Counted { key: format!("a/{key}"), dropped: Arc::clone(&self.dropped) }
    }

    fn add_all(&self) {
        let mut batch = Batch::new();
        (0..KEYS).for_each(|key| batch.add(self.object(key)).unwrap());
        self.store.apply(&batch);
    }

    /// How many objects were dropped since this was last asked.
    fn dropped(&self) -> usize {
        let dropped = self.dropped.load(Ordering::Relaxed);
        dropped - self.seen.replace(dropped)
    }

    /// How many objects the dearest of so many writes of one change dropped.
    fn dearest(&self, writes: usize) -> usize {
        self.dropped();
        let each = (0..writes).map(|_| {
            self.store.add(self.object(KEYS)).unwrap();
            self.dropped()
        });
        each.max().unwrap_or(0)
    }

    fn live(&self, created: usize) -> usize {
        created - self.dropped.load(Ordering::Relaxed)
    }
}

#[test]
fn no_write_drops_what_a_large_segment_had() {
    let watched = Watched::new(4 * KEYS);
    let mut subscription = watched.store.subscribe().start().unwrap();
    watched.add_all();
    watched.add_all();
    while subscription.try_next().is_ok() {}
    // Enough to push both out of the log.
    let writes = 5 * KEYS;
    let dearest = watched.dearest(writes);
    assert!(dearest <= FEW, "one write of one change dropped {dearest}");
    while subscription.try_next().is_ok() {}
    let live = watched.live(2 * KEYS + writes);
    assert!(live <= 6 * KEYS, "the keys, and a log: {live}");
}

fn a_log_that_nobody_follows_any_more() -> Watched {
    let watched = Watched::new(1 << 16);
    let subscription = watched.store.subscribe().start().unwrap();
    for _ in 0..8 {
        watched.add_all();
    }
    drop(subscription);
    watched
}

fn is_dropped_little_by_little(watched: &Watched) {
    let dearest = watched.dearest(100);
    assert!(dearest <= FEW, "one write of one change dropped {dearest}");
    let writes = 4 * KEYS;
    watched.dearest(writes);
    let live = watched.live(8 * KEYS + 100 + writes);
    assert!(live <= KEYS + FEW, "the keys, and little else: {live}");
}

#[test]
fn no_write_drops_a_whole_log_that_nobody_follows_any_more() {
    is_dropped_little_by_little(&a_log_that_nobody_follows_any_more());
}

#[test]
fn it_is_dropped_beside_somebody_who_waits_for_a_version() {
    let watched = a_log_that_nobody_follows_any_more();
    let mut waiting = pin!(watched.store.wait_for_version_async(&"9".into(), None));
    let mut context = Context::from_waker(Waker::noop());
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    is_dropped_little_by_little(&watched);
    assert!(waiting.as_mut().poll(&mut context).is_pending());
}

#[test]
fn figures_drop_it_too() {
    let watched = a_log_that_nobody_follows_any_more();
    watched.store.add(watched.object(KEYS)).unwrap();
    for _ in 0..20 {
        let _ = watched.store.stats();
    }
    let live = watched.live(8 * KEYS + 1);
    assert!(live <= KEYS + FEW, "the keys, and little else: {live}");
}
