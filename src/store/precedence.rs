//! Which of two objects of one key counts. The objects' methods are the user's code.

use std::cmp::Ordering;

use crate::object::same_version;
use crate::panic::catch;
use crate::sync::Arc;
use crate::{Object, version};

/// What decides when a key already holds an object.
#[derive(Clone, Copy)]
pub(super) enum Precedence {
    /// The newest version, wherever it comes from.
    Newest,
    /// The listing: another uid is another object, whatever its version.
    Listed,
    /// The store, which is known to be newer: the listing is older than what the store has seen.
    Held,
    /// The last to arrive, since versions have no order.
    Latest,
}

/// How an object that is put compares with the one that is held.
pub(super) enum Comparison {
    Same,
    Older,
    Newer,
}

/// Compares two objects of one key, whose versions may be known to be the same number.
pub(super) fn compare<T: Object>(
    held: &Arc<T>,
    new: &Arc<T>,
    same_number: bool,
    precedence: Precedence,
) -> Result<Comparison, String> {
    catch(|| {
        if matches!(precedence, Precedence::Held) {
            return match is_older(&**held, &**new) {
                true => Comparison::Newer,
                false if same_version(&**held, &**new) => Comparison::Same,
                false => Comparison::Older,
            };
        }
        // Comparing uids reads the held object once; comparing the versions' text would be another miss.
        let same =
            if same_number { held.uid() == new.uid() } else { same_version(&**held, &**new) };
        if same {
            return Comparison::Same;
        }
        let counts = match precedence {
            Precedence::Newest | Precedence::Held => false,
            Precedence::Listed => held.uid() != new.uid(),
            Precedence::Latest => true,
        };
        if !counts && !same_number && is_older(&**new, &**held) {
            Comparison::Older
        } else {
            Comparison::Newer
        }
    })
}

/// An object's version as a number, where it is one.
pub(super) fn number<T: Object>(object: &T) -> Option<u64> {
    version::number_of(object.resource_version()?)
}

pub(super) fn is_older<T: Object>(this: &T, that: &T) -> bool {
    let versions = this.resource_version().zip(that.resource_version());
    versions.and_then(|(this, that)| version::compare(this, that)).is_some_and(Ordering::is_lt)
}
