//! The queue's guarantees, one by one. No test depends on how long anything takes; those that could
//! hang run under a watchdog.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod blocking;
mod deletions;
mod drain;
mod item;
mod leases;
mod limits;
mod metrics;
mod order;
mod parked;
mod refused;
mod stream;
mod stress;
mod sync_and_close;
mod time;
mod user_code;
mod wakeups;
