//! The store through its public API: a file for each thing that it promises.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod basics;
mod combined;
mod conditional;
mod destructors;
mod differences;
mod forgotten;
mod hot_key;
mod indexes;
mod lent;
mod long_keys;
mod membarrier;
mod ordered;
mod outcomes;
mod panics;
mod reclamation;
mod reentrant;
mod relist;
mod stats;
mod tagged;
mod thread_ends;
mod typed_indexes;
mod views;
