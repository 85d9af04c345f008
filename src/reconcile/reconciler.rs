//! How to reconcile, and what is done about failures.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;

use super::run::Run;
use super::{Action, Controller, Outcome, Request, RunError, Stopped};
use crate::{Fifo, Key, Object};

pub(super) type OnError<K, E> = dyn FnMut(&Request<K>, &E) -> Action + Send;
pub(super) type OnOutcome<K, E> = dyn FnMut(Outcome<K, E>) + Send;

/// A controller that knows how to reconcile; from [`Controller::reconcile`].
///
/// One that gives up after three failures, until something changes:
///
/// ```
/// use std::sync::Arc;
/// use watchcache::reconcile::{Action, Controller, Request};
/// use watchcache::{Key, Store};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = Arc::new(Store::<Key>::new());
/// store.add("a/web".parse::<Key>()?)?;
/// store.mark_synced();
/// let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
/// let reconciler = Controller::new(&store)
///     .reconcile(async |_: Request<Key>| Err("no such image"))
///     .on_error(|web, _| match web.failures() {
///         0..2 => Action::back_off(),
///         _ => Action::await_change(),
///     })
///     .on_outcome(move |outcome| _ = tell.send(outcome.action));
/// reconciler
///     .run(async {
///         for action in [Action::back_off(), Action::back_off(), Action::await_change()] {
///             assert_eq!(told.recv().await, Some(action));
///         }
///     })
///     .await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it reconciles nothing until it is run"]
pub struct Reconciler<K: Object, F, E> {
    pub(super) controller: Controller<K>,
    pub(super) reconcile: F,
    pub(super) on_error: Option<Box<OnError<K, E>>>,
    pub(super) on_outcome: Option<Box<OnOutcome<K, E>>>,
}

impl<K: Object, F, E> Reconciler<K, F, E> {
    pub(super) fn new(controller: Controller<K>, reconcile: F) -> Self {
        Self { controller, reconcile, on_error: None, on_outcome: None }
    }

    /// What becomes of a key whose reconcile returned an error; if this panics, and by default, it
    /// [backs off](Action::back_off), as it does after a panic. [`Request::failures`] counts on, whether it backs off
    /// or is [tried again after so long](Action::requeue_after), until a reconcile works. [`Action::await_change`]
    /// gives up: the next change is a new beginning.
    pub fn on_error(
        mut self,
        policy: impl FnMut(&Request<K>, &E) -> Action + Send + 'static,
    ) -> Self {
        self.on_error = Some(Box::new(policy));
        self
    }

    /// Is told what came of each reconcile: to log it, or to send it through a channel, which makes a stream of
    /// it. Runs in the controller's task, so it is not to block. A panic of it is contained.
    pub fn on_outcome(mut self, outcome: impl FnMut(Outcome<K, E>) + Send + 'static) -> Self {
        self.on_outcome = Some(Box::new(outcome));
        self
    }

    /// The queue of keys; see [`Controller::queue`].
    #[must_use]
    pub fn queue(&self) -> &Fifo<Key> {
        self.controller.queue()
    }

    /// Reconciles until `stop` completes: the argument is what ends it. It begins when each store has its whole content, and the controller was
    /// told of it. When `stop` completes it begins no other reconcile, and waits for those that it has begun, for
    /// [so long](Controller::grace).
    ///
    /// Runs in one task, on any runtime. It wakes itself; what is delayed is timed by the queue's thread.
    ///
    /// # Errors
    /// If a store's source has ended for good: before there was all content, or by a failure of it. One that was
    /// stopped later, or dropped, ends the controller without an error: [`Stopped::reason`] tells that from `stop`. And if the queue was closed before, or is one that hands
    /// out deletions.
    ///
    /// # Cancel safety
    /// To drop the future is a shutdown by force: each reconcile is dropped where it waits, before anything else
    /// gets to its key, and its code after that point does not run. The queue is closed. What was left undone is
    /// found by the next controller, as it begins with everything there is; but a
    /// [deletion](Controller::deletions) that was not reconciled is not told to it.
    pub async fn run<Fut>(self, stop: impl Future<Output = ()>) -> Result<Stopped, RunError>
    where
        F: FnMut(Request<K>) -> Fut,
        Fut: Future<Output = Result<Action, E>>,
    {
        let mut stop = pin!(stop);
        let mut run = Run::new(self)?;
        poll_fn(|context| run.poll(context, stop.as_mut())).await
    }
}

impl<K: Object, F, E> fmt::Debug for Reconciler<K, F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconciler").field("controller", &self.controller).finish_non_exhaustive()
    }
}
