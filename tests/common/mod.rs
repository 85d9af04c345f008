//! What the tests share: an object to cache, objects that tell when they are freed too early, a
//! watchdog, tests that run in a process of their own, and system calls that are refused.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod canary;
pub mod child;
pub mod pod;
pub mod refused;
pub mod watchdog;

#[allow(unused_imports)]
pub use pod::Pod;
