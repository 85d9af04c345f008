// The first definition of a link counts: here the README's lead to its pages as they are published, there to the files.
#![doc = include_str!("readme-links.md")]
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
#[cfg(feature = "metrics")]
pub mod metrics;
mod object;
mod panic;
#[cfg(feature = "reconcile")]
pub mod reconcile;
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

/// The book's examples, which are tests.
#[cfg(doctest)]
mod book {
    macro_rules! pages {
        ($($(#[$condition:meta])? $page:ident: $path:literal,)*) => {$(
            $(#[$condition])?
            #[doc = include_str!($path)]
            mod $page {}
        )*};
    }

    pages! {
        four_parts: "../docs/four-parts.md",
        following_changes: "../docs/following-changes.md",
        indexes: "../docs/indexes.md",
        #[cfg(feature = "reconcile")] queues: "../docs/queues.md",
        read_your_writes: "../docs/read-your-writes.md",
        #[cfg(feature = "reflector")] quick_start: "../docs/quick-start.md",
        #[cfg(feature = "reflector")] production: "../docs/production.md",
        #[cfg(feature = "kube")] forms: "../docs/forms.md",
        #[cfg(feature = "kube")] client_go: "../docs/client-go.md",
        #[cfg(all(feature = "kube-runtime", feature = "reconcile"))] kube_rs: "../docs/kube-rs.md",
        #[cfg(feature = "metrics")] metrics: "../docs/metrics.md",
    }
}
