//! Whether a change from a part is new to the sinks.

use std::sync::Arc;

use super::merged::Merged;
use super::state::{State, are_different};
use crate::{Key, Object};

/// What decides when the sinks already have a key.
#[derive(Clone, Copy)]
pub(super) enum Precedence {
    /// The newest version, wherever it comes from.
    Newest,
    /// A list of this version: another uid is another object, whatever its version.
    Listed(Option<u64>),
    /// The last to arrive, since versions have no order.
    Latest,
}

/// How an object compares with the sinks' state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    Newer,
    /// Another object than the sinks', though its version is lower.
    Another,
    Same,
    Older,
}

impl Precedence {
    /// The version of the list, if that is known.
    pub(super) fn listed(self) -> Option<u64> {
        match self {
            Self::Listed(version) => version,
            Self::Newest | Self::Latest => None,
        }
    }
}

impl<T: Object> Merged<T> {
    /// Compares the object that a part brings, in this state, with what the sinks have.
    pub(super) fn news(
        &self,
        index: usize,
        key: &Key,
        state: State,
        object: &Arc<T>,
        precedence: Precedence,
    ) -> News {
        let Some(told) = self.told.get(key).copied() else {
            let gone = !matches!(precedence, Precedence::Latest)
                && self.tombstones.cover(index, key, state, precedence.listed());
            return if gone { News::Older } else { News::Newer };
        };
        if state.is_same(told) {
            return News::Same;
        }
        let decides = match precedence {
            Precedence::Latest => return News::Newer,
            Precedence::Newest => false,
            // For everything that was sent up to its version.
            Precedence::Listed(version) => version.is_none_or(|version| version >= told.as_of()),
        };
        if !decides {
            return if state.is_outdated_by(told) { News::Older } else { News::Newer };
        }
        if !state.is_older_than(told) {
            return News::Newer;
        }
        let before = self.given(index, key, told);
        let is_another = before.is_none_or(|before| are_different(&*before, &**object));
        if is_another { News::Another } else { News::Older }
    }
}
