//! Metrics under stable names, through the [`metrics`](https://docs.rs/metrics) facade.
//!
//! Whatever recorder the program installs exports them; without one they go nowhere. What client-go has a
//! name for has that name and means the same: `workqueue_*` and `reflector_*`, with the label `name`. The
//! rest begins with `watchcache_`. All names are in [`docs/metrics.md`][names].
//!
//! Counts and durations of a store's writes, and durations of a queue, are told as they happen, by an
//! observer. Everything else is read when [`record`](StoreMetrics::record) is called: from time to time, or
//! before each scrape.
//!
//! ```
//! use watchcache::metrics::{FifoMetrics, StoreMetrics};
//! use watchcache::{Fifo, KeyRef, Object, Store};
//!
//! # #[derive(Debug)]
//! struct Pod(&'static str);
//! impl Object for Pod {
//!     fn key(&self) -> KeyRef<'_> { self.0.into() }
//! }
//!
//! // First the program's recorder, then what reports to it.
//! let (of_store, of_queue) = (StoreMetrics::new("pods"), FifoMetrics::new("pods"));
//! let store = Store::builder().observer(of_store.clone()).build();
//! let queue = Fifo::builder().observer(of_queue.clone()).build()?;
//! store.add(Pod("default/web-0"))?;
//! queue.add(Pod("default/web-0"))?;
//!
//! // As often as somebody looks:
//! of_store.record(&store);
//! of_queue.record(&queue);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [names]: https://docs.rs/crate/watchcache/latest/source/docs/metrics.md

mod fifo;
#[cfg(feature = "reflector")]
mod reflector;
mod store;

use ::metrics::{SharedString, gauge};

pub use self::fifo::FifoMetrics;
#[cfg(feature = "reflector")]
pub use self::reflector::ReflectorMetrics;
pub use self::store::StoreMetrics;
use crate::ResourceVersion;

/// Sets one of our gauges of what has this name.
fn set(metric: &'static str, name: &SharedString, value: f64) {
    gauge!(metric, "name" => name.clone()).set(value);
}

/// A version as a gauge: its last 15 digits, as client-go has it, which a float keeps exactly. `None` if it
/// is no decimal number.
fn version(version: &ResourceVersion) -> Option<f64> {
    let text = version.as_str();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let last = digits.then(|| &text[text.len().saturating_sub(15)..]);
    last.and_then(|last| last.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_told_by_its_last_fifteen_digits() {
        assert_eq!(version(&"41".into()), Some(41.0));
        assert_eq!(version(&"12345678901234567890".into()), Some(678_901_234_567_890.0));
        for odd in ["", "7a", "-7", "+7", "inf", "é"] {
            assert_eq!(version(&odd.into()), None, "{odd}");
        }
    }
}
