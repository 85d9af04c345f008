//! A subscription as a stream.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::FusedStream;

use super::Subscription;
use super::blocking::Waiting;
use super::delivery::Delivery;

use crate::Object;

/// The deliveries of a subscription as a stream, each to be kept; from [`Subscription::into_stream`]. It
/// ends when the store is gone and everything was delivered.
///
/// Of two stores, whatever comes first:
///
/// ```
/// use futures_util::stream::{StreamExt, select};
/// use watchcache::{Key, Store};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (pods, nodes) = (Store::<Key>::new(), Store::<Key>::new());
/// let of_pods = pods.subscribe().start()?.into_stream();
/// let of_nodes = nodes.subscribe().start()?.into_stream();
/// pods.add("a/web".parse::<Key>()?)?;
/// nodes.add("node-1".parse::<Key>()?)?;
/// drop((pods, nodes));
/// assert_eq!(select(of_pods, of_nodes).count().await, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct DeliveryStream<T: Object> {
    subscription: Subscription<T>,
    waiting: Waiting,
    ended: bool,
}

impl<T: Object> Subscription<T> {
    /// The deliveries that [`next_async`](Self::next_async) returns, as a stream.
    ///
    /// ```
    /// use futures_util::StreamExt;
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let store = Store::new();
    /// let deliveries = store.subscribe().start()?.into_stream();
    /// store.add(Pod("a/web"))?;
    /// store.delete("a/web");
    /// drop(store);
    /// assert_eq!(deliveries.map(|delivery| delivery.iter().count()).collect::<Vec<_>>().await, [1, 1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "a stream does nothing unless polled"]
    pub fn into_stream(self) -> DeliveryStream<T> {
        DeliveryStream { subscription: self, waiting: Waiting::new(), ended: false }
    }
}

impl<T: Object> Stream for DeliveryStream<T> {
    type Item = Delivery<'static, T>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { subscription, waiting, ended } = self.get_mut();
        if *ended {
            return Poll::Ready(None);
        }
        waiting.poll(context, subscription).map(|content| {
            *ended = content.is_none();
            Some(Delivery::new(content?, &subscription.filter).into_owned())
        })
    }
}

impl<T: Object> FusedStream for DeliveryStream<T> {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

impl<T: Object> fmt::Debug for DeliveryStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeliveryStream")
            .field("subscription", &self.subscription)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
