//! The parts of a queue: plain data and the rules of one part each. None of them runs user code.

pub(super) mod clock;
pub(super) mod delays;
pub(super) mod deletions;
pub(super) mod effects;
pub(super) mod entry;
mod incoming;
pub(super) mod keys;
pub(super) mod known;
pub(super) mod outgoing;
pub(super) mod queue;
mod relist;
pub(super) mod shard;
pub(super) mod tally;
pub(super) mod timer;
