//! The change feed through its public API: a file for each thing that it promises.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod basics;
mod behind;
mod concurrent;
mod filters;
mod follower;
mod goals;
mod model;
mod settle;
mod thing;
mod user_code;
mod waiting;
