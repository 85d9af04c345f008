//! Index definitions: how an object's values are found, and what happens when that fails.

use std::convert::identity;

use super::engine::Values;
use super::error::{RejectReason, Rejected};
use crate::sync::Arc;
use crate::{KeyRef, panic};

type Function<T> = dyn Fn(&T) -> Result<Vec<Arc<str>>, String> + Send + Sync;

/// A named index function.
pub(super) struct Definition<T> {
    pub(super) name: Arc<str>,
    function: Arc<Function<T>>,
}

impl<T> Clone for Definition<T> {
    fn clone(&self) -> Self {
        Self { name: Arc::clone(&self.name), function: Arc::clone(&self.function) }
    }
}

impl<T> Definition<T> {
    pub(super) fn new<I, E>(
        name: &str,
        function: impl Fn(&T) -> Result<I, E> + Send + Sync + 'static,
    ) -> Self
    where
        I: IntoIterator<Item: Into<Arc<str>>>,
        E: std::fmt::Display,
    {
        let function = move |object: &T| match function(object) {
            Ok(values) => Ok(values.into_iter().map(Into::into).collect()),
            Err(error) => Err(error.to_string()),
        };
        Self { name: name.into(), function: Arc::new(function) }
    }

    /// The object's values, in order and without repetition.
    pub(super) fn values(&self, key: KeyRef<'_>, object: &T) -> Result<Vec<Arc<str>>, Rejected> {
        let failed = |message| Rejected {
            key: key.to_key_unchecked(),
            reason: RejectReason::Index { index: Arc::clone(&self.name), message },
        };
        // A function that unwinds has seen only the object, by shared reference.
        let mut values =
            panic::catch(|| (self.function)(object)).and_then(identity).map_err(failed)?;
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }
}

/// The object's values for every index, in the indexes' order.
pub(super) fn values_of<T>(
    definitions: &[Definition<T>],
    key: KeyRef<'_>,
    object: &T,
) -> Result<Values, Rejected> {
    definitions.iter().map(|definition| definition.values(key, object)).collect()
}
