//! What a store, a queue, a reflector, a status and a subscription are each for: a lesson to be read from top to bottom,
//! and a test to be run.
//!
//! ```sh
//! cargo test --test tutorial -- --test-threads 1
//! ```
//!
//! Suppose that a program needs to know about things that somebody else keeps: the Pods of a cluster,
//! the endpoints of a service, the settings of a tenant. It could ask each time, and wait for the
//! answer each time. It is better off with a copy in memory that follows what happens. Five questions
//! come up on the way, and each is one part of this lesson:
//!
//! 1. Where is the copy, and how do many threads read it while it changes? In a **store**.
//! 2. Something has changed: who does what is to be done about it, and what if that fails? Workers
//!    at a **queue**.
//! 3. How does the copy follow what happens? By a **reflector**.
//! 4. Something went wrong on the other side: what was it, and is it worth trying again? A **status**
//!    says.
//! 5. The copy changes all the time: who is told what was, and what is now? Whoever has a
//!    **subscription**.
//!
//! Each part begins with an empty file, and each test adds one idea. Nothing is hidden: all that a step
//! needs is in it, or above it.
#![allow(clippy::unwrap_used, missing_docs)]

mod part_1_a_store;
mod part_2_a_queue;
#[cfg(feature = "reflector")]
mod part_3_a_reflector;
mod part_4_a_status;
mod part_5_a_subscription;
