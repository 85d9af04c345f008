//! Merging several reflectors into one cache.

mod calls;
mod ended;
mod first_list;
mod merged;
mod news;
mod refused;
mod state;
mod tombstones;

use std::error::Error;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;

use self::calls::{Calls, Left};
use self::merged::Merged;
use crate::panic::{catch, drop_all, text_of};
use crate::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use crate::{Batch, KeyRef, Listing, Object, Refused, Sink};

/// Merges what several reflectors bring, of several namespaces or selectors of one server, into one
/// set of sinks.
///
/// A relist replaces the content of a sink, so two reflectors cannot feed one sink as they are: each
/// would wipe what the other brought. Here each feeds a [`Part`], whose relist removes only what no other
/// part holds. Parts may overlap: the newest version of a key counts, whichever part brings it and
/// however late the others are, and a key is deleted when the last part releases it. An object that moves
/// from one part's selection to another's may be absent in between.
///
/// The sinks see one list, of everything, once each part has listed; from then on batches only.
/// Their version is the oldest of the parts'. A reflector's [`Monitor`](super::Monitor) speaks for
/// its own part alone: the merged content is complete once each part's monitor has
/// [synced](super::Monitor::synced), and as fresh as the one that lags most.
///
/// A part that is dropped releases its keys and its version, unless it is the last one, or all have ended:
/// the content stays as it is then. A part that ends before it has listed no longer counts. Keep an `Arc`
/// of a part to keep its content after its reflector has ended. A sink that drops a part, or its reflector,
/// while it is called is told what follows when it has returned. While it is called it must not feed a part, nor
/// ask one what it holds, but by [`Sink::is_current`]: that would wait for itself.
///
/// What a sink refuses is listed as quarantined by the monitor of each part that holds it, with that
/// part's next change at the latest.
///
/// Memory: for each key some 60 bytes, and 32 more for each part that holds it. The objects are shared
/// with the sinks; an older one is kept for as long as a part has nothing newer. Also up to 65,536
/// deleted keys that some part has yet to catch up with.
///
/// A part that changes waits for the others while the sinks are called, so that all sinks see one order
/// of changes.
///
/// # Panics
/// If a sink panics, so does the part that called it, and each other part with its next change; their
/// reflectors end with that error. The sinks are notified of the end at once.
///
/// ```
/// use std::sync::Arc;
/// use watchcache::reflector::Merge;
/// use watchcache::{KeyError, KeyRef, Listing, Object, Sink, Store};
/// # struct Pod(&'static str);
/// # impl Object for Pod {
/// #     fn key(&self) -> KeyRef<'_> { self.0.into() }
/// # }
///
/// let store = Arc::new(Store::new());
/// let [team_a, team_b] = Merge::new([store.clone()]).parts();
/// // Each would be a reflector's sink.
/// team_a.replace(&Listing::new([Pod("a/web-0"), Pod("a/web-1")], Some("7".into()))?);
/// team_b.replace(&Listing::new([Pod("b/web-0")], Some("8".into()))?);
/// team_a.replace(&Listing::new([Pod("a/web-0")], Some("9".into()))?);
///
/// assert!(store.contains("a/web-0") && store.contains("b/web-0"));
/// assert!(!store.contains("a/web-1"));
/// # Ok::<(), KeyError>(())
/// ```
pub struct Merge<T> {
    sinks: Vec<Box<dyn Sink<T>>>,
}

impl<T: Object> Merge<T> {
    /// Merges into these sinks.
    #[must_use]
    pub fn new<S: Sink<T> + 'static>(sinks: impl IntoIterator<Item = S>) -> Self {
        let boxed = |sink| Box::new(sink) as Box<dyn Sink<T>>;
        Self { sinks: sinks.into_iter().map(boxed).collect() }
    }

    /// Adds a sink, of whatever type.
    #[must_use]
    pub fn sink(mut self, sink: impl Sink<T> + 'static) -> Self {
        self.sinks.push(Box::new(sink));
        self
    }

    /// The parts, one for each reflector; nothing is passed on before each has listed.
    #[must_use]
    pub fn parts<const N: usize>(self) -> [Part<T>; N] {
        let inner = self.inner(N);
        std::array::from_fn(|index| Part { inner: Arc::clone(&inner), index })
    }

    /// As [`parts`](Self::parts), for a number that is known at run time only.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use watchcache::reflector::Merge;
    /// use watchcache::{Key, KeyError, Listing, Sink, Store};
    ///
    /// let store = Arc::new(Store::<Key>::new());
    /// // As a flag or a file has them:
    /// let namespaces = ["a", "b", "c"];
    /// let parts = Merge::new([store.clone()]).into_parts(namespaces.len());
    /// for (namespace, part) in namespaces.iter().zip(&parts) {
    ///     let web = Key::namespaced(namespace, "web")?;
    ///     part.replace(&Listing::new([web], Some("7".into()))?);
    /// }
    /// assert_eq!(store.len(), 3);
    /// # Ok::<(), KeyError>(())
    /// ```
    #[must_use]
    pub fn into_parts(self, count: usize) -> Vec<Part<T>> {
        let inner = self.inner(count);
        (0..count).map(|index| Part { inner: Arc::clone(&inner), index }).collect()
    }

    fn inner(self, count: usize) -> Arc<Inner<T>> {
        let merged = Mutex::new(Merged::new(count));
        Arc::new(Inner { sinks: self.sinks, merged, calls: Calls::default() })
    }
}

struct Inner<T> {
    sinks: Vec<Box<dyn Sink<T>>>,
    merged: Mutex<Merged<T>>,
    calls: Calls,
}

/// What the sinks are to receive.
enum Told<T> {
    Nothing,
    Replace(Listing<T>),
    Apply(Batch<T>),
}

/// One reflector's part of a [`Merge`].
///
/// ```
/// use std::sync::Arc;
/// use watchcache::reflector::Merge;
/// use watchcache::{Key, KeyError, Listing, Sink, Store};
///
/// let store = Arc::new(Store::<Key>::new());
/// let [team_a, team_b] = Merge::new([store.clone()]).parts();
/// team_a.replace(&Listing::new(["a/web".parse::<Key>()?], Some("7".into()))?);
/// assert!(store.is_empty(), "one has not listed yet");
/// team_b.replace(&Listing::new(["b/web".parse::<Key>()?], Some("8".into()))?);
/// assert_eq!(store.len(), 2);
/// // The namespace of this team is not mirrored any more.
/// drop(team_b);
/// assert_eq!(store.keys(), ["a/web".parse()?]);
/// # Ok::<(), KeyError>(())
/// ```
pub struct Part<T: Object> {
    inner: Arc<Inner<T>>,
    index: usize,
}

impl<T: Object> Part<T> {
    fn lock(&self) -> MutexGuard<'_, Merged<T>> {
        // A panic in a sink leaves this state as it was received.
        self.inner.merged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The merged state, unless a sink has panicked.
    fn lock_whole(&self) -> MutexGuard<'_, Merged<T>> {
        let merged = self.lock();
        if let Some(panic) = merged.broken() {
            resume_unwind(Box::new(format!("a sink of this merge failed before: {panic}")));
        }
        merged
    }

    /// Changes the merged state, and calls the sinks, under the lock: they see one order of changes.
    fn change(
        &self,
        mut merged: MutexGuard<'_, Merged<T>>,
        change: impl FnOnce(&mut Merged<T>) -> Told<T>,
    ) -> Vec<Refused> {
        let told = change(&mut merged);
        let fed = self.pass_on(&mut merged, &told);
        let refused = merged.report(self.index);
        self.unlock(merged, told, fed);
        refused
    }

    /// The sinks were called. What they were told, and what is freed, is dropped after the lock is
    /// released: destructors are user code.
    fn unlock(
        &self,
        mut merged: MutexGuard<'_, Merged<T>>,
        told: Told<T>,
        fed: Result<(), String>,
    ) {
        let mut told = vec![told];
        let fed = fed.and_then(|()| self.catch_up(&mut merged, &mut told));
        let freed = merged.take_freed();
        drop(merged);
        drop_all(freed);
        fed.unwrap_or_else(|panic| resume_unwind(Box::new(panic)));
    }

    /// Gives the sinks what they are to receive; nothing comes after their end.
    fn pass_on(&self, merged: &mut Merged<T>, told: &Told<T>) -> Result<(), String> {
        match told {
            _ if merged.is_over() => Ok(()),
            Told::Nothing => Ok(()),
            Told::Replace(listing) => self.tell(merged, |sink| sink.replace_reporting(listing)),
            Told::Apply(batch) => self.tell(merged, |sink| sink.apply_reporting(batch)),
        }
    }

    /// What follows from parts that have left through the sinks while those were called.
    fn catch_up(&self, merged: &mut Merged<T>, told: &mut Vec<Told<T>>) -> Result<(), String> {
        while let Some((index, left)) = self.inner.calls.next() {
            let (leaving, error) = match left {
                Left::Dropped => (merged.leave(index), None),
                Left::Ended(error) => (merged.leave_unlisted(index), error),
            };
            let passed = self.pass_on(merged, &leaving);
            told.push(leaving);
            passed?;
            if let Some(error) = merged.end(index, error) {
                self.inner.calls.during(|| self.end(error));
            }
        }
        Ok(())
    }

    /// Calls each sink. If one panics, that is the end for all of them: it may have missed a change,
    /// which no later change of another part would repair.
    fn tell(
        &self,
        merged: &mut Merged<T>,
        tell: impl Fn(&dyn Sink<T>) -> Vec<Refused>,
    ) -> Result<(), String> {
        let all = || self.inner.sinks.iter().flat_map(|sink| tell(&**sink)).collect();
        let told = self.inner.calls.during(|| catch(all));
        told.map(|refused| merged.refuse(refused)).inspect_err(|panic| {
            merged.break_off(panic);
            self.inner.calls.during(|| self.end(Some(format!("a sink panicked: {panic}"))));
        })
    }

    fn end(&self, error: Option<String>) {
        let error = error.map(PartEnded);
        let error = error.as_ref().map(|error| error as _);
        self.each_sink(|sink| sink.ended(error), "a sink did not take the end of a merge");
    }

    /// Calls each sink, even if another one panics.
    fn each_sink(&self, call: impl Fn(&dyn Sink<T>), failure: &str) {
        for sink in &self.inner.sinks {
            if let Err(panic) = catch(|| call(&**sink)) {
                tracing::error!(panic, "{failure}");
            }
        }
    }
}

impl<T: Object> Sink<T> for Part<T> {
    fn apply(&self, batch: &Batch<T>) {
        self.apply_reporting(batch);
    }

    fn replace(&self, listing: &Listing<T>) {
        self.replace_reporting(listing);
    }

    fn apply_reporting(&self, batch: &Batch<T>) -> Vec<Refused> {
        self.change(self.lock_whole(), |merged| merged.apply(self.index, batch))
    }

    fn replace_reporting(&self, listing: &Listing<T>) -> Vec<Refused> {
        self.change(self.lock_whole(), |merged| merged.replace(self.index, listing))
    }

    /// Passes on what the part holds; the rest belongs to other parts.
    fn resync(&self, batch: &Batch<T>) {
        let mut merged = self.lock_whole();
        let own = merged.own(self.index, batch).filter(|_| !merged.is_over());
        let Some(own) = own else { return };
        let told = self.tell(&mut merged, |sink| {
            sink.resync(&own);
            Vec::new()
        });
        self.unlock(merged, Told::Nothing, told);
    }

    fn held(&self, key: KeyRef<'_>, uid: Option<&str>, resource_version: &str) -> Option<Arc<T>> {
        self.lock().held(self.index, key, uid, resource_version)
    }

    fn is_current(&self, key: KeyRef<'_>, resource_version: &str) -> Option<bool> {
        // Does not wait: this may be called from a sink, by an index function for example.
        let merged = match self.inner.merged.try_lock() {
            Ok(merged) => merged,
            // As in `lock`.
            Err(TryLockError::Poisoned(merged)) => merged.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        Some(merged.holds(self.index, key, resource_version))
    }

    fn is_held(&self, key: KeyRef<'_>, resource_version: &str) -> Option<bool> {
        // Waited for, as for `held` and for a change: the caller makes the part's changes, so it holds
        // no lock of this merge, and what it asks decides on a deletion. `is_current` must not wait: a
        // sink that is being fed may ask it, from whatever thread does its work.
        Some(self.lock().holds(self.index, key, resource_version))
    }

    fn current(&self, key: KeyRef<'_>) -> Option<Arc<T>> {
        // Waited for, as in `is_held`.
        self.lock().current(self.index, key)
    }

    fn failed(&self, error: &(dyn Error + 'static)) {
        // Sinks receive one call at a time, whichever part it is from.
        let merged = self.lock();
        if merged.is_over() || merged.broken().is_some() {
            return;
        }
        let call = || {
            self.each_sink(|sink| sink.failed(error), "a sink of a merge did not take a failure");
        };
        self.inner.calls.during(call);
        self.unlock(merged, Told::Nothing, Ok(()));
    }

    fn ended(&self, error: Option<&(dyn Error + 'static)>) {
        let left = Left::Ended(error.map(text_of));
        let Some(Left::Ended(error)) = self.inner.calls.or_later(self.index, left) else { return };
        let merged = self.lock();
        if merged.broken().is_some() {
            // They have been notified already.
            return;
        }
        self.change(merged, |merged| merged.leave_unlisted(self.index));
        let ended = self.lock().end(self.index, error);
        if let Some(error) = ended {
            self.end(error);
        }
    }
}

/// Why the first of the parts that failed ended.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct PartEnded(String);

impl<T: Object> Drop for Part<T> {
    fn drop(&mut self) {
        if self.inner.calls.or_later(self.index, Left::Dropped).is_none() {
            return;
        }
        // Sinks are user code, and this may run during an unwind.
        let left = catch(|| {
            let merged = self.lock();
            if merged.broken().is_some() {
                // The sinks have been told of the end.
                return;
            }
            self.change(merged, |merged| merged.leave(self.index));
            // What it held goes first: nothing comes after the end.
            Sink::ended(self, None);
        });
        if let Err(panic) = left {
            tracing::error!(panic, "a sink did not take that a part is gone");
        }
    }
}

impl<T> fmt::Debug for Merge<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Merge").field("sinks", &self.sinks.len()).finish()
    }
}

impl<T: Object> fmt::Debug for Part<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("index", &self.index).finish_non_exhaustive()
    }
}
