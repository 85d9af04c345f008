#![doc = include_str!("../README.md")]
#![doc(test(attr(deny(warnings))))]
#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod arc_ref;
mod batch;
pub mod fifo;
mod key;
mod keyed;
mod listing;
mod object;
mod panic;
#[cfg(feature = "reflector")]
pub mod reflector;
pub mod selector;
mod sink;
pub mod status;
pub mod store;
mod sync;
mod timer;
mod version;
mod waiters;

pub use arc_ref::ArcRef;
pub use batch::{Batch, Change};
pub use fifo::Fifo;
pub use key::{Key, KeyError, KeyRef};
pub use listing::Listing;
pub use object::Object;
#[cfg(feature = "reflector")]
pub use reflector::Reflector;
pub use selector::LabelSelector;
pub use sink::{Refused, Sink};
pub use status::{Status, StatusError};
pub use store::{Snapshot, Store};
pub use version::{ResourceVersion, Revision};
