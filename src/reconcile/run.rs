//! The loop: it hears of changes, leases keys while there is room, and polls what it has begun.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt, try_join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::action::Next;
use super::attempt::{Attempt, Begun};
use super::reconciler::Reconciler;
use super::told::{State, is_same};
use super::{Action, Failure, Outcome, Request, RunError, StopReason, Stopped};
use crate::fifo::{Backoff, Lease, Leases};
use crate::panic::{catch, contain};
use crate::store::feed::SyncError;
use crate::sync::Arc;
use crate::waiters::alarm::Alarm;
use crate::{Key, Object};

/// How many keys are taken in one poll: others in the thread are to have their turn.
const BUDGET: usize = 128;

/// When a key is looked at again of which the end was told, and which is there again.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) struct Run<K: Object, F, Fut, E> {
    parts: Reconciler<K, F, E>,
    feedings: FuturesUnordered<BoxFuture<'static, ()>>,
    /// Waits for the whole content, until that is there.
    starting: Option<BoxFuture<'static, Result<(), SyncError>>>,
    /// There while it is polled: a consumer that was woken and is not polled keeps the wakeup.
    leases: Option<Leases<Key>>,
    running: FuturesUnordered<Attempt<K, Fut>>,
    stopping: Option<Stopping>,
}

/// What is to become of a key that was leased.
enum Due<K> {
    Now(Request<K>),
    Later,
    /// Or with its next change.
    Never,
}

struct Stopping {
    reason: StopReason,
    /// Why, if a source has failed.
    error: Option<Arc<str>>,
    deadline: Option<Instant>,
    alarm: Alarm,
    /// What waited then.
    left: Vec<Arc<Key>>,
}

impl<K, F, Fut, E> Run<K, F, Fut, E>
where
    K: Object,
    F: FnMut(Request<K>) -> Fut,
    Fut: Future<Output = Result<Action, E>>,
{
    pub(super) fn new(mut parts: Reconciler<K, F, E>) -> Result<Self, RunError> {
        let controller = &mut parts.controller;
        if controller.queue.is_closed() {
            return Err(RunError::QueueClosed);
        }
        let followed = std::mem::replace(&mut controller.feedings, Ok(Vec::new()))?;
        let timeout = controller.settings.synced_within;
        let feedings = FuturesUnordered::new();
        let mut waits = Vec::new();
        for feeding in followed {
            feedings.push(feeding.run);
            // Each counts its time from now.
            waits.push((feeding.synced)(timeout));
        }
        // At once, as one that fails is news whatever the others wait for.
        let starting = async { try_join_all(waits).await.map(drop) };
        Ok(Self {
            parts,
            feedings,
            starting: Some(starting.boxed()),
            leases: None,
            running: FuturesUnordered::new(),
            stopping: None,
        })
    }

    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Poll<Result<Stopped, RunError>> {
        if self.stopping.is_none() {
            if stop.poll(context).is_ready() {
                self.stop(StopReason::Told, None);
            } else if let Err(error) = self.hear(context) {
                return Poll::Ready(Err(RunError::NotSynced(error)));
            }
        }
        let mut budget = BUDGET;
        loop {
            let has_ended = self.end_some(context);
            let has_begun = self.begin_some(context, &mut budget);
            if budget == 0 {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            if !has_ended && !has_begun {
                return self.poll_stopped(context);
            }
        }
    }

    /// Has the handlers told, and sees whether that is all there will be.
    fn hear(&mut self, context: &mut Context<'_>) -> Result<(), SyncError> {
        while let Poll::Ready(Some(())) = self.feedings.poll_next_unpin(context) {}
        if let Some(starting) = &mut self.starting {
            match starting.poll_unpin(context) {
                Poll::Ready(result) => result?,
                // Others may never have theirs.
                Poll::Pending => {
                    return match self.source_end() {
                        Some(error) => Err(SyncError::SourceEnded { error }),
                        None => Ok(()),
                    };
                }
            }
            self.starting = None;
        }
        if let Some(error) = self.source_end() {
            self.stop(StopReason::SourceEnded, error);
        }
        Ok(())
    }

    /// How a source has ended that the controller does not outlive.
    fn source_end(&self) -> Option<Option<Arc<str>>> {
        let controller = &self.parts.controller;
        controller.end.get().filter(|_| !controller.settings.outlives_sources)
    }

    /// Begins no other reconcile, and hears of nothing more.
    fn stop(&mut self, reason: StopReason, error: Option<Arc<str>>) {
        self.starting = None;
        self.leases = None;
        self.drop_feedings();
        let controller = &self.parts.controller;
        let grace = controller.settings.grace;
        self.stopping = Some(Stopping {
            reason,
            error,
            deadline: grace.and_then(|grace| Instant::now().checked_add(grace)),
            alarm: Alarm::new(),
            left: controller.queue.close_now(),
        });
    }

    /// Ready when it has stopped.
    fn poll_stopped(&mut self, context: &mut Context<'_>) -> Poll<Result<Stopped, RunError>> {
        let Some(stopping) = &mut self.stopping else { return Poll::Pending };
        if !self.running.is_empty() {
            let Some(deadline) = stopping.deadline else { return Poll::Pending };
            if stopping.alarm.poll(context, deadline).is_pending() {
                return Poll::Pending;
            }
        }
        let cancelled = self.running.iter().filter_map(Attempt::key).cloned().collect();
        self.running.clear();
        let mut left = std::mem::take(&mut stopping.left);
        // What has failed meanwhile, or was dropped now.
        left.extend(self.parts.controller.queue.close_now());
        let left = left.into_iter().map(Arc::unwrap_or_clone).collect();
        let stopped = Stopped { reason: stopping.reason, cancelled, left };
        Poll::Ready(match stopping.error.take() {
            Some(error) => Err(RunError::SourceEnded { error, stopped }),
            None => Ok(stopped),
        })
    }

    /// Takes keys while there is room. Returns whether there were any.
    fn begin_some(&mut self, context: &mut Context<'_>, budget: &mut usize) -> bool {
        if self.starting.is_some() || self.stopping.is_some() {
            return false;
        }
        let concurrency = self.parts.controller.settings.concurrency;
        let mut any = false;
        while *budget > 0 && self.running.len() < concurrency {
            let queue = &self.parts.controller.queue;
            let leases = self.leases.get_or_insert_with(|| queue.leases());
            match leases.poll_next_unpin(context) {
                Poll::Pending => return any,
                Poll::Ready(Some(lease)) => {
                    *budget -= 1;
                    any = true;
                    self.begin(lease);
                }
                Poll::Ready(None) => {
                    // Closed by its owner. What runs may bring its key back.
                    self.leases = None;
                    if self.running.is_empty() {
                        self.stop(StopReason::QueueClosed, None);
                    }
                    return any;
                }
            }
        }
        self.leases = None;
        any
    }

    fn begin(&mut self, lease: Lease<Key>) {
        let request = match self.request(&lease) {
            Due::Now(request) => request,
            Due::Later => return lease.after(AGAIN),
            Due::Never => return lease.done(),
        };
        let begun = Begun { lease, request: request.clone() };
        match catch(|| (self.parts.reconcile)(request)) {
            Ok(future) => self.running.push(Attempt::new(future, begun)),
            Err(text) => self.end(begun, Err(Failure::Panicked(text))),
        }
    }

    /// What there is to reconcile of a key, if anything.
    fn request(&self, lease: &Lease<Key>) -> Due<K> {
        let (key, controller) = (lease.key(), &self.parts.controller);
        let state = match &controller.told {
            Some(told) => told.get(key),
            None => Some(State::There(None)),
        };
        let wanted = || {
            let object = controller.store.get(key)?;
            if controller.selection.has(&object) {
                return Some(object);
            }
            contain(|| drop(object));
            None
        };
        let request = |object, is_deleted| {
            Due::Now(Request::new(key.clone(), object, is_deleted, lease.failures()))
        };
        match state {
            None => Due::Never,
            Some(State::There(_)) => {
                let Some(object) = wanted() else { return Due::Never };
                if let Some(told) = &controller.told {
                    told.reconcile(key, &object);
                }
                request(object, false)
            }
            Some(State::Gone(last) | State::Again(last, ..)) => {
                // The store is ahead, and so was a reconcile, it may be: the end that was told is that of the one
                // before, and the last state is of one that is there. That will be told; or it goes before, and
                // nothing is ever told of it, so that this has to be its end. If it is there and was passed over, it is
                // there: its end will be told.
                let Some(again) = wanted() else { return request(last, true) };
                if !is_same(&*again, &*last) {
                    contain(|| drop(again));
                    return request(last, true);
                }
                contain(|| drop(last));
                let told = controller.told.as_ref();
                // Read after the object, so that it has it.
                let now = controller.store.revision();
                if told.is_none_or(|told| !told.has_passed(key, &again, now)) {
                    contain(|| drop(again));
                    return Due::Later;
                }
                if let Some(told) = told {
                    told.reconcile(key, &again);
                }
                request(again, false)
            }
        }
    }

    /// Ends what is done. Returns whether anything was.
    fn end_some(&mut self, context: &mut Context<'_>) -> bool {
        let mut any = false;
        while let Poll::Ready(Some((begun, result))) = self.running.poll_next_unpin(context) {
            self.end(begun, result);
            any = true;
        }
        any
    }

    fn end(&mut self, Begun { lease, request }: Begun<K>, result: Result<Action, Failure<E>>) {
        let Reconciler { controller, on_error, on_outcome, .. } = &mut self.parts;
        let (action, result) = match result {
            Ok(action) => (action, Ok(())),
            Err(failure) => {
                let action = match (&failure, on_error) {
                    (Failure::Error(error), Some(policy)) => contain(|| policy(&request, error)),
                    _ => None,
                };
                (action.unwrap_or(Action::back_off()), Err(failure))
            }
        };
        if request.is_deleted()
            && action == Action::await_change()
            && let Some(told) = &controller.told
        {
            told.settle(request.key(), request.object());
        }
        match (action.0, &result) {
            (Next::AwaitChange, _) => lease.done(),
            (Next::After(delay), Ok(())) => lease.after(delay),
            // It goes on counting until one works.
            (Next::After(delay), Err(_)) => lease.retry_after(delay),
            (Next::BackOff, _) => lease.retry_or_after(Backoff::default()),
        }
        // The last reference to the object, it may be, and an error's destructor: user code.
        contain(|| match on_outcome {
            Some(on_outcome) => on_outcome(Outcome { request, result, action }),
            None => drop((request, result)),
        });
    }
}

impl<K: Object, F, Fut, E> Run<K, F, Fut, E> {
    fn drop_feedings(&mut self) {
        // User code goes with them.
        for feeding in std::mem::take(&mut self.feedings) {
            contain(|| drop(feeding));
        }
    }
}

impl<K: Object, F, Fut, E> Drop for Run<K, F, Fut, E> {
    fn drop(&mut self) {
        // First, so that no reconcile goes on when its key could be taken.
        self.running.clear();
        self.drop_feedings();
    }
}
