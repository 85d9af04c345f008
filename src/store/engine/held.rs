//! The values that each record is in an index under.

use std::collections::HashMap;
use std::mem;

use foldhash::fast::RandomState;

use super::record::RecordRef;
use super::slab::RECORDS;
use super::value::Value;

/// A row for each slab with such a record, in which a record has the place that it has there. So neither a record
/// without indexes nor a slab takes anything, and one look leads to a record's values.
pub(super) struct Held<V: ?Sized> {
    /// By the address of the slab, which outlives its row: a record is withdrawn before it is given back.
    rows: HashMap<usize, Box<Row<V>>, RandomState>,
}

struct Row<V: ?Sized> {
    places: [Few<V>; RECORDS],
    /// How many of them have a value.
    used: usize,
}

/// The values of one record. One value, as most have, needs no allocation.
enum Few<V: ?Sized> {
    One(Value<V>),
    /// None, or several.
    Others(Option<Box<Box<[Value<V>]>>>),
}

impl<V: ?Sized> Held<V> {
    pub(super) fn new() -> Self {
        Self { rows: HashMap::default() }
    }

    /// A record's values.
    #[inline]
    pub(super) fn of<T>(&self, record: RecordRef<T>) -> &[Value<V>] {
        match self.rows.get(&record.slab().addr()) {
            Some(row) => row.places[record.place()].values(),
            None => &[],
        }
    }

    /// Gives a record these values, which are taken out, in place of those that it has.
    pub(super) fn set<T>(&mut self, record: RecordRef<T>, values: &mut Vec<Value<V>>) {
        let slab = record.slab().addr();
        let row = self.rows.entry(slab).or_insert_with(|| Box::new(Row::new()));
        let values = Few::new(values);
        row.used += usize::from(values.is_some());
        // Dropped last: that is user code.
        let before = mem::replace(&mut row.places[record.place()], values);
        row.used -= usize::from(before.is_some());
        if row.used == 0 {
            self.rows.remove(&slab);
            // After a mass delete.
            let enough = 2 * self.rows.len().max(8);
            if self.rows.capacity() > 4 * enough {
                self.rows.shrink_to(enough);
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.rows = HashMap::default();
    }
}

impl<V: ?Sized> Row<V> {
    fn new() -> Self {
        Self { places: std::array::from_fn(|_| Few::Others(None)), used: 0 }
    }
}

impl<V: ?Sized> Few<V> {
    fn new(values: &mut Vec<Value<V>>) -> Self {
        match values.pop() {
            None => Self::Others(None),
            Some(only) if values.is_empty() => Self::One(only),
            Some(last) => Self::Others(Some(Box::new(values.drain(..).chain([last]).collect()))),
        }
    }

    fn is_some(&self) -> bool {
        !matches!(self, Self::Others(None))
    }

    #[inline]
    fn values(&self) -> &[Value<V>] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Others(values) => values.as_deref().map_or(&[], |values| values),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_takes_no_more_than_one_value_does() {
        assert_eq!(size_of::<Few<str>>(), size_of::<Value<str>>());
        assert_eq!(size_of::<Few<u64>>(), 2 * size_of::<Value<u64>>());
    }
}
