//! A list's answer: its metadata at once, its items as they are taken.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::decode::{Decode, Decoder};
use crate::ResourceVersion;
use crate::reflector::{Item, ListPage, SourceError};

/// Reads where the items are; each decodes when it is taken.
pub(super) fn read<K: Decode>(text: String, decoder: Decoder) -> Result<ListPage<K>, SourceError> {
    let list: List<'_> = serde_json::from_str(&text)
        .map_err(|error| SourceError::Protocol(format!("this is not a list: {error}")))?;
    let start = text.as_ptr() as usize;
    let ranges: Vec<Range<usize>> = list
        .items
        .iter()
        .flatten()
        .map(|item| {
            let item = item.get();
            let at = item.as_ptr() as usize - start;
            at..at + item.len()
        })
        .collect();
    let metadata = list.metadata;
    Ok(ListPage {
        items: Box::new(Page {
            text,
            ranges: ranges.into_iter(),
            decoder,
            kind: Default::default(),
        }),
        resource_version: metadata.resource_version.map(ResourceVersion::from),
        continue_token: metadata.continue_token,
        remaining: metadata.remaining_item_count,
    })
}

struct Page<K> {
    text: String,
    ranges: std::vec::IntoIter<Range<usize>>,
    decoder: Decoder,
    kind: std::marker::PhantomData<fn() -> K>,
}

impl<K: Decode> Iterator for Page<K> {
    type Item = Item<K>;

    fn next(&mut self) -> Option<Item<K>> {
        let range = self.ranges.next()?;
        // Each range was a value of this very text.
        Some(self.decoder.object(self.text.get(range).unwrap_or_default()))
    }
}

#[derive(Deserialize)]
struct List<'a> {
    metadata: ListMeta,
    /// Go writes `null` for an empty slice that was never made.
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    resource_version: Option<String>,
    #[serde(rename = "continue")]
    continue_token: Option<String>,
    remaining_item_count: Option<u64>,
}
