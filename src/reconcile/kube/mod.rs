//! What kube's types tell of each other: owners, generations, finalizers.

mod finalizer;
mod owners;

pub use self::finalizer::{FinalizerError, FinalizerEvent, finalizer};
