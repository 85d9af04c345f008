//! A controller: brings what is there to what is wanted, key by key, whatever has happened.
//!
//! It follows a [store](crate::Store) of the objects that it is about, and any number of others whose changes
//! lead to one of them. Each change queues the key of what is to be looked at; keys are leased from a
//! [`Fifo`](crate::Fifo), and handed to a function of yours with the newest state. That is what kube-runtime's
//! `Controller` does; see [`docs/kube-rs.md`][compared] for what is different.
//!
//! * One reconcile for each key at a time, so many [at once](Controller::concurrency). However often something
//!   changes while a key waits or is reconciled, that is one more reconcile.
//! * It begins when each store has its source's [whole content](crate::Store::wait_synced), so nothing is taken
//!   for missing that was not listed yet.
//! * What fails comes back after a back-off of its own; a panic is a failure of that key, and of no other.
//! * What is [assumed](crate::Store::assume) is reconciled as if it were there, and again when it is forgotten.
//! * [`Controller::deletions`] hands out what is gone, with its last state.
//! * It ends when it is told to, as soon as what it has begun has ended.
//!
//! # Progress
//! The controller is a future, and needs no runtime: what it follows, and the reconciles, are polled by it. It
//! holds no lock while user code runs, waits for no writer, unless it is given a
//! [confirmed](crate::store::feed::Subscribe::confirmed) subscription, and no store waits for it. What a store tells at
//! once, the first content or a relist, is mapped and queued in one turn, whatever its size. Memory: a place in each
//! store's feed and a key for what waits; where what is gone is reconciled, too, a key for each object.
//!
//! # User code
//! Filters, mappings, reconciles, the error policy and the callback run in the task that runs the controller. A
//! panic of any is contained: that of a filter counts as no, that of a mapping leads to nothing, that of a
//! reconcile is its failure, that of the policy is a back-off, and that of the destructor of a reconcile's future, an
//! object, an error or a mapping ends there. [`Controller::faults`] counts those of filters and mappings. Those of the functions that it was built with are not contained.
//!
//! ```
//! use std::sync::Arc;
//!
//! use watchcache::reconcile::{Action, Controller, Request};
//! use watchcache::{Key, KeyRef, Object, Store};
//!
//! struct Web(&'static str);
//! impl Object for Web {
//!     fn key(&self) -> KeyRef<'_> { ("default", self.0).into() }
//! }
//! struct Pod { name: &'static str, of: Key }
//! impl Object for Pod {
//!     fn key(&self) -> KeyRef<'_> { ("default", self.name).into() }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let (webs, pods) = (Arc::new(Store::new()), Arc::new(Store::<Pod>::new()));
//! webs.add(Web("shop"))?;
//! # webs.mark_synced();
//! # pods.mark_synced();
//! // In a program it creates what is missing.
//! let has_pods = {
//!     let pods = Arc::clone(&pods);
//!     move |web: Request<Web>| {
//!         let count = pods.snapshot().objects().filter(|pod| &pod.of == web.key()).count();
//!         async move { if count > 0 { Ok(Action::await_change()) } else { Err("it has no Pod") } }
//!     }
//! };
//! let (outcomes, mut told) = tokio::sync::mpsc::unbounded_channel();
//! let controller = Controller::new(&webs)
//!     .watches(pods.subscribe(), |pod: &Pod| Some(pod.of.clone()))
//!     .reconcile(has_pods)
//!     .on_error(|_, _| Action::await_change())
//!     .on_outcome(move |outcome| _ = outcomes.send(outcome.result.is_ok()));
//!
//! let stopped = controller.run(async {
//!     assert_eq!(told.recv().await, Some(false));
//!     let owned = Pod { name: "shop-0", of: "default/shop".parse().expect("a key") };
//!     pods.add(owned).expect("a usable key");
//!     assert_eq!(told.recv().await, Some(true));
//! });
//! assert!(stopped.await?.left.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [compared]: https://docs.rs/crate/watchcache/latest/source/docs/kube-rs.md#a-controller

mod action;
mod attempt;
mod controller;
mod error;
mod faults;
mod feeding;
#[cfg(feature = "kube")]
mod kube;
mod outcome;
mod reconciler;
mod request;
mod run;
mod selection;
mod told;
mod waiting;

pub use self::action::Action;
pub use self::controller::Controller;
pub use self::error::RunError;
pub use self::faults::Faults;
#[cfg(feature = "kube")]
pub use self::kube::{FinalizerError, FinalizerEvent, finalizer};
pub use self::outcome::{Failure, Outcome, StopReason, Stopped};
pub use self::reconciler::Reconciler;
pub use self::request::Request;
