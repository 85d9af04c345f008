//! Text into objects and events. What does not decode is told by key, and the stream goes on.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use kube::core::Resource;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::typed;
use crate::reflector::{Interest, Item, Report, SourceError, Undecodable, WatchEvent};
use crate::{Key, KeyRef, Object, ResourceVersion, Status};

/// A form in which a Kubernetes object is kept: implemented by every `kube` resource that can be
/// deserialized, and by [`Lazy`](super::Lazy).
pub trait Decode: Object + Sized {
    /// The resource that is asked for.
    type Resource: Resource;

    /// Makes the object from its JSON.
    ///
    /// # Errors
    /// With what is wrong, if it is not such an object.
    fn decode(json: &str, report: Option<&Report>) -> Result<Self, serde_json::Error>;

    /// Drops `metadata.managedFields`.
    fn prune_managed_fields(&mut self);
}

impl<K> Decode for K
where
    K: Resource + DeserializeOwned + Send + Sync + 'static,
{
    type Resource = K;

    fn decode(json: &str, _: Option<&Report>) -> Result<Self, serde_json::Error> {
        typed::from_str(json)
    }

    fn prune_managed_fields(&mut self) {
        self.meta_mut().managed_fields = None;
    }
}

/// A string, borrowed from the text if it has no escapes. (serde borrows a `Cow` only where a field
/// is nothing else, so not within an `Option`.)
#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// The part of an object that is read even when the rest does not decode.
#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Header<'a> {
    #[serde(borrow)]
    api_version: Option<Text<'a>>,
    #[serde(borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    metadata: HeaderMeta<'a>,
}

#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct HeaderMeta<'a> {
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    uid: Option<Text<'a>>,
    #[serde(borrow)]
    resource_version: Option<Text<'a>>,
}

impl HeaderMeta<'_> {
    fn key(&self) -> Option<KeyRef<'_>> {
        let namespace = self.namespace.as_deref().unwrap_or_default();
        Some((namespace, &**self.name.as_ref()?).into())
    }
}

impl Header<'_> {
    fn undecodable(self, error: String, raw: &str, deleted: bool) -> Undecodable {
        let meta = self.metadata;
        Undecodable {
            key: meta.name.and_then(|name| Key::new(meta.namespace.as_deref(), &name).ok()),
            resource_version: meta.resource_version.map(|version| ResourceVersion::from(&*version)),
            error,
            raw: Some(raw.into()),
            deleted,
        }
    }
}

/// How the objects of one source decode.
#[derive(Debug)]
pub(super) struct Decoder<K> {
    expected: Expected,
    pub(super) prune: bool,
    pub(super) report: Option<Report>,
    pub(super) interest: Option<Interest<K>>,
}

/// The type that every object must be of.
#[derive(Debug)]
struct Expected {
    api_version: String,
    kind: String,
    /// How a server begins an object that says its type.
    beginnings: [String; 2],
    metadata_only: bool,
}

/// What a list says of the type of those items that do not say it themselves.
pub(super) enum Implied {
    Expected,
    Other(String),
    Nothing,
}

/// How an object begins that leaves its type to the list it is an item of.
const UNTYPED: &str = r#"{"metadata":{"#;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type", borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Bookmark {
    metadata: BookmarkMeta,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct BookmarkMeta {
    resource_version: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
}

impl<K: Decode> Decoder<K> {
    pub(super) fn new(resource: &<K::Resource as Resource>::DynamicType) -> Self {
        let metadata_only = K::Resource::metadata_api();
        let (api_version, kind) = match metadata_only {
            true => ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadata".to_owned()),
            false => (
                K::Resource::api_version(resource).into_owned(),
                K::Resource::kind(resource).into_owned(),
            ),
        };
        let beginnings = [
            format!(r#"{{"kind":"{kind}","apiVersion":"{api_version}","#),
            format!(r#"{{"apiVersion":"{api_version}","kind":"{kind}","#),
        ];
        let expected = Expected { api_version, kind, beginnings, metadata_only };
        Self { expected, prune: false, report: None, interest: None }
    }

    pub(super) fn metadata_only(&self) -> bool {
        self.expected.metadata_only
    }

    /// What a list of this type says of its items'.
    pub(super) fn implied(&self, api_version: Option<&str>, kind: Option<&str>) -> Implied {
        let kind = kind.and_then(|kind| kind.strip_suffix("List")).filter(|kind| !kind.is_empty());
        let (Some(api_version), Some(kind)) = (api_version, kind) else { return Implied::Nothing };
        match (api_version, kind) == (&*self.expected.api_version, &*self.expected.kind) {
            true => Implied::Expected,
            false => Implied::Other(format!("{api_version} {kind}")),
        }
    }

    /// Reads an item of a list; `None` for one that nobody wants.
    pub(super) fn item(
        &self,
        raw: &str,
        implied: &Implied,
        interest: Option<&Interest<K>>,
    ) -> Option<Item<K>> {
        if let Some(interest) = interest
            && let Some(meta) = self.leading_metadata(raw)
            && let Some(key) = meta.key()
        {
            if !interest.wants(key) {
                return None;
            }
            if let Some(version) = &meta.resource_version
                && let Some(object) = interest.held(key, meta.uid.as_deref(), version)
            {
                return Some(Item::Held(object));
            }
        }
        let wrong_type = match implied {
            Implied::Expected if raw.starts_with(UNTYPED) => None,
            Implied::Expected | Implied::Nothing => self.expected.wrong_type(raw, None),
            Implied::Other(found) => self.expected.wrong_type(raw, Some(found)),
        };
        Some(match self.decode(raw, wrong_type, false) {
            Ok(object) => Item::Object(object),
            Err(bad) => Item::Undecodable(*bad),
        })
    }

    /// The metadata, if it comes first but for the right type: that is what servers write, and makes
    /// it cheap to read before the rest, or instead of it.
    fn leading_metadata<'a>(&self, raw: &'a str) -> Option<HeaderMeta<'a>> {
        let [first, second] = &self.expected.beginnings;
        let rest = raw.strip_prefix(first.as_str()).or_else(|| raw.strip_prefix(second.as_str()));
        let rest = rest.or_else(|| raw.strip_prefix('{'))?.strip_prefix(r#""metadata":"#)?;
        HeaderMeta::deserialize(&mut serde_json::Deserializer::from_str(rest)).ok()
    }

    /// What an event amounts to that is about a key which nobody here wants: its version.
    fn unwanted(&self, raw: &str) -> Option<WatchEvent<K>> {
        let interest = self.interest.as_ref().filter(|interest| interest.is_sharded())?;
        let meta = self.leading_metadata(raw)?;
        if interest.wants(meta.key()?) {
            return None;
        }
        Some(WatchEvent::Bookmark(ResourceVersion::from(&**meta.resource_version.as_ref()?)))
    }

    fn decode(
        &self,
        raw: &str,
        wrong_type: Option<String>,
        deleted: bool,
    ) -> Result<Arc<K>, Box<Undecodable>> {
        if let Some(error) = wrong_type {
            return Err(Box::new(header(raw).undecodable(error, raw, deleted)));
        }
        match K::decode(raw, self.report.as_ref()) {
            Ok(mut object) => {
                if self.prune {
                    object.prune_managed_fields();
                }
                Ok(Arc::new(object))
            }
            Err(error) => Err(Box::new(header(raw).undecodable(error.to_string(), raw, deleted))),
        }
    }

    /// Reads one line of a watch.
    pub(super) fn event(&self, line: &[u8]) -> Result<WatchEvent<K>, SourceError> {
        // Validating the line once and decoding text is cheaper than decoding bytes, which
        // validates string by string.
        let text = std::str::from_utf8(line)
            .map_err(|error| SourceError::Protocol(format!("an event is not UTF-8: {error}")))?;
        if let Some(event) = self.plain_event(text) {
            return Ok(event);
        }
        let envelope: Envelope<'_> = match serde_json::from_str(text) {
            Ok(envelope) => envelope,
            Err(error) => {
                return match serde_json::from_str::<Status>(text) {
                    Ok(status) if status.is_failure() => Err(status.into()),
                    _ => Err(SourceError::Protocol(format!("this is not an event: {error}"))),
                };
            }
        };
        let raw = envelope.object.get();
        let event = match &*envelope.event_type {
            "ADDED" => WatchEvent::Added,
            "MODIFIED" => WatchEvent::Modified,
            "DELETED" => WatchEvent::Deleted,
            "BOOKMARK" => return bookmark(raw),
            "ERROR" => {
                let status: Status = serde_json::from_str(raw)
                    .map_err(|error| SourceError::Protocol(format!("bad error event: {error}")))?;
                return Err(status.into());
            }
            other => return Ok(WatchEvent::Unknown { event_type: other.to_owned() }),
        };
        let wrong_type = self.expected.wrong_type(raw, None);
        Ok(match self.decode(raw, wrong_type, &*envelope.event_type == "DELETED") {
            Ok(object) => event(object),
            Err(bad) => WatchEvent::Undecodable(*bad),
        })
    }

    /// An event of an object, written as servers write it and all in order: what is not is left to
    /// who reads the envelope first, and then the object, at the price of a second pass.
    ///
    /// Were the object not all there is after its name, it would not decode.
    fn plain_event(&self, text: &str) -> Option<WatchEvent<K>> {
        let (event_type, rest) = text.strip_prefix(r#"{"type":""#)?.split_once('"')?;
        let event = match event_type {
            "ADDED" => WatchEvent::Added,
            "MODIFIED" => WatchEvent::Modified,
            "DELETED" => WatchEvent::Deleted,
            _ => return None,
        };
        let raw = rest.strip_prefix(r#","object":"#)?.strip_suffix('}')?;
        if !self.expected.is_plain(raw) {
            return None;
        }
        self.unwanted(raw).or_else(|| self.decode(raw, None, false).ok().map(event))
    }
}

impl Expected {
    /// Whether the object begins with its type, and that is the right one.
    fn is_plain(&self, raw: &str) -> bool {
        self.beginnings.iter().any(|beginning| raw.starts_with(beginning.as_str()))
    }

    /// What is wrong with the type that the object says it is of, or that its list says it is of, if
    /// that is another one than expected.
    fn wrong_type(&self, raw: &str, implied: Option<&str>) -> Option<String> {
        if self.is_plain(raw) {
            return None;
        }
        let header = header(raw);
        let wrong = |found: &str| {
            Some(format!("expected {} {}, found {found}", self.api_version, self.kind))
        };
        if let (Some(implied), None) = (implied, &header.kind) {
            return wrong(implied);
        }
        let differs = |found: &Option<Text<'_>>, expected: &str| {
            found.as_ref().is_some_and(|found| !found.is_empty() && **found != *expected)
        };
        if !differs(&header.kind, &self.kind) && !differs(&header.api_version, &self.api_version) {
            return None;
        }
        let [version, kind] =
            [&header.api_version, &header.kind].map(|found| found.as_deref().unwrap_or("?"));
        wrong(&format!("{version} {kind}"))
    }
}

/// The header as far as it can be read.
fn header(raw: &str) -> Header<'_> {
    serde_json::from_str(raw).unwrap_or_default()
}

fn bookmark<K>(raw: &str) -> Result<WatchEvent<K>, SourceError> {
    let bookmark: Bookmark = serde_json::from_str(raw)
        .map_err(|error| SourceError::Protocol(format!("bad bookmark: {error}")))?;
    let metadata = bookmark.metadata;
    let Some(version) = metadata.resource_version else {
        return Err(SourceError::Protocol("bookmark without a version".to_owned()));
    };
    let end = metadata.annotations.is_some_and(|notes| {
        notes.get("k8s.io/initial-events-end").is_some_and(|end| end == "true")
    });
    Ok(match end {
        true => WatchEvent::InitialEventsEnd(version.into()),
        false => WatchEvent::Bookmark(version.into()),
    })
}
