//! Waiting for a delivery, for threads and tasks.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::delivery::{Content, Delivery};
use super::{NextError, Subscription};
use crate::Object;
use crate::waiters::Wait;
use crate::waiters::alarm::Alarm;

impl<T: Object> Subscription<T> {
    /// Blocks until there is a delivery; `None` once the store is gone and everything was delivered.
    ///
    /// ```
    /// # use watchcache::{KeyRef, Object, Store};
    /// # struct Pod(&'static str);
    /// # impl Object for Pod {
    /// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
    /// # }
    /// let store = Store::new();
    /// let mut subscription = store.subscribe().start()?;
    /// let writer = std::thread::spawn(move || store.add(Pod("a/web")).map(|_| ()));
    ///
    /// let mut names = Vec::new();
    /// while let Some(delivery) = subscription.next() {
    ///     names.extend(delivery.iter().map(|item| item.key.name().to_owned()));
    /// }
    /// assert_eq!(names, ["web"]);
    /// # writer.join().map_err(|_| "the writer panicked")??;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<Delivery<'_, T>> {
        let content = self.wait(None).ok()?;
        Some(Delivery::new(content, &self.filter))
    }

    /// As [`next`](Self::next), but blocks for at most so long.
    ///
    /// # Errors
    /// If the time runs out, or the store is gone and everything was delivered.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Delivery<'_, T>, NextError> {
        let content = self.wait(Instant::now().checked_add(timeout))?;
        Ok(Delivery::new(content, &self.filter))
    }

    /// As [`next`](Self::next), for async tasks on any runtime.
    ///
    /// A subscription with [`settle`](super::Subscribe::settle) needs a thread of the library to wake the
    /// task in time; all tasks of the process share one, and it ends after a while without use.
    ///
    /// # Cancel safety
    /// A dropped future has taken no delivery: the next call returns it.
    pub async fn next_async(&mut self) -> Option<Delivery<'_, T>> {
        let mut waiting = Waiting::new();
        let content = poll_fn(|context| waiting.poll(context, self)).await?;
        Some(Delivery::new(content, &self.filter))
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Result<Content<T>, NextError> {
        loop {
            if let Some(due) = self.due() {
                let until = deadline.map_or(due, |deadline| deadline.min(due));
                let hastens = &self.feed.hastens;
                let is_hastened = hastens.wait_for_news(0, Some(until), || self.is_due_at_once());
                if !is_hastened && until < due {
                    return Err(NextError::Timeout);
                }
            }
            if let Some(found) = self.attempt() {
                return found.ok_or(NextError::Ended);
            }
            let subscribers = &self.feed.subscribers;
            let in_time = subscribers.wait_for_news(0, deadline, || self.is_ready());
            // There may always be more that it is not about.
            if !in_time || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                let last = self.attempt().ok_or(NextError::Timeout)?;
                return last.ok_or(NextError::Ended);
            }
        }
    }
}

/// How often a task looks in one poll. There may always be more that the subscription is not about, and other
/// tasks of the thread are to have their turn.
const LOOKS: usize = 4;

/// A task's wait for a delivery, from poll to poll.
pub(super) struct Waiting {
    news: Wait,
    /// For what comes before its time.
    hastens: Wait,
    alarm: Alarm,
}

impl Waiting {
    pub(super) fn new() -> Self {
        Self { news: Wait::new(), hastens: Wait::new(), alarm: Alarm::new() }
    }

    pub(super) fn poll<T: Object>(
        &mut self,
        context: &mut Context<'_>,
        subscription: &mut Subscription<T>,
    ) -> Poll<Option<Content<T>>> {
        for _ in 0..LOOKS {
            if let Some(due) = subscription.due() {
                let hastens = &subscription.feed.hastens;
                let ready = || subscription.is_due_at_once();
                if self.hastens.poll_news(context, hastens, 0, ready).is_pending() {
                    ready!(self.alarm.poll(context, due));
                }
            }
            if let Some(found) = subscription.attempt() {
                return Poll::Ready(found);
            }
            if subscription.due().is_none() {
                let subscribers = &subscription.feed.subscribers;
                ready!(self.news.poll_news(context, subscribers, 0, || subscription.is_ready()));
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The deliveries of a subscription, each to be kept; blocks for each. From
/// [`Subscription::into_iter`](IntoIterator::into_iter).
///
/// ```
/// use watchcache::store::feed::Deliveries;
/// use watchcache::{Key, Store};
///
/// fn count(deliveries: Deliveries<Key>) -> usize {
///     deliveries.map(|delivery| delivery.iter().count()).sum()
/// }
/// let store = Store::<Key>::new();
/// let deliveries = store.subscribe().start()?.into_iter();
/// let counted = std::thread::spawn(move || count(deliveries));
/// store.add("a/web".parse::<Key>()?)?;
/// store.delete("a/web");
/// drop(store);
/// assert_eq!(counted.join().expect("it does not panic"), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Deliveries<T: Object>(Subscription<T>);

impl<T: Object> Iterator for Deliveries<T> {
    type Item = Delivery<'static, T>;

    fn next(&mut self) -> Option<Delivery<'static, T>> {
        self.0.next().map(Delivery::into_owned)
    }
}

impl<T: Object> IntoIterator for Subscription<T> {
    type Item = Delivery<'static, T>;
    type IntoIter = Deliveries<T>;

    fn into_iter(self) -> Deliveries<T> {
        Deliveries(self)
    }
}

impl<T: Object> fmt::Debug for Deliveries<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Deliveries").field(&self.0).finish()
    }
}
