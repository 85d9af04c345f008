//! A world, the faults with which it is served, and a count of what was asked and forced.

use std::sync::{Mutex, MutexGuard};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::world::{Snapshot, World};

pub(crate) struct Server {
    world: Mutex<World>,
    state: Mutex<State>,
}

pub(crate) struct State {
    pub(crate) random: StdRng,
    faulty: bool,
    pub(crate) counts: Counts,
    /// What the pages of running lists are taken from.
    pub(crate) lists: Vec<Snapshot>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Lists' pages and watches asked for.
    pub(crate) requests: u64,
    pub(crate) pages: u64,
    /// Watches that were told that their version is gone.
    pub(crate) expired: u64,
    /// Watches that were sent something unintelligible.
    pub(crate) garbage: u64,
    /// Lists whose later pages are newer than the first.
    pub(crate) mixed_lists: u64,
}

impl Server {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let world = World::new(StdRng::seed_from_u64(random.random()));
        let state = State { random, faulty: true, counts: Counts::default(), lists: Vec::new() };
        Self { world: Mutex::new(world), state: Mutex::new(state) }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state().counts
    }

    pub(crate) fn end_faults(&self) {
        self.state().faulty = false;
    }

    /// Whether a fault of this likelihood happens now.
    pub(crate) fn fault(&self, likelihood: f64) -> bool {
        let mut state = self.state();
        state.faulty && state.random.random_bool(likelihood)
    }

    pub(crate) fn below(&self, end: u64) -> u64 {
        self.state().random.random_range(0..end)
    }
}
