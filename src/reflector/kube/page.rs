//! A list's answer: its metadata at once, its items one by one.

use std::num::NonZero;
use std::ops::Range;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};

use super::decode::{Decode, Decoder};
use super::header::{List, non_empty, range_of};
use super::mend::{Mended, NO_TEXT};
use super::parallel::{self, Work};
use super::protobuf::{self, Envelope, Message};
use super::unexpected;
use crate::ResourceVersion;
use crate::reflector::{Interest, Item, ListPage, SourceError};

/// How many objects decode as one piece of work.
const STRETCH: usize = 32;

/// What a list says, and where its items are.
struct Outline {
    places: Places,
    resource_version: Option<ResourceVersion>,
    continue_token: Option<String>,
    remaining: Option<u64>,
}

/// The answer itself.
enum Content {
    Json(Mended<'static>),
    Protobuf(Vec<u8>, &'static Message),
}

/// Where the items are that were not taken yet.
enum Places {
    Json(std::vec::IntoIter<Range<usize>>),
    /// In a part of the answer of so many.
    Protobuf {
        rest: Range<usize>,
        count: usize,
    },
}

impl Content {
    /// Decodes the item in one of the places.
    fn item<K: Decode>(
        &self,
        place: Range<usize>,
        decoder: &Decoder<K>,
        interest: Option<&Interest<K>>,
    ) -> Option<Item<K>> {
        match self {
            Self::Json(text) => {
                let fault = (text.replaced_in(&place) > 0).then_some(NO_TEXT);
                decoder.item(text.text.get(place).unwrap_or_default(), fault, interest)
            }
            Self::Protobuf(bytes, schema) => {
                decoder.message(bytes.get(place).unwrap_or_default(), schema, interest)
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Json(text) => text.text.as_bytes(),
            Self::Protobuf(bytes, _) => bytes,
        }
    }
}

impl Places {
    fn count(&self) -> usize {
        match self {
            Self::Json(places) => places.len(),
            Self::Protobuf { count, .. } => *count,
        }
    }

    /// The next places in this answer, if there are any left.
    fn stretch(&mut self, answer: &Content) -> Option<Vec<Range<usize>>> {
        let stretch: Vec<_> = match self {
            Self::Json(places) => places.take(STRETCH).collect(),
            Self::Protobuf { rest, .. } => {
                let next = || protobuf::next_item(answer.bytes(), rest);
                std::iter::from_fn(next).take(STRETCH).collect()
            }
        };
        (!stretch.is_empty()).then_some(stretch)
    }
}

/// Reads where the items are; they decode as they are taken. An answer in protobuf comes with the
/// schema of the items.
pub(super) fn read<K: Decode>(
    body: Vec<u8>,
    schema: Option<&'static Message>,
    decoder: &Arc<Decoder<K>>,
    decoders: NonZero<usize>,
) -> Result<ListPage<K>, SourceError> {
    let (content, outline) = match schema {
        Some(schema) => {
            let outline = Outline::of_protobuf(&body, decoder)?;
            (Content::Protobuf(body, schema), outline)
        }
        None => {
            let (text, outline) = open(body, decoder)?;
            (Content::Json(text), outline)
        }
    };
    let mut places = outline.places;
    let count = places.count();
    let interest = decoder.interest.clone().filter(|interest| !interest.is_everything());
    let (content, decoder) = (Arc::new(content), Arc::clone(decoder));
    let all = Arc::clone(&content);
    let stretches = std::iter::from_fn(move || places.stretch(&all));
    let work = stream::iter(stretches).map(move |places| {
        let (content, decoder) = (Arc::clone(&content), Arc::clone(&decoder));
        let interest = interest.clone();
        Work {
            bytes: places.iter().map(ExactSizeIterator::len).sum(),
            decode: move || {
                let item = |place| content.item(place, &decoder, interest.as_ref());
                places.into_iter().filter_map(item).collect()
            },
        }
    });
    Ok(ListPage {
        items: parallel::in_order(work, decoders).boxed(),
        resource_version: outline.resource_version,
        continue_token: outline.continue_token,
        remaining: outline.remaining,
        count,
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
    let failed = match Outline::read(&text, decoder) {
        Ok(outline) => return Ok((text, outline)),
        Err(error) => error,
    };
    let mended = Mended::of(text.text.as_bytes());
    if mended.replaced() == 0 {
        return Err(failed);
    }
    let outline = Outline::read(&mended, decoder)?;
    Ok((mended, outline))
}

impl Outline {
    fn of_protobuf<K: Decode>(body: &[u8], decoder: &Decoder<K>) -> Result<Self, SourceError> {
        let wanted = format!("a {}", decoder.list_kind());
        let unexpected = || unexpected::failure_of(body, &wanted);
        let envelope = Envelope::open(body).map_err(|_| unexpected())?;
        let [version, kind] = envelope.of.said();
        if !decoder.is_own_type(version, kind) {
            return Err(unexpected());
        }
        // Of every list something is written, if only that it has no version: the rest was cut off.
        if envelope.message.is_empty() {
            let message =
                format!("expected {wanted}, found a {} without content", decoder.list_kind());
            return Err(SourceError::Protocol(message));
        }
        let list = protobuf::List::read(envelope.message).map_err(|error| {
            let message = format!("expected {wanted}, found protobuf that does not read: {error}");
            SourceError::Protocol(message)
        })?;
        let rest = place_of(envelope.message, body);
        Ok(Self {
            places: Places::Protobuf { rest, count: list.count },
            resource_version: version_of(non_zero(list.resource_version)),
            continue_token: non_zero(list.continue_token).map(str::to_owned),
            remaining: list.remaining.and_then(|remaining| remaining.try_into().ok()),
        })
    }

    fn read<K: Decode>(mended: &Mended<'_>, decoder: &Decoder<K>) -> Result<Self, SourceError> {
        let text = &*mended.text;
        let unexpected = || unexpected::failure(text, &format!("a {}", decoder.list_kind()));
        let list: List<'_> = serde_json::from_str(text).map_err(|_| unexpected())?;
        if !decoder.is_own(&list) {
            return Err(unexpected());
        }
        // In the memory of the list itself: an item may have no more than two bytes.
        let items = list.items.unwrap_or_default().into_iter();
        let places: Vec<_> = items.map(|item| range_of(item.get(), text)).collect();
        let within: usize = places.iter().map(|item| mended.replaced_in(item)).sum();
        if within < mended.replaced() {
            let message = format!("the list is damaged outside of its items: {NO_TEXT}");
            return Err(SourceError::Protocol(message));
        }
        let metadata = list.metadata.unwrap_or_default();
        Ok(Self {
            places: Places::Json(places.into_iter()),
            resource_version: version_of(non_empty(metadata.resource_version.as_ref())),
            continue_token: non_empty(metadata.continue_token.as_ref()).map(str::to_owned),
            remaining: metadata.remaining(),
        })
    }
}

/// A list's version. A watch from "0" may begin anywhere, so it is none.
fn version_of(text: Option<&str>) -> Option<ResourceVersion> {
    text.filter(|text| *text != "0").map(Into::into)
}

fn non_zero(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// Where a part of these bytes lies in them; where it is empty, it may lie elsewhere.
fn place_of(part: &[u8], whole: &[u8]) -> Range<usize> {
    if part.is_empty() {
        return 0..0;
    }
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}
