//! Text into objects and events. What does not decode is told by key, and the stream goes on.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use kube::core::Resource;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::reflector::{Item, Report, SourceError, Undecodable, WatchEvent};
use crate::{Key, Object, ResourceVersion, Status};

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
        serde_json::from_str(json)
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
    resource_version: Option<Text<'a>>,
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
#[derive(Clone, Debug)]
pub(super) struct Decoder {
    expected: Arc<Expected>,
    pub(super) prune: bool,
    pub(super) report: Option<Report>,
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

impl Decoder {
    pub(super) fn new<K: Decode>(resource: &<K::Resource as Resource>::DynamicType) -> Self {
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
        let expected = Arc::new(Expected { api_version, kind, beginnings, metadata_only });
        Self { expected, prune: false, report: None }
    }

    pub(super) fn metadata_only(&self) -> bool {
        self.expected.metadata_only
    }

    pub(super) fn object<K: Decode>(&self, raw: &str) -> Item<K> {
        match self.decode(raw, false) {
            Ok(object) => Item::Object(object),
            Err(bad) => Item::Undecodable(*bad),
        }
    }

    fn decode<K: Decode>(&self, raw: &str, deleted: bool) -> Result<Arc<K>, Box<Undecodable>> {
        if let Some(found) = self.expected.other_type(raw) {
            let error = format!(
                "expected {} {}, found {found}",
                self.expected.api_version, self.expected.kind
            );
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
    pub(super) fn event<K: Decode>(&self, line: &[u8]) -> Result<WatchEvent<K>, SourceError> {
        // Validating the line once and decoding text is cheaper than decoding bytes, which
        // validates string by string.
        let text = std::str::from_utf8(line)
            .map_err(|error| SourceError::Protocol(format!("an event is not UTF-8: {error}")))?;
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
        Ok(match self.decode(raw, &*envelope.event_type == "DELETED") {
            Ok(object) => event(object),
            Err(bad) => WatchEvent::Undecodable(*bad),
        })
    }
}

impl Expected {
    /// What the object says it is, if that is something else.
    fn other_type(&self, raw: &str) -> Option<String> {
        if self.beginnings.iter().any(|beginning| raw.starts_with(beginning.as_str())) {
            return None;
        }
        let header = header(raw);
        // Items of a typed list leave out what the list's own kind already says.
        let differs = |found: &Option<Text<'_>>, expected: &str| {
            found.as_ref().is_some_and(|found| !found.is_empty() && **found != *expected)
        };
        if !differs(&header.kind, &self.kind) && !differs(&header.api_version, &self.api_version) {
            return None;
        }
        let [version, kind] =
            [&header.api_version, &header.kind].map(|found| found.as_deref().unwrap_or("?"));
        Some(format!("{version} {kind}"))
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
