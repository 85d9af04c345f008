//! A list's answer: its metadata at once, its items as they are taken.

use std::num::NonZero;
use std::ops::Range;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::decode::{Decode, Decoder};
use super::parallel::{self, Work};
use crate::ResourceVersion;
use crate::reflector::{ListPage, SourceError};

/// How many objects decode as one piece of work.
const STRETCH: usize = 32;

/// Reads where the items are; they decode as they are taken.
pub(super) fn read<K: Decode>(
    text: String,
    decoder: &Arc<Decoder<K>>,
    decoders: NonZero<usize>,
) -> Result<ListPage<K>, SourceError> {
    let list: List<'_> = serde_json::from_str(&text)
        .map_err(|error| SourceError::Protocol(format!("this is not a list: {error}")))?;
    let implied = decoder.implied(list.api_version.as_deref(), list.kind.as_deref());
    let implied = Arc::new(implied);
    let ranges = list.items.iter().flatten().map(|item| range_of(item.get(), &text));
    let ranges: Vec<Range<usize>> = ranges.collect();
    let stretches: Vec<Vec<_>> = ranges.chunks(STRETCH).map(<[_]>::to_vec).collect();
    let metadata = list.metadata;

    let interest = decoder.interest.clone().filter(|interest| !interest.is_everything());
    let (text, decoder) = (Arc::new(text), Arc::clone(decoder));
    let work = stream::iter(stretches).map(move |ranges| {
        let (text, decoder) = (Arc::clone(&text), Arc::clone(&decoder));
        let (interest, implied) = (interest.clone(), Arc::clone(&implied));
        Work {
            bytes: ranges.iter().map(ExactSizeIterator::len).sum(),
            decode: move || {
                // Each range was a value of this very text.
                let texts = ranges.into_iter().map(|range| text.get(range).unwrap_or_default());
                texts.filter_map(|raw| decoder.item(raw, &implied, interest.as_ref())).collect()
            },
        }
    });
    Ok(ListPage {
        items: parallel::in_order(work, decoders).boxed(),
        resource_version: metadata.resource_version.map(ResourceVersion::from),
        continue_token: metadata.continue_token,
        remaining: metadata.remaining_item_count,
    })
}

fn range_of(part: &str, whole: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    api_version: Option<String>,
    kind: Option<String>,
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
