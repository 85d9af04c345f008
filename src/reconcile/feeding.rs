//! What a controller hears of: handlers that queue keys, in the task that reconciles them.

use std::any::type_name;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;

use super::Faults;
use super::told::Told;
use super::waiting::wait;
use crate::panic::{catch, contain};
use crate::store::feed::{Handler, Subscribe, SubscribeError, SyncError};
use crate::sync::{Arc, OnceLock};
use crate::{ArcRef, Batch, Fifo, Key, Object, ResourceVersion, Revision};

/// How sources have ended, if one has.
#[derive(Debug, Default)]
pub(super) struct SourceEnd {
    has_ended: OnceLock<()>,
    error: OnceLock<Arc<str>>,
}

impl SourceEnd {
    fn set(&self, error: Option<&str>) {
        if let Some(error) = error {
            let _ = self.error.set(error.into());
        }
        let _ = self.has_ended.set(());
    }

    /// The first error, whichever ended first: one that was only stopped is no reason where another one failed.
    pub(super) fn get(&self) -> Option<Option<Arc<str>>> {
        self.has_ended.get().map(|()| self.error.get().cloned())
    }
}

/// One store that is followed.
pub(super) struct Feeding {
    /// Tells the handler everything.
    pub(super) run: BoxFuture<'static, ()>,
    /// Waits until the handler was told the whole content.
    pub(super) synced: Box<dyn FnOnce(Option<Duration>) -> Synced + Send>,
}

pub(super) type Synced = BoxFuture<'static, Result<(), SyncError>>;

impl Feeding {
    pub(super) fn new<T: Object>(
        subscribe: Subscribe<'_, T>,
        handler: impl Handler<T> + Send + 'static,
    ) -> Result<Self, SubscribeError> {
        // What is assumed, too: reconciles read the store, and are to be told when that turns out wrong.
        let handling = subscribe.handle(handler)?;
        let registration = handling.registration();
        let run = async move {
            let handler = handling.run_async().await;
            contain(|| drop(handler));
        };
        let synced = move |timeout: Option<Duration>| -> Synced {
            let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
            let attempt = move |each| registration.wait_synced_async(Some(each));
            Box::pin(wait(type_name::<T>(), deadline, attempt))
        };
        Ok(Self { run: Box::pin(run), synced: Box::new(synced) })
    }
}

/// Where handlers put what they hear.
pub(super) struct Inbox {
    queue: Fifo<Key>,
    batch: Batch<Key>,
    end: Arc<SourceEnd>,
}

impl Inbox {
    pub(super) fn new(queue: &Fifo<Key>, end: &Arc<SourceEnd>) -> Self {
        Self { queue: queue.clone(), batch: Batch::new(), end: Arc::clone(end) }
    }

    fn add(&mut self, key: Key) {
        // A `Key` is a usable one.
        let _ = self.batch.add(key);
    }

    /// What came together is queued together.
    fn flush(&mut self) {
        if !self.batch.is_empty() {
            // Not kept for the next: the first content may have been a large one.
            let batch = std::mem::take(&mut self.batch);
            // A closed queue has no use for it.
            let _ = self.queue.apply(&batch);
        }
    }

    fn ended(&self, error: Option<&str>) {
        self.end.set(error);
    }
}

/// Hears of the objects that are reconciled.
pub(super) struct Own<K> {
    inbox: Inbox,
    /// If what is gone is reconciled, too.
    told: Option<Arc<Told<K>>>,
}

impl<K: Object> Own<K> {
    pub(super) fn new(inbox: Inbox, told: Option<Arc<Told<K>>>) -> Self {
        Self { inbox, told }
    }

    fn add(&mut self, object: &K) {
        // What the store has checked may be another: each call is user code.
        let Ok(key) = object.key().to_key() else { return };
        if let Some(told) = &self.told {
            told.there(key.clone(), object);
        }
        self.inbox.add(key);
    }
}

impl<K: Object> Handler<K> for Own<K> {
    fn on_add(&mut self, object: ArcRef<'_, K>, _: bool) {
        self.add(object.object());
    }

    fn on_update(&mut self, _: ArcRef<'_, K>, new: ArcRef<'_, K>) {
        self.add(new.object());
    }

    fn on_delete(&mut self, last: ArcRef<'_, K>) {
        let key = last.object().key();
        match &self.told {
            Some(told) => {
                let Ok(key) = key.to_key() else { return };
                told.gone(key.clone(), last.to_arc());
                self.inbox.add(key);
            }
            // Nobody is to come back to it.
            None => self.inbox.batch.delete(key),
        }
    }

    fn on_progress(&mut self, revision: Revision, _: Option<&ResourceVersion>) {
        if let Some(told) = &self.told {
            told.progress(revision);
        }
        self.inbox.flush();
    }

    fn on_ended(&mut self, error: Option<&str>) {
        self.inbox.ended(error);
    }
}

/// Hears of what leads to them.
pub(super) struct Related<F> {
    inbox: Inbox,
    leads_to: F,
    faults: Faults,
}

impl<F> Related<F> {
    pub(super) fn new(inbox: Inbox, leads_to: F, faults: Faults) -> Self {
        Self { inbox, leads_to, faults }
    }

    /// A panic ends here: what one state leads to is no matter of the other one's.
    fn add<R, I>(&mut self, object: &R)
    where
        I: IntoIterator<Item = Key>,
        F: FnMut(&R) -> I,
    {
        let Self { inbox, leads_to, faults } = self;
        if catch(|| leads_to(object).into_iter().for_each(|key| inbox.add(key))).is_err() {
            faults.count_mapping();
        }
    }
}

impl<R, I, F> Handler<R> for Related<F>
where
    R: Object,
    I: IntoIterator<Item = Key>,
    F: FnMut(&R) -> I,
{
    fn on_add(&mut self, object: ArcRef<'_, R>, _: bool) {
        self.add(object.object());
    }

    fn on_update(&mut self, old: ArcRef<'_, R>, new: ArcRef<'_, R>) {
        // Who has lost it is to know, too.
        self.add(old.object());
        self.add(new.object());
    }

    fn on_delete(&mut self, last: ArcRef<'_, R>) {
        self.add(last.object());
    }

    fn on_progress(&mut self, _: Revision, _: Option<&ResourceVersion>) {
        self.inbox.flush();
    }

    fn on_ended(&mut self, error: Option<&str>) {
        self.inbox.ended(error);
    }
}
