//! A state of an object, as far as a merge has to know it.

use std::hash::BuildHasher;

use crate::Object;
use crate::panic::catch_as_sentence;
use crate::sync::mark_hasher;
use crate::version::number_of;

/// A version of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    /// The version as a number, 0 if it is none.
    number: u64,
    /// The version up to which a list shows it to be the newest.
    as_of: u64,
    /// Of version and uid; 0 for an object without a version, which is never taken to be unchanged.
    mark: u64,
}

impl State {
    const NONE: Self = Self { number: 0, as_of: 0, mark: 0 };

    pub(super) fn of<T: Object>(object: &T) -> Self {
        // User code, which may panic.
        let state = catch_as_sentence(|| {
            let version = object.resource_version().filter(|version| !version.is_empty())?;
            let mark = mark_hasher().hash_one((object.uid(), version)).max(1);
            let number = number_of(version).unwrap_or(0);
            Some(Self { number, as_of: number, mark })
        });
        state.ok().flatten().unwrap_or(Self::NONE)
    }

    /// The same state, confirmed by a list of this version.
    pub(super) fn listed_at(self, version: Option<u64>) -> Self {
        match version {
            Some(version) if self.number > 0 => Self { as_of: version.max(self.number), ..self },
            _ => self,
        }
    }

    /// The same, as a list of this version says, too.
    pub(super) fn confirmed_at(self, version: Option<u64>) -> Self {
        self.listed_at(version.map(|version| version.max(self.as_of)))
    }

    /// The same, without what a list said.
    pub(super) fn alone(self) -> Self {
        Self { as_of: self.number, ..self }
    }

    pub(super) fn number(self) -> u64 {
        self.number
    }

    pub(super) fn as_of(self) -> u64 {
        self.as_of
    }

    pub(super) fn is_same(self, other: Self) -> bool {
        self.mark != 0 && self.mark == other.mark
    }

    /// Returns whether they are the same as far as can be known.
    pub(super) fn is_alike(self, other: Self) -> bool {
        self.mark == other.mark
    }

    pub(super) fn is_older_than(self, other: Self) -> bool {
        self.number > 0 && self.number < other.number
    }

    /// Returns whether it was no longer the newest when the other one was.
    pub(super) fn is_outdated_by(self, other: Self) -> bool {
        self.number > 0 && self.number < other.as_of
    }
}

/// Returns whether two objects of one key have different uids.
pub(super) fn are_different<T: Object>(one: &T, other: &T) -> bool {
    catch_as_sentence(|| one.uid() != other.uid()).unwrap_or(false)
}
