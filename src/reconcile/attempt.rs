//! One reconcile that runs: whatever its code does, it ends there.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Action, Failure, Request};
use crate::Key;
use crate::fifo::Lease;
use crate::panic::{catch, contain};

/// What was begun: nobody else gets the key until the lease ends.
pub(super) struct Begun<K> {
    pub(super) lease: Lease<Key>,
    pub(super) request: Request<K>,
}

/// A reconcile. One that is dropped gives its key back once its future is gone.
pub(super) struct Attempt<K, Fut> {
    // Boxed, so that a panic of its destructor can be contained.
    future: Option<Pin<Box<Fut>>>,
    begun: Option<Begun<K>>,
}

impl<K, Fut> Attempt<K, Fut> {
    pub(super) fn new(future: Fut, begun: Begun<K>) -> Self {
        Self { future: Some(Box::pin(future)), begun: Some(begun) }
    }

    pub(super) fn key(&self) -> Option<&Key> {
        self.begun.as_ref().map(|begun| begun.request.key())
    }

    fn drop_future(&mut self) {
        if let Some(future) = self.future.take() {
            contain(|| drop(future));
        }
    }
}

impl<K, Fut, E> Future for Attempt<K, Fut>
where
    Fut: Future<Output = Result<Action, E>>,
{
    type Output = (Begun<K>, Result<Action, Failure<E>>);

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Some(future) = &mut this.future else { return Poll::Pending };
        let result = match catch(|| future.as_mut().poll(context)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(result)) => result.map_err(Failure::Error),
            Err(text) => Err(Failure::Panicked(text)),
        };
        this.drop_future();
        match this.begun.take() {
            Some(begun) => Poll::Ready((begun, result)),
            None => Poll::Pending,
        }
    }
}

impl<K, Fut> Drop for Attempt<K, Fut> {
    fn drop(&mut self) {
        self.drop_future();
        // The last reference to the object, it may be.
        let begun = self.begun.take();
        contain(|| drop(begun));
    }
}
