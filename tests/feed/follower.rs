//! A subscriber that puts together what it is told, and checks each word of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use watchcache::store::{Delivery, Subscription};
use watchcache::{Object, Revision};

/// The shortest time to settle: what was published meanwhile is coalesced, and nobody has to wait.
pub(crate) const SHORTEST: Duration = Duration::from_nanos(1);

/// What a subscriber knows.
pub(crate) struct Follower<T: Object> {
    pub(crate) subscription: Subscription<T>,
    pub(crate) known: BTreeMap<String, Arc<T>>,
    pub(crate) revision: Option<Revision>,
}

impl<T: Object> Follower<T> {
    /// Of a subscription that begins with what is known.
    pub(crate) fn new(subscription: Subscription<T>, known: BTreeMap<String, Arc<T>>) -> Self {
        Self { subscription, known, revision: None }
    }

    /// Takes one delivery, if there is one. One that settles for the shortest time is due by then.
    pub(crate) fn step(&mut self) -> bool {
        let now = Instant::now();
        while now.elapsed() <= SHORTEST {}
        let Self { subscription, known, revision } = self;
        let Ok(delivery) = subscription.try_next() else { return false };
        take(known, &delivery);
        assert!(*revision <= Some(delivery.revision()), "it went back");
        *revision = Some(delivery.revision());
        true
    }

    /// Takes all that is there; how many deliveries that was.
    pub(crate) fn drain(&mut self) -> usize {
        std::iter::from_fn(|| self.step().then_some(())).count()
    }
}

/// Applies a delivery to what is known. What it says was there before is what was known: so none is
/// missing, and none comes twice.
pub(crate) fn take<T: Object>(known: &mut BTreeMap<String, Arc<T>>, delivery: &Delivery<'_, T>) {
    if delivery.is_whole() {
        known.clear();
    }
    let mut seen = std::collections::BTreeSet::new();
    for item in delivery {
        let key = item.key.to_string();
        assert!(seen.insert(key.clone()), "{key} is in it twice");
        let before = known.get(&key);
        assert_eq!(
            before.map(Arc::as_ptr),
            item.old.map(|old| Arc::as_ptr(&old)),
            "{key}: {:?} does not follow what was told before",
            delivery.kind()
        );
        match item.new {
            Some(new) => known.insert(key, new.to_arc()),
            None => known.remove(&key),
        };
    }
}
