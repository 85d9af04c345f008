//! The change feed through its public API: a file for each thing that it promises.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod assumed;
mod basics;
mod behind;
mod concurrent;
mod enqueue;
mod figures;
mod filters;
mod follower;
mod goals;
mod handler_model;
mod handlers;
mod leaving;
mod model;
mod readiness;
mod refused;
mod settle;
mod soak;
mod thing;
mod user_code;
mod waiting;
mod woken;
