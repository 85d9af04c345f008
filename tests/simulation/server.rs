//! A world, and the faults with which it is served.

use std::sync::{Mutex, MutexGuard};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::plan::Plan;
use crate::world::{Snapshot, World};

pub(crate) struct Server {
    pub(crate) plan: Plan,
    world: Mutex<World>,
    state: Mutex<State>,
}

pub(crate) struct State {
    random: StdRng,
    faulty: bool,
    /// What the pages of running lists are taken from.
    pub(crate) lists: Vec<Snapshot>,
    /// Grows when the history is set back: nothing from before is served any more.
    pub(crate) epoch: u32,
    /// Watches from before this version fail for good; a list helps.
    pub(crate) poisoned: u64,
}

impl Server {
    pub(crate) fn new(seed: u64, plan: Plan) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let world = World::new(StdRng::seed_from_u64(random.random()), plan.size);
        let state = State { random, faulty: true, lists: Vec::new(), epoch: 0, poisoned: 0 };
        Self { plan, world: Mutex::new(world), state: Mutex::new(state) }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
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

    /// From now on watches from before this moment fail.
    pub(crate) fn poison(&self) {
        let version = self.world().version();
        self.state().poisoned = version;
    }

    /// Sets the history back by some of its versions.
    pub(crate) fn restore(&self) {
        let mut world = self.world();
        let back = 1 + self.below(20);
        let version = world.version().saturating_sub(back).max(1);
        world.restore(version);
        let mut state = self.state();
        state.epoch += 1;
        state.lists.iter_mut().for_each(|list| *list = Snapshot::default());
        state.poisoned = state.poisoned.min(version);
    }
}
