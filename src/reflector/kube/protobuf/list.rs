//! A list: its metadata, and its items as bytes.

use std::ops::Range;

use super::error::Result;
use super::wire::{Reader, Value, fields};

const METADATA: u32 = 1;
const ITEMS: u32 = 2;

/// What a list says, every list being the same but for what its items are.
#[derive(Debug)]
pub(crate) struct List<'a> {
    pub(crate) resource_version: &'a str,
    pub(crate) continue_token: &'a str,
    pub(crate) remaining: Option<i64>,
    /// How many items it has; where they are is found again item by item, so that a list of nothing but
    /// empty ones takes no more memory than its bytes.
    pub(crate) count: usize,
}

impl<'a> List<'a> {
    pub(crate) fn read(message: &'a [u8]) -> Result<Self> {
        let mut metadata: &[u8] = &[];
        let mut count = 0;
        let mut rest = Reader::new(message);
        while let Some((number, value)) = rest.next()? {
            match number {
                METADATA => metadata = value.bytes()?,
                ITEMS => {
                    value.bytes()?;
                    count += 1;
                }
                _ => {}
            }
        }
        let [_self_link, version, token, remaining] = fields(metadata)?;
        let text = |value: Option<Value<'a>>| value.map_or(Ok(""), Value::text);
        Ok(Self {
            resource_version: text(version)?,
            continue_token: text(token)?,
            remaining: remaining.map(Value::integer).transpose()?,
            count,
        })
    }
}

/// Where the next item lies in these bytes, of which `rest` is what is left of a list that was read.
pub(crate) fn next_item(bytes: &[u8], rest: &mut Range<usize>) -> Option<Range<usize>> {
    let mut left = Reader::new(bytes.get(rest.clone())?);
    // All of it was read before, so that nothing is wrong with it.
    while let Ok(Some((number, value))) = left.next() {
        rest.start = rest.end - left.rest().len();
        if number == ITEMS {
            return Some(rest.start - value.bytes().ok()?.len()..rest.start);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reflector::kube::protobuf::tests::field;

    proptest! {
        /// Each is found where it is, whatever stands between them, and of whatever length.
        #[test]
        fn items_are_found_one_by_one(
            fields in prop::collection::vec((1u8..4, prop::collection::vec(any::<u8>(), 0..4)), 0..8),
        ) {
            let metadata = |number| u32::from(number) == METADATA;
            let fields: Vec<_> = fields.into_iter().filter(|(number, _)| !metadata(*number)).collect();
            let list = fields.iter().flat_map(|(number, bytes)| field(*number, bytes));
            let bytes: Vec<u8> = [7, 7].into_iter().chain(list).chain([9]).collect();
            let mut rest = 2..bytes.len() - 1;
            let read = List::read(&bytes[rest.clone()]).expect("a list");
            let found = std::iter::from_fn(|| next_item(&bytes, &mut rest));
            let found: Vec<_> = found.map(|place| bytes[place].to_vec()).collect();
            prop_assert_eq!(found.len(), read.count);
            let items = fields.into_iter().filter(|(number, _)| u32::from(*number) == ITEMS);
            prop_assert_eq!(found, items.map(|(_, bytes)| bytes).collect::<Vec<_>>());
        }
    }
}
