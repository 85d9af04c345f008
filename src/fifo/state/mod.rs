//! The parts of a queue: plain data, each with its rules. None of them runs user code.

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
