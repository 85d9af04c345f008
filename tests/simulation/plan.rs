//! What a seed decides once: how the world is mirrored, and which faults it has.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

use crate::world::Size;

/// How the world reaches the sinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    /// One reflector of everything.
    Single,
    /// Two reflectors of overlapping selections into one cache.
    Merged,
    /// Two reflectors of half of the keys each, into a cache each.
    Sharded,
}

/// What becomes of bad objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    /// The source says that they do not decode.
    Told,
    /// A transform panics on them.
    Transformed,
    /// An index function of the store fails on them.
    Refused,
    /// They are delivered as good ones, and whoever reads them reports them: an index function while
    /// sinks are fed, or somebody later.
    Lazy,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) topology: Topology,
    pub(crate) bad: Bad,
    pub(crate) size: Size,
    /// Events come out of order, and lists of mixed versions.
    pub(crate) disorder: bool,
    /// Deletions carry the version of the object's last change.
    pub(crate) old_deletions: bool,
    /// Changes of a transaction, of which there are some.
    pub(crate) transaction: usize,
    /// Objects give way to others of lower versions, once.
    pub(crate) moves: bool,
    /// The history is set back once, by a server that says so by failures or by bookmarks.
    pub(crate) restore: Option<Restored>,
    pub(crate) page_size: Option<u32>,
    pub(crate) batch_limit: usize,
    pub(crate) streaming: bool,
    pub(crate) resync: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restored {
    /// A version from the future is refused.
    Refuses,
    /// It is taken, and followed by bookmarks of the true version.
    Bookmarks,
}

impl Plan {
    pub(crate) fn new(random: &mut StdRng) -> Self {
        let topologies = [Topology::Single, Topology::Merged, Topology::Sharded];
        let bad = [Bad::Told, Bad::Refused, Bad::Transformed, Bad::Lazy];
        let large = random.random_bool(0.01);
        let transaction = match random.random_range(0..100) {
            0 => 5_000,
            1 => 2_000,
            2..20 => 30,
            _ => 0,
        };
        let restored = [Restored::Refuses, Restored::Bookmarks][random.random_range(0..2)];
        let mut plan = Self {
            topology: topologies[random.random_range(0..3)],
            bad: bad[random.random_range(0..4)],
            size: Size { namespaces: 2, names: if large { 1_500 } else { 12 } },
            disorder: random.random_bool(0.5),
            old_deletions: random.random_bool(0.2),
            transaction,
            moves: random.random_bool(0.15),
            restore: random.random_bool(0.1).then_some(restored),
            page_size: match transaction > 100 || large {
                true => [None, Some(500)][random.random_range(0..2)],
                false => [None, Some(1), Some(7), Some(100)][random.random_range(0..4)],
            },
            batch_limit: random.random_range(1..50),
            streaming: random.random_bool(0.3),
            resync: random.random_bool(0.2).then_some(Duration::from_secs(45)),
        };
        // What came of a transaction that was cut off, or of a deletion in an old version, is ahead of
        // the position, and nothing would tell that its history is gone.
        // Nor does a store that refuses an object of a list let go of what it held before.
        if plan.transaction > 0 || plan.old_deletions || plan.bad == Bad::Refused {
            plan.restore = None;
        }
        plan.moves &= plan.restore.is_none();
        plan
    }

    /// Whether the reflector with this index is to mirror the key.
    pub(crate) fn selects(&self, reflector: usize, key: &str) -> bool {
        match self.topology {
            Topology::Single | Topology::Sharded => true,
            // The first takes a namespace, the second what ends in an even digit, too.
            Topology::Merged if reflector == 0 => key.starts_with("ns-0/"),
            Topology::Merged => {
                key.starts_with("ns-1/") || key.ends_with(['0', '2', '4', '6', '8'])
            }
        }
    }

    /// Whether a consumer may be told of a lower version after a higher one.
    pub(crate) fn may_go_back(&self) -> bool {
        self.restore.is_some() || self.moves
    }

    pub(crate) fn reflectors(&self) -> usize {
        if self.topology == Topology::Single { 1 } else { 2 }
    }
}
