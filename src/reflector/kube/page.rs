//! A list's answer: its metadata at once, its items one by one.

use std::num::NonZero;
use std::ops::Range;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use super::decode::{Decode, Decoder};
use super::header::{List, non_empty, range_of};
use super::mend::{Mended, NO_TEXT};
use super::parallel::{self, Work};
use super::unexpected;
use crate::ResourceVersion;
use crate::reflector::{ListPage, SourceError};

/// How many objects decode as one piece of work.
const STRETCH: usize = 32;

/// What a list says beside its items.
struct Outline {
    items: Vec<Range<usize>>,
    resource_version: Option<ResourceVersion>,
    continue_token: Option<String>,
    remaining: Option<u64>,
}

/// Reads where the items are; they decode as they are taken.
pub(super) fn read<K: Decode>(
    body: Vec<u8>,
    decoder: &Arc<Decoder<K>>,
    decoders: NonZero<usize>,
) -> Result<ListPage<K>, SourceError> {
    let (text, outline) = open(body, decoder)?;
    let stretches: Vec<Vec<_>> = outline.items.chunks(STRETCH).map(<[_]>::to_vec).collect();
    let interest = decoder.interest.clone().filter(|interest| !interest.is_everything());
    let (text, decoder) = (Arc::new(text), Arc::clone(decoder));
    let work = stream::iter(stretches).map(move |ranges| {
        let (text, decoder, interest) = (Arc::clone(&text), Arc::clone(&decoder), interest.clone());
        Work {
            bytes: ranges.iter().map(ExactSizeIterator::len).sum(),
            decode: move || {
                let items = ranges.into_iter().filter_map(|range| {
                    let fault = (text.replaced_in(&range) > 0).then_some(NO_TEXT);
                    // Each range was a value of this very text.
                    let raw = text.text.get(range).unwrap_or_default();
                    decoder.item(raw, fault, interest.as_ref())
                });
                items.collect()
            },
        }
    });
    Ok(ListPage {
        items: parallel::in_order(work, decoders).boxed(),
        resource_version: outline.resource_version,
        continue_token: outline.continue_token,
        remaining: outline.remaining,
    })
}

/// The answer as text, and what it says. An item may hold what is no text; the list as such may not.
fn open<K: Decode>(
    body: Vec<u8>,
    decoder: &Decoder<K>,
) -> Result<(Mended<'static>, Outline), SourceError> {
    // Validating once and decoding text is cheaper than decoding bytes, which validates string by
    // string.
    let text = match String::from_utf8(body) {
        Ok(text) => Mended::unchanged(text),
        Err(error) => Mended::of(error.as_bytes()),
    };
    let failed = match Outline::read(&text.text, decoder) {
        Ok(outline) => return whole(text, outline),
        Err(error) => error,
    };
    let mended = Mended::of(text.text.as_bytes());
    if mended.replaced() == 0 {
        return Err(failed);
    }
    let outline = Outline::read(&mended.text, decoder)?;
    whole(mended, outline)
}

fn whole(
    text: Mended<'static>,
    outline: Outline,
) -> Result<(Mended<'static>, Outline), SourceError> {
    let within: usize = outline.items.iter().map(|item| text.replaced_in(item)).sum();
    if within == text.replaced() {
        return Ok((text, outline));
    }
    Err(SourceError::Protocol(format!("the list is damaged outside of its items: {NO_TEXT}")))
}

impl Outline {
    fn read<K: Decode>(text: &str, decoder: &Decoder<K>) -> Result<Self, SourceError> {
        let unexpected = || unexpected::failure(text, &format!("a {}", decoder.list_kind()));
        let list: List<'_> = serde_json::from_str(text).map_err(|_| unexpected())?;
        if !decoder.is_own(&list) {
            return Err(unexpected());
        }
        let metadata = list.metadata.unwrap_or_default();
        Ok(Self {
            items: list.items.iter().flatten().map(|item| range_of(item.get(), text)).collect(),
            resource_version: non_empty(metadata.resource_version.as_ref()).map(Into::into),
            continue_token: non_empty(metadata.continue_token.as_ref()).map(str::to_owned),
            remaining: metadata.remaining(),
        })
    }
}
