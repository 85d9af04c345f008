//! The queue as a stream.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::FusedStream;

use super::shared::Shared;
use super::{Closed, Fifo, Lease};
use crate::Object;
use crate::waiters::{Owes, Wait};

/// The objects of a queue as a stream; made by [`Fifo::pops`]. It ends when the queue is closed and
/// nothing can be handed out.
///
/// ```
/// use futures_util::stream::{FusedStream, StreamExt};
/// use watchcache::{Fifo, Key};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let fifo = Fifo::<Key>::new();
/// let mut pops = fifo.pops();
/// fifo.add("a/web".parse::<Key>()?)?;
/// assert_eq!(pops.next().await.as_deref().map(Key::name), Some("web"));
/// fifo.close();
/// assert!(pops.next().await.is_none() && pops.is_terminated());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pops<T>(Consumer<T>);

/// The leases of a queue as a stream; made by [`Fifo::leases`]. It ends when the queue is closed and
/// nothing can be handed out.
///
/// Four keys at a time, in one task:
///
/// ```
/// use futures_util::StreamExt;
/// use watchcache::{Fifo, Key};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let fifo = Fifo::<Key>::new();
/// for name in ["a", "b", "c", "d", "e", "f"] {
///     fifo.add(name.parse::<Key>()?)?;
/// }
/// fifo.close();
/// fifo.leases().for_each_concurrent(4, async |lease| lease.done()).await;
/// assert_eq!(fifo.stats().popped, 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Leases<T>(Consumer<T>);

struct Consumer<T> {
    shared: Arc<Shared<T>>,
    wait: Wait,
    ended: bool,
}

impl<T: Object> Consumer<T> {
    fn new(fifo: &Fifo<T>) -> Self {
        Self { shared: Arc::clone(&fifo.shared), wait: Wait::new(), ended: false }
    }

    fn poll<R>(
        &mut self,
        context: &mut Context<'_>,
        attempt: impl Fn(&Arc<Shared<T>>) -> Option<Result<R, Closed>>,
    ) -> Poll<Option<R>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let shared = &self.shared;
        let (ready, until) = (|| shared.is_ready(), || shared.sleeps_until());
        let polled = self.wait.poll(context, &shared.waiters, ready, until, || attempt(shared));
        polled.map(|attempted| {
            self.ended = attempted.is_err();
            attempted.ok()
        })
    }
}

/// Streams, as an alternative to [`Fifo::pop_async`] and [`Fifo::lease_async`]. Dropping one loses no
/// object, and passes on a wakeup that it has received to another consumer.
impl<T: Object> Fifo<T> {
    /// A stream of what [`Fifo::pop_async`] returns, until that is [`Closed`].
    ///
    /// Like [that future](Fifo::pop_async), a stream that was woken must be polled or dropped, or it
    /// keeps the wakeup: for example beside a `select!` in a loop that does other things.
    ///
    /// ```
    /// use futures_util::StreamExt;
    /// # use watchcache::{Fifo, KeyRef, Object};
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let fifo = Fifo::new();
    /// fifo.add(Pod("a"))?;
    /// fifo.add(Pod("b"))?;
    /// fifo.close();
    /// let names: Vec<_> = fifo.pops().map(|pod| pod.0).collect().await;
    /// assert_eq!(names, ["a", "b"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "a stream does nothing unless polled"]
    pub fn pops(&self) -> Pops<T> {
        Pops(Consumer::new(self))
    }

    /// A stream of what [`Fifo::lease_async`] returns, until that is [`Closed`]. Poll it or drop it, as for
    /// [`Fifo::pops`].
    #[must_use = "a stream does nothing unless polled"]
    pub fn leases(&self) -> Leases<T> {
        Leases(Consumer::new(self))
    }
}

impl<T: Object> Stream for Pops<T> {
    type Item = Arc<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll(context, |shared| shared.pop(Owes::Nothing))
    }
}

impl<T: Object> Stream for Leases<T> {
    type Item = Lease<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll(context, |shared| shared.lease(Owes::Nothing))
    }
}

impl<T: Object> FusedStream for Pops<T> {
    fn is_terminated(&self) -> bool {
        self.0.ended
    }
}

impl<T: Object> FusedStream for Leases<T> {
    fn is_terminated(&self) -> bool {
        self.0.ended
    }
}

impl<T> fmt::Debug for Pops<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pops").field("ended", &self.0.ended).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Leases<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leases").field("ended", &self.0.ended).finish_non_exhaustive()
    }
}
