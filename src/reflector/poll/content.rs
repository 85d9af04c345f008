//! What was polled last, and how another poll differs from it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::panic::{OneByOne, catch, drop_all};
use crate::reflector::facts::Facts;
use crate::reflector::{Item, SourceError, Undecodable, WatchEvent};
use crate::{Key, KeyRef, Object, ResourceVersion};

/// An object of a [`Poll`](super::Poll), in the version of the poll that found it so.
///
/// It is what it holds: `setting.value` of a `Polled<Setting>` is the setting's. Key, uid and labels are the
/// object's own, too; its own version counts for nothing.
pub struct Polled<T> {
    object: T,
    version: ResourceVersion,
}

impl<T> Deref for Polled<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.object
    }
}

impl<T: Object> Object for Polled<T> {
    fn key(&self) -> KeyRef<'_> {
        self.object.key()
    }

    fn uid(&self) -> Option<&str> {
        self.object.uid()
    }

    fn resource_version(&self) -> Option<&str> {
        Some(self.version.as_str())
    }

    fn label(&self, name: &str) -> Option<&str> {
        self.object.label(name)
    }

    fn size(&self) -> usize {
        size_of::<ResourceVersion>() + self.object.size()
    }
}

impl<T: fmt::Debug> fmt::Debug for Polled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Polled")
            .field("object", &self.object)
            .field("version", &self.version)
            .finish()
    }
}

/// The objects of the last poll that found a change, which is a version of its own.
///
/// Nobody changes it: a poll makes another one, so that user code never finds it half made.
pub(super) struct Content<T> {
    version: u64,
    objects: BTreeMap<Key, Arc<Polled<T>>>,
    /// What the version before had beyond this one.
    gone: Vec<Key>,
    /// Why some objects could not be used, of which no key is known.
    unusable: Vec<String>,
}

impl<T: Object> Content<T> {
    /// Nothing, before the first poll. Versions begin at the time, so that those of a program that was started
    /// again go on after the ones that it had told a store elsewhere.
    pub(super) fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let version = u64::try_from(now.as_millis()).unwrap_or_default();
        Self::empty(version)
    }

    fn empty(version: u64) -> Self {
        Self { version, objects: BTreeMap::new(), gone: Vec::new(), unusable: Vec::new() }
    }

    pub(super) fn version(&self) -> ResourceVersion {
        self.version.to_string().into()
    }

    /// What is there once these objects were listed: the same content, if they are the same.
    pub(super) fn next(
        self: &Arc<Self>,
        listed: Vec<T>,
        wants: impl Fn(KeyRef<'_>) -> bool,
        same: impl Fn(&T, &T) -> bool,
    ) -> Arc<Self> {
        let mut next = Self::empty(self.version.saturating_add(1));
        let version = next.version();
        for object in OneByOne(listed.into_iter()) {
            let key = match Facts::of(&object).key {
                Ok(key) if wants(key) => key.to_key_unchecked(),
                Ok(_) => continue,
                Err(error) => {
                    next.unusable.push(error);
                    continue;
                }
            };
            let held = self.objects.get(&key).filter(|held| is_same(&held.object, &object, &same));
            let object = held
                .map_or_else(|| Arc::new(Polled { object, version: version.clone() }), Arc::clone);
            next.objects.insert(key, object);
        }
        let gone = self.objects.keys().filter(|key| !next.objects.contains_key(*key));
        next.gone = gone.cloned().collect();
        let differs = !next.gone.is_empty()
            || next.unusable != self.unusable
            || next.objects.values().any(|object| object.version == version);
        if differs { Arc::new(next) } else { Arc::clone(self) }
    }

    /// All of it, as a list has it.
    pub(super) fn items(&self) -> Vec<Item<Polled<T>>> {
        let objects = self.objects.values().map(|object| Item::Object(Arc::clone(object)));
        objects.chain(self.unusable().map(Item::Undecodable)).collect()
    }

    /// What has changed after a version, without an end.
    ///
    /// Nothing older than the last change is asked for: a watch tells all of one poll before it makes the next.
    ///
    /// # Errors
    /// `Expired`, for a version before the one before this, or of another source.
    pub(super) fn since(
        &self,
        after: &ResourceVersion,
    ) -> Result<Vec<WatchEvent<Polled<T>>>, SourceError> {
        match after.number() {
            Some(after) if after == self.version => Ok(Vec::new()),
            Some(after) if after.checked_add(1) == Some(self.version) => {
                let version = self.version();
                let new = self.objects.values().filter(|object| object.version == version);
                let new = new.map(|object| WatchEvent::Modified(Arc::clone(object)));
                let gone = self.gone.iter();
                let gone =
                    gone.map(|key| WatchEvent::Gone { key: key.clone(), version: version.clone() });
                Ok(gone.chain(new).chain(self.unusable().map(WatchEvent::Undecodable)).collect())
            }
            _ => Err(SourceError::Expired {
                message: format!("of version {after} nothing is known, only of {}", self.version),
                continue_token: None,
            }),
        }
    }

    fn unusable(&self) -> impl Iterator<Item = Undecodable> {
        let version = self.version();
        let errors = self.unusable.iter();
        errors.map(move |error| Undecodable::new(None, Some(version.clone()), error))
    }
}

/// Whether nothing has changed. Of what the comparison panics for, nobody knows: it counts as changed.
fn is_same<T: Object>(held: &T, object: &T, same: impl Fn(&T, &T) -> bool) -> bool {
    catch(|| held.uid() == object.uid() && same(held, object)).unwrap_or_else(|panic| {
        tracing::error!(panic, "a comparison of polled objects panicked");
        false
    })
}

/// The destructors of several objects may panic.
impl<T> Drop for Content<T> {
    fn drop(&mut self) {
        drop_all(std::mem::take(&mut self.objects).into_values());
    }
}
