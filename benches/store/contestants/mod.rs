//! The stores that are compared, each behind the same two traits.
//!
//! All keep `Arc`s of the same objects and, where they let one choose, hash with foldhash's fast
//! variant. A contestant takes part in what its interface offers, in the way its users would.

pub mod dashmap;
pub mod hashbrown_unsync;
pub mod kube_runtime;
pub mod papaya;
pub mod rwlock_hashmap;
pub mod watchcache;

use std::sync::Arc;

/// The hasher of every contestant that lets one choose.
pub type Hasher = foldhash::fast::RandomState;

/// Shared access.
pub trait Reader: Sync {
    /// What a user looks up by.
    type Key: Send + Sync;
    type Object: Send + Sync;

    /// The key of the `i`th object, in memory of its own.
    fn key(i: usize) -> Self::Key;

    fn get(&self, key: &Self::Key) -> Option<Arc<Self::Object>>;
}

/// Looking at an object without taking a share in it.
pub trait Borrow: Reader {
    /// The object's first word.
    fn look(&self, key: &Self::Key) -> Option<u64>;
}

/// Walking over everything.
pub trait Walk: Reader {
    /// All objects, in a list of their own.
    fn list(&self) -> impl Sized;

    /// The sum of the objects' first words.
    fn sum(&self) -> u64;
}

/// Exclusive access.
pub trait Writer: Send {
    /// Changes that belong together.
    type Batch: Clone + Send + Sync;
    /// What is left of them.
    type Spent;

    /// Puts of these objects in this version.
    fn batch(objects: impl Iterator<Item = usize>, version: u64) -> Self::Batch;

    /// Applies them. What is returned is dropped outside the clock.
    fn apply(&mut self, batch: Self::Batch) -> Self::Spent;
}
