//! A section that holds the lock of one key's shard.

use std::ops::{Deref, DerefMut};

use super::Shared;
use crate::Object;
use crate::fifo::state::effects::Effects;
use crate::fifo::state::shard::Shard;

/// Dropping it unlocks the shard and then carries out the effects: no path can forget that.
pub(super) struct Section<'a, T: Object> {
    shared: &'a Shared<T>,
    /// `None` once unlocked.
    shard: Option<Shard<'a, T>>,
    effects: Effects<T>,
    tells: bool,
}

impl<'a, T: Object> Section<'a, T> {
    #[inline(always)]
    pub(super) fn new(shared: &'a Shared<T>, shard: Shard<'a, T>) -> Self {
        Self { shared, shard: Some(shard), effects: Effects::none(), tells: true }
    }

    #[inline(always)]
    pub(super) fn parts(&mut self) -> (&mut Shard<'a, T>, &mut Effects<T>) {
        match &mut self.shard {
            Some(shard) => (shard, &mut self.effects),
            None => unreachable!("only the section's end unlocks it"),
        }
    }

    /// Leaves it to the caller to tell others, once the section has ended.
    pub(super) fn leave_telling(&mut self) {
        self.tells = false;
    }
}

impl<T: Object> Deref for Section<'_, T> {
    type Target = Effects<T>;

    fn deref(&self) -> &Effects<T> {
        &self.effects
    }
}

impl<T: Object> DerefMut for Section<'_, T> {
    fn deref_mut(&mut self) -> &mut Effects<T> {
        &mut self.effects
    }
}

impl<T: Object> Drop for Section<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        let depth = match &self.shard {
            Some(shard) if self.effects.stale > 0 => shard.tally().depth(),
            _ => 0,
        };
        self.shard = None;
        self.shared.settle(&mut self.effects, depth);
        if self.tells {
            self.shared.tell(&mut self.effects);
        }
    }
}
