//! What was polled last, and how another poll differs from it.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{Polled, Row, version};
use crate::panic::{OneByOne, catch, drop_all};
use crate::reflector::facts::Facts;
use crate::reflector::{Item, SourceError, Undecodable, WatchEvent};
use crate::{Key, KeyRef, Object, ResourceVersion};

/// What the last poll that found a change has found, which is a version of its own.
///
/// Nobody changes it: a poll makes another one, so that user code never finds it half made.
pub(super) struct Content<T> {
    /// 0 before the first poll.
    version: u64,
    /// The version before this one; the first has none, and this is itself.
    before: u64,
    found: HashMap<Key, Found<T>, RandomState>,
    /// What the version before had beyond this one.
    gone: Vec<Key>,
    /// Rows that are no objects, of which no key is known.
    nameless: Vec<Undecodable>,
}

/// What is there under a key.
enum Found<T> {
    Object(Arc<Polled<T>>),
    Bad(Arc<Undecodable>),
}

impl<T: Object> Content<T> {
    /// Nothing, before the first poll.
    pub(super) fn new() -> Self {
        Self {
            version: 0,
            before: 0,
            found: HashMap::default(),
            gone: Vec::new(),
            nameless: Vec::new(),
        }
    }

    pub(super) fn version(&self) -> ResourceVersion {
        self.version.to_string().into()
    }

    /// What is there once these rows were listed: the same content, if they are the same.
    pub(super) fn next(
        self: &Arc<Self>,
        listed: Vec<Row<T>>,
        wants: impl Fn(KeyRef<'_>) -> bool,
        same: impl Fn(&T, &T) -> bool,
    ) -> Arc<Self> {
        let is_first = self.version == 0;
        let mut next = Self::new();
        next.version = version::next();
        next.before = if is_first { next.version } else { self.version };
        let version = next.version();
        next.found.reserve(listed.len());
        for Row(row) in OneByOne(listed.into_iter()) {
            let bad = match row {
                Err(bad) => {
                    Undecodable { resource_version: Some(version.clone()), deleted: false, ..bad }
                }
                Ok(object) => match Facts::of(&object).key {
                    Ok(key) if wants(key) => {
                        let (key, held) = self.held(key);
                        let held = held.and_then(Found::object);
                        let held = held.filter(|held| is_same::<T>(held, &object, &same)).cloned();
                        let found = || Arc::new(Polled::new(object, version.clone()));
                        next.found.insert(key, Found::Object(held.unwrap_or_else(found)));
                        continue;
                    }
                    Ok(_) => continue,
                    Err(error) => Undecodable::new(None, Some(version.clone()), error),
                },
            };
            match bad.key.as_ref().map(Key::as_ref) {
                None => next.nameless.push(bad),
                Some(key) if wants(key) => {
                    let (key, held) = self.held(key);
                    let held =
                        held.and_then(Found::bad).filter(|held| reason(held) == reason(&bad));
                    let bad = held.cloned().unwrap_or_else(|| Arc::new(bad));
                    next.found.insert(key, Found::Bad(bad));
                }
                Some(_) => {}
            }
        }
        // Which came first says nothing.
        next.nameless.sort_by(|one, other| reason(one).cmp(&reason(other)));
        let gone = self.found.keys().filter(|key| !next.found.contains_key(*key));
        next.gone = gone.cloned().collect();
        next.gone.sort_unstable();
        let differs = is_first
            || !next.gone.is_empty()
            || !next.nameless.iter().map(reason).eq(self.nameless.iter().map(reason))
            || next.found.values().any(|found| found.version() == Some(&version));
        if differs { Arc::new(next) } else { Arc::clone(self) }
    }

    /// What is held under a key, and the key as it is held, so that its text is copied once.
    fn held(&self, key: KeyRef<'_>) -> (Key, Option<&Found<T>>) {
        match self.found.get_key_value(&key) {
            Some((key, found)) => (key.clone(), Some(found)),
            None => (key.to_key_unchecked(), None),
        }
    }

    /// All of it, as a list has it.
    pub(super) fn items(&self) -> Vec<Item<Polled<T>>> {
        let found = self.sorted(|_| true).into_iter().map(|(_, found)| match found {
            Found::Object(object) => Item::Object(Arc::clone(object)),
            Found::Bad(bad) => Item::Undecodable(Undecodable::clone(bad)),
        });
        found.chain(self.nameless.iter().cloned().map(Item::Undecodable)).collect()
    }

    /// What has changed after a version, without an end.
    ///
    /// Nothing older than the last change is asked for: a watch tells all of one poll before it makes the next.
    /// One that is resumed within this version asks for what came after the number before it, which may be any
    /// that lies between the two.
    ///
    /// # Errors
    /// `Expired`, for a version before the one before this, or of another source.
    pub(super) fn since(
        &self,
        after: &ResourceVersion,
    ) -> Result<Vec<WatchEvent<Polled<T>>>, SourceError> {
        match after.number() {
            Some(after) if after == self.version => Ok(Vec::new()),
            Some(after) if (self.before..self.version).contains(&after) => {
                let version = self.version();
                let new = self.sorted(|found| found.version() == Some(&version));
                let new = new.into_iter().map(|(_, found)| match found {
                    Found::Object(object) => WatchEvent::Modified(Arc::clone(object)),
                    Found::Bad(bad) => WatchEvent::Undecodable(Undecodable::clone(bad)),
                });
                let gone = self.gone.iter();
                let gone =
                    gone.map(|key| WatchEvent::Gone { key: key.clone(), version: version.clone() });
                let nameless = self.nameless.iter().cloned().map(WatchEvent::Undecodable);
                Ok(gone.chain(new).chain(nameless).collect())
            }
            _ => Err(SourceError::Expired {
                message: format!("of version {after} nothing is known, only of {}", self.version),
                continue_token: None,
            }),
        }
    }

    /// By key, so that a program that runs again is told in the same order.
    fn sorted(&self, chosen: impl Fn(&Found<T>) -> bool) -> Vec<(&Key, &Found<T>)> {
        let mut sorted: Vec<_> = self.found.iter().filter(|(_, found)| chosen(found)).collect();
        sorted.sort_unstable_by_key(|(key, _)| *key);
        sorted
    }
}

impl<T> Found<T> {
    fn object(&self) -> Option<&Arc<Polled<T>>> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }

    fn bad(&self) -> Option<&Arc<Undecodable>> {
        if let Self::Bad(bad) = self { Some(bad) } else { None }
    }

    /// The version that found it so.
    fn version(&self) -> Option<&ResourceVersion> {
        match self {
            Self::Object(object) => Some(&object.version),
            Self::Bad(bad) => bad.resource_version.as_ref(),
        }
    }
}

/// What tells two bad rows apart.
fn reason(bad: &Undecodable) -> (&str, Option<&str>) {
    (&bad.error, bad.raw.as_deref())
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
        drop_all(std::mem::take(&mut self.found).into_values());
    }
}
