//! What the tests share: an object to cache, objects that tell when they are freed too early, a
//! watchdog, and tests that run in a process of their own.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod canary;
pub mod child;
pub mod pod;
pub mod watchdog;

#[allow(unused_imports)]
pub use pod::Pod;
