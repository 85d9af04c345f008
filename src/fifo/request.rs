//! Queueing what has no textual key of its own.

use std::fmt;

use crate::{Key, KeyError, KeyRef, Object};

/// A key of any type, with a value or without, for a [`Fifo`](crate::Fifo) or a [`Store`](crate::Store).
///
/// Two requests are of the same key if their keys' texts ([`Display`](fmt::Display)) are the same, whatever
/// is in them. The text is made once. What needs no other type queues [`Key`]s, and what has a key of its own
/// is an [`Object`] better.
///
/// ```
/// use std::net::SocketAddr;
/// use watchcache::Fifo;
/// use watchcache::fifo::Request;
///
/// let fifo = Fifo::<Request<SocketAddr, u32>>::new();
/// let address: SocketAddr = "10.0.0.1:80".parse()?;
/// fifo.add(Request::with_value(address, 1)?)?;
/// fifo.add(Request::with_value(address, 2)?)?;
/// assert_eq!(fifo.len(), 1);
/// let lease = fifo.lease()?;
/// assert_eq!((*lease.target(), *lease.value()), (address, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Request<K, V = ()> {
    target: K,
    value: V,
    key: Key,
}

impl<K: fmt::Display> Request<K> {
    /// A request without a value.
    ///
    /// # Errors
    /// If the key's text is empty, or longer than [`Key::MAX_PART`] bytes.
    pub fn new(target: K) -> Result<Self, KeyError> {
        Self::with_value(target, ())
    }
}

impl<K: fmt::Display, V> Request<K, V> {
    /// A request with a value, which stands for no part of its key.
    ///
    /// # Errors
    /// As [`new`](Request::new).
    pub fn with_value(target: K, value: V) -> Result<Self, KeyError> {
        let key = Key::cluster_scoped(&target.to_string())?;
        Ok(Self { target, value, key })
    }
}

impl<K, V> Request<K, V> {
    /// The key.
    pub fn target(&self) -> &K {
        &self.target
    }

    /// The value.
    pub fn value(&self) -> &V {
        &self.value
    }
}

impl<K: Send + Sync + 'static, V: Send + Sync + 'static> Object for Request<K, V> {
    /// A name without a namespace: the text, [whatever is in it](Key#names-with-slashes).
    fn key(&self) -> KeyRef<'_> {
        self.key.as_ref()
    }

    /// With the text of the key, and without what the key and the value point to.
    fn size(&self) -> usize {
        size_of_val(self) + self.key.as_str().len()
    }
}

impl<K: fmt::Display, V> fmt::Debug for Request<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({})", self.target)
    }
}
