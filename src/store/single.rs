//! Writes of one object. Its key is copied only if another thread does the write.

use super::{Store, UpdateError, WriteError, Written};
use crate::Object;
use crate::sync::Arc;

impl<T: Object> Store<T> {
    pub(super) fn put(&self, object: Arc<T>) -> Result<Written, WriteError> {
        // Called once, before any lock is taken: it is user code.
        let key = object.key();
        key.check()?;
        let Some(mut writing) = self.try_writing() else {
            let key = key.to_key_unchecked();
            let result = self.combine(move |writing| {
                let result = writing.add(key.as_ref(), &object);
                writing.let_go(object, &result);
                result
            });
            return result.map_err(|rejected| (*rejected).into());
        };
        let result = writing.add(key, &object);
        writing.let_go(object, &result);
        self.finish(writing);
        result.map_err(|rejected| (*rejected).into())
    }

    pub(super) fn update(
        &self,
        seen: Option<&Arc<T>>,
        object: Arc<T>,
    ) -> Result<Written, UpdateError<T>> {
        let key = object.key();
        if let Err(error) = key.check() {
            return Err(UpdateError::Write { object, error: error.into() });
        }
        let Some(mut writing) = self.try_writing() else {
            let (key, seen) = (key.to_key_unchecked(), seen.cloned());
            // `seen` comes back with the result, so that it is not dropped under the lock.
            let (result, _seen) = self.combine(move |writing| {
                let result = writing.update(key.as_ref(), seen.as_ref(), &object);
                (result, seen)
            });
            return result;
        };
        let result = writing.update(key, seen, &object);
        // The current holder keeps it at least until the lock is released: no destructor runs.
        drop(object);
        self.finish(writing);
        result
    }
}
