//! What a function that lists returns for one object.

use crate::Object;
use crate::reflector::Undecodable;

/// A row that a [`Poll`](super::Poll) lists: an object, or why it is none. It is made of an object, or of a `Result`
/// where some rows may be bad:
///
/// ```
/// # use std::time::Duration;
/// use watchcache::reflector::{Poll, SourceError, Undecodable};
/// # use watchcache::{KeyRef, Object};
///
/// # #[derive(PartialEq)]
/// # struct Limit { name: String, value: u32 }
/// # impl Object for Limit { fn key(&self) -> KeyRef<'_> { ("", &*self.name).into() } }
/// fn limit((name, text): (&str, &str)) -> Result<Limit, Undecodable> {
///     let value = text.parse().map_err(|error| {
///         let key = watchcache::Key::cluster_scoped(name).ok();
///         Undecodable::new(key, None, format!("{text:?}: {error}"))
///     })?;
///     Ok(Limit { name: name.to_owned(), value })
/// }
///
/// async fn list() -> Result<Vec<Result<Limit, Undecodable>>, SourceError> {
///     Ok([("cpu", "10"), ("memory", "much")].map(limit).into())
/// }
/// let source = Poll::new(Duration::from_secs(10), list);
/// # drop(source);
/// assert!(limit(("cpu", "10")).is_ok_and(|limit| limit.value == 10));
/// assert!(limit(("memory", "much")).is_err_and(|bad| bad.key.is_some()));
/// ```
#[derive(Clone, Debug)]
pub struct Row<T>(pub(super) Result<T, Undecodable>);

impl<T: Object> From<T> for Row<T> {
    fn from(object: T) -> Self {
        Self(Ok(object))
    }
}

impl<T> From<Result<T, Undecodable>> for Row<T> {
    fn from(row: Result<T, Undecodable>) -> Self {
        Self(row)
    }
}
