//! The reflector against scripted sources, in virtual time; merges, shards and filters.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod basics;
mod ending;
mod evidence;
mod filter;
mod lists;
mod merge;
mod merge_model;
mod poll;
mod quarantine;
mod quiet;
mod recording;
mod recovery;
mod refused;
mod script;
mod shard;
mod versions;
mod wakers;
#[cfg(feature = "kube-runtime")]
mod watcher;
