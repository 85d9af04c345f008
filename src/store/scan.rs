//! Lookups by an index that a snapshot does not have: over all objects.

use std::collections::BTreeMap;
use std::ops::RangeBounds;

use super::{Entries, Groups, Index, Snapshot};
use crate::Object;

pub(super) fn by<'a, T, V>(
    snapshot: &'a Snapshot<T>,
    index: &Index<T, V>,
    value: &V,
) -> Entries<'a, T>
where
    T: Object,
    V: Ord + Send + Sync + ?Sized + 'static,
{
    let has = |object: &T| index.values(object).iter().any(|held| **held == *value);
    Entries::found(snapshot.iter().filter(|(_, object)| has(object)).collect())
}

pub(super) fn groups<'a, T, V>(
    snapshot: &'a Snapshot<T>,
    index: &Index<T, V>,
    range: impl RangeBounds<V>,
) -> Groups<'a, T, V>
where
    T: Object,
    V: Ord + Send + Sync + ?Sized + 'static,
{
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for (key, object) in snapshot {
        let mut values = index.values(object);
        values.sort_unstable();
        values.dedup();
        for value in values.into_iter().filter(|value| range.contains(&**value)) {
            groups.entry(value).or_default().push((key, object));
        }
    }
    Groups::found(groups)
}
