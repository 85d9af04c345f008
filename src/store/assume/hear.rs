//! What the source's word does where something is assumed.
//!
//! It meets what the source said before, never what is assumed. If it counts, and the assumption does not
//! count more by the same rule, it takes the assumption's place; otherwise it is only remembered, and nothing
//! is written.

use super::super::engine::{Assumption, Hashed};
use super::super::error::Rejected;
use super::super::precedence::{self, Comparison, Precedence, compare, is_older};
use super::super::report::{Applied, Outcome};
use super::super::write::{Writing, panicked, store};
use crate::panic::catch;
use crate::sync::Arc;
use crate::{KeyRef, Object};

impl<T: Object> Writing<'_, T> {
    /// Whether something is assumed of any key.
    #[inline]
    pub(crate) fn assumes(&self) -> bool {
        !self.assumed.is_empty()
    }

    /// What is assumed of a key, if something is.
    #[inline]
    pub(crate) fn known(&self, key: KeyRef<'_>) -> Option<Assumption<T>> {
        if !self.assumes() {
            return None;
        }
        self.assumed.known(key)
    }

    /// Whether the source has said that there is an object of this key.
    pub(crate) fn is_told(&mut self, key: Hashed<'_>) -> bool {
        match self.known(key.key()) {
            Some(known) => known.told.is_some(),
            None => self.guard.slot(key).held().is_some(),
        }
    }

    /// The source says what an object is.
    #[cold]
    pub(crate) fn hear(
        &mut self,
        key: Hashed<'_>,
        object: &Arc<T>,
        precedence: Precedence,
        Assumption { object: assumed, told }: Assumption<T>,
    ) -> Result<Outcome, Box<Rejected>> {
        let judge = |held: &Arc<T>| match Arc::ptr_eq(held, object) {
            true => Ok(Comparison::Same),
            false => compare(held, object, false, precedence),
        };
        let judge = |held| judge(held).map_err(|message| panicked(key.key(), message));
        match told.as_ref().map(judge).transpose()? {
            Some(Comparison::Same) => return Ok(Outcome::Unchanged),
            Some(Comparison::Older) => return Ok(Outcome::Stale),
            None | Some(Comparison::Newer) => {}
        }
        // As when a write was answered with a state that the source has not come to yet.
        if matches!(judge(&assumed)?, Comparison::Older) {
            let checked = self.guard.check(object);
            checked.map_err(|unindexed| Box::new(Rejected::unindexed(key.key(), *unindexed)))?;
            self.remember(key.key(), Some(Arc::clone(object)));
        } else {
            let number = catch(|| precedence::number(&**object));
            let number = number.map_err(|message| panicked(key.key(), message))?;
            store(self.guard.slot(key), object, number.unwrap_or(0))?;
            self.no_longer_assume(key.key());
        }
        Ok(if told.is_some() { Outcome::Updated } else { Outcome::Added })
    }

    /// The source says that an object is gone; `last` is its last state, if that has an order.
    #[cold]
    pub(crate) fn hear_deleted(
        &mut self,
        key: Hashed<'_>,
        last: Option<&T>,
        Assumption { object: assumed, told }: Assumption<T>,
        applied: &mut Applied,
    ) {
        let is_older_than = |held: &Arc<T>| {
            last.is_some_and(|last| catch(|| is_older(last, &**held)).unwrap_or(false))
        };
        match &told {
            Some(told) if is_older_than(told) => {
                applied.stale += 1;
                return;
            }
            Some(_) => applied.deleted += 1,
            None => applied.unchanged += 1,
        }
        if is_older_than(&assumed) {
            self.remember(key.key(), None);
        } else {
            self.clear(key);
        }
    }

    /// A relist has no object of this key; `stays` says which it does not know of yet, and takes what it
    /// cannot tell. Whether the source had said that there is one.
    pub(crate) fn hear_unlisted(&mut self, key: KeyRef<'_>, stays: impl Fn(&T) -> bool) -> bool {
        let key = self.guard.hash(key);
        match self.known(key.key()) {
            Some(known) if known.told.is_some() && stays(&known.object) => {
                self.remember(key.key(), None);
                true
            }
            known => {
                self.clear(key);
                known.is_none_or(|known| known.told.is_some())
            }
        }
    }

    /// Puts back what the source said; returns what was assumed, if something was.
    pub(super) fn forget(&mut self, key: KeyRef<'_>) -> Option<Arc<T>> {
        let Assumption { object: assumed, told } = self.known(key)?;
        let hashed = self.guard.hash(key);
        let is_back = told.is_some_and(|told| {
            let number = catch(|| precedence::number(&*told)).ok().flatten();
            store(self.guard.slot(hashed), &told, number.unwrap_or(0)).is_ok()
        });
        if is_back {
            self.no_longer_assume(key);
        } else {
            // An object that the indexes take no longer is refused, as when the source says it.
            self.clear(hashed);
        }
        Some(assumed)
    }

    /// Leaves nothing of a key, neither an object nor an assumption.
    fn clear(&mut self, key: Hashed<'_>) {
        let held = self.guard.slot(key).delete();
        held.into_iter().for_each(|held| self.guard.discard(held));
        self.no_longer_assume(key.key());
    }

    /// Readers see nothing of it, but confirmed subscriptions do.
    fn remember(&mut self, key: KeyRef<'_>, told: Option<Arc<T>>) {
        let is_told = told.is_some();
        let before = self.assumed.tell(key, told);
        if is_told || before.is_some() {
            self.guard.republish();
        }
        before.into_iter().for_each(|before| self.guard.discard(before));
    }

    /// What the key holds now is all that is known of it.
    pub(crate) fn no_longer_assume(&mut self, key: KeyRef<'_>) {
        if self.assumes() {
            self.assumed.end(key);
        }
    }
}
