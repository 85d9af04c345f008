//! Controllers through their public API: a file for each thing that they promise.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod basics;
mod deletions;
mod driven;
#[cfg(feature = "kube")]
mod kube;
#[cfg(feature = "kube-runtime")]
mod mixed;
mod relations;
mod retries;
mod selection;
mod stopping;
mod stress;
mod thing;
mod user_code;
