//! Decoding text into objects and events; what does not decode is reported by key.

mod protobuf;

use std::any::TypeId;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use kube::core::Resource;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::encoded::Form;
use super::header::{self, Envelope, Header, List, Metadata, non_empty, range_of};
use super::mend::{Mended, NO_TEXT};
use super::protobuf::{Message, Type, beginning, find};
use super::{DecodeError, Encoded, unexpected};
use crate::Object;
use crate::panic::catch_as_sentence;
use crate::reflector::{Interest, Item, Report, SourceError, Undecodable, WatchEvent};

/// A form in which a Kubernetes object is kept: implemented by every `kube` resource that can be
/// deserialized, and by [`Lazy`](super::Lazy).
///
/// A form of one's own, made of what the program needs:
///
/// ```
/// use k8s_openapi::api::core::v1::Pod;
/// use serde::Deserialize;
/// use watchcache::reflector::{Decode, DecodeError, Encoded, Report};
/// use watchcache::{KeyRef, Object};
///
/// /// A Pod's address, to be watched by `KubeSource::<Address>`.
/// #[derive(Deserialize)]
/// struct Address { metadata: Metadata, status: Status }
///
/// #[derive(Deserialize)]
/// #[serde(rename_all = "camelCase")]
/// struct Metadata { namespace: String, name: String, uid: String, resource_version: String }
///
/// #[derive(Deserialize)]
/// #[serde(rename_all = "camelCase")]
/// struct Status { #[serde(rename = "podIP")] pod_ip: Option<String> }
///
/// impl Object for Address {
///     fn key(&self) -> KeyRef<'_> { (&*self.metadata.namespace, &*self.metadata.name).into() }
///     fn uid(&self) -> Option<&str> { Some(&self.metadata.uid) }
///     fn resource_version(&self) -> Option<&str> { Some(&self.metadata.resource_version) }
/// }
///
/// impl Decode for Address {
///     type Resource = Pod;
///
///     fn decode(encoded: Encoded<'_>, _: Option<&Report>) -> Result<Self, DecodeError> {
///         encoded.decode()
///     }
/// }
///
/// let json = r#"{
///     "metadata": {"namespace": "default", "name": "web", "uid": "u-1", "resourceVersion": "7"},
///     "status": {"podIP": "10.0.0.7"}
/// }"#;
/// let address = Address::decode(Encoded::from_json(json), None)?;
/// assert_eq!(address.status.pod_ip.as_deref(), Some("10.0.0.7"));
/// # Ok::<(), DecodeError>(())
/// ```
pub trait Decode: Object + Sized {
    /// The resource that is asked for.
    type Resource: Resource;

    /// Makes the object of what the server wrote. What turns out later to be wrong with it can be
    /// reported.
    ///
    /// # Errors
    /// With what is wrong, if it is not such an object.
    fn decode(encoded: Encoded<'_>, report: Option<&Report>) -> Result<Self, DecodeError>;

    /// Whether it is made of protobuf in less time than another thread takes to begin with it.
    #[doc(hidden)]
    #[must_use]
    fn is_made_at_once() -> bool {
        false
    }
}

impl<K> Decode for K
where
    K: Resource + DeserializeOwned + Send + Sync + 'static,
{
    type Resource = K;

    fn decode(encoded: Encoded<'_>, _: Option<&Report>) -> Result<Self, DecodeError> {
        encoded.decode()
    }
}

/// How the objects of one source decode.
#[derive(Debug)]
pub(super) struct Decoder<K> {
    expected: Expected,
    /// What an object is in protobuf, if that is known.
    schema: Option<&'static Message>,
    pub(super) managed_fields: bool,
    pub(super) report: Option<Report>,
    pub(super) interest: Option<Interest<K>>,
}

/// The type that every object must be of.
#[derive(Debug)]
struct Expected {
    api_version: String,
    kind: String,
    /// The kind of a list of them.
    list_kind: String,
    /// How a server begins an object that says its type.
    beginnings: [String; 2],
    /// The same in protobuf.
    message_begins: Vec<u8>,
    metadata_only: bool,
}

/// How an object begins that leaves its type to the list it is an item of.
const UNTYPED: &str = r#"{"metadata":{"#;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Bookmark {
    metadata: Option<BookmarkMeta>,
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
        let list_kind = format!("{kind}List");
        let schema = find(&api_version, &kind);
        let message_begins = beginning(Type { api_version: &api_version, kind: &kind });
        let expected =
            Expected { api_version, kind, list_kind, beginnings, message_begins, metadata_only };
        Self { expected, schema, managed_fields: false, report: None, interest: None }
    }

    pub(super) fn metadata_only(&self) -> bool {
        self.expected.metadata_only
    }

    /// Whether all that objects hold can be decoded from protobuf. Whoever learns at run time what a
    /// resource is keeps whatever comes, also what is newer than the schema; JSON names it.
    pub(super) fn is_known_in_protobuf(&self) -> bool {
        let at_run_time =
            TypeId::of::<<K::Resource as Resource>::DynamicType>() != TypeId::of::<()>();
        self.schema.is_some() && (self.metadata_only() || !at_run_time)
    }

    pub(super) fn set_list_kind(&mut self, kind: String) {
        self.expected.list_kind = kind;
    }

    /// What is asked of a list.
    pub(super) fn list_kind(&self) -> &str {
        &self.expected.list_kind
    }

    /// Whether a list that says it is of this type is one of objects of the expected type.
    pub(super) fn is_own_type(&self, api_version: Option<&str>, kind: Option<&str>) -> bool {
        kind == Some(self.list_kind())
            && api_version.is_none_or(|version| version == self.expected.api_version)
    }

    /// Whether a list is one of objects of the expected type: by its own type or, where that says
    /// something else, by an item that says it is of that type.
    pub(super) fn is_own(&self, list: &List<'_>) -> bool {
        let version = non_empty(list.api_version.as_ref());
        self.is_own_type(version, list.kind.as_deref())
            || list.items.iter().flatten().any(|item| {
                let Header { api_version, kind, .. } = Header::of(item.get());
                kind.as_deref() == Some(&*self.expected.kind)
                    && api_version.as_deref() == Some(&*self.expected.api_version)
            })
    }

    /// Reads an item of a list of the expected type; `None` for one that nobody wants. A `fault` is
    /// what is known to be wrong with it.
    pub(super) fn item(
        &self,
        raw: &str,
        fault: Option<&str>,
        interest: Option<&Interest<K>>,
    ) -> Option<Item<K>> {
        if let Some(interest) = interest
            && let Some(meta) = self.leading_metadata(raw)
            && let Some(key) = meta.key()
        {
            if !interest.wants(key) {
                return None;
            }
            if let Some(version) = non_empty(meta.resource_version.as_ref())
                && let Some(object) = interest.held(key, meta.uid.as_deref(), version)
            {
                return Some(Item::Held(object));
            }
        }
        let fault = fault.map(str::to_owned).or_else(|| match raw.starts_with(UNTYPED) {
            true => None,
            false => self.expected.wrong_type(raw),
        });
        Some(match self.decode(raw, fault, false) {
            Ok(object) => Item::Object(object),
            Err(bad) => Item::Undecodable(*bad),
        })
    }

    /// The metadata, if it comes first but for the right type: that is what servers write, and makes
    /// it cheap to read before the rest, or instead of it.
    fn leading_metadata<'a>(&self, raw: &'a str) -> Option<Metadata<'a>> {
        let [first, second] = &self.expected.beginnings;
        let rest = raw.strip_prefix(first.as_str()).or_else(|| raw.strip_prefix(second.as_str()));
        let rest = rest.or_else(|| raw.strip_prefix('{'))?.strip_prefix(r#""metadata":"#)?;
        Metadata::deserialize(&mut serde_json::Deserializer::from_str(rest)).ok()
    }

    /// What an event amounts to that is about a key which nobody here wants: that it is not here, and
    /// its version, of which more may follow. No bookmark: that would say that nothing does.
    fn unwanted(&self, raw: &str) -> Option<WatchEvent<K>> {
        let interest = self.interest.as_ref().filter(|interest| interest.is_sharded())?;
        let meta = self.leading_metadata(raw)?;
        let key = meta.key()?;
        if interest.wants(key) || may_be_several(raw) {
            return None;
        }
        let version = non_empty(meta.resource_version.as_ref())?.into();
        Some(WatchEvent::Gone { key: key.to_key().ok()?, version })
    }

    fn decode(
        &self,
        raw: &str,
        fault: Option<String>,
        deleted: bool,
    ) -> Result<Arc<K>, Box<Undecodable>> {
        let form = Form::Json { text: raw, managed_fields: self.managed_fields };
        self.make(Encoded(form), fault).map_err(|error| {
            let (key, resource_version) = header::of_damaged(raw);
            let raw = Some(raw.into());
            Box::new(Undecodable { key, resource_version, error, raw, deleted })
        })
    }

    fn make(&self, encoded: Encoded<'_>, fault: Option<String>) -> Result<Arc<K>, String> {
        if let Some(fault) = fault {
            return Err(fault);
        }
        // A type's own code may panic: a fault of this object, and of no other.
        let decoded = catch_as_sentence(|| K::decode(encoded, self.report.as_ref()))?;
        decoded.map(Arc::new).map_err(|error| error.to_string())
    }

    /// Reads lines of a watch, or frames if there is a schema.
    pub(super) fn parts(
        &self,
        parts: &[Bytes],
        schema: Option<&'static Message>,
    ) -> Vec<Result<WatchEvent<K>, SourceError>> {
        let mut events = Vec::with_capacity(parts.len());
        for part in parts {
            match schema {
                Some(schema) => events.push(self.frame(part, schema)),
                None => self.line(part, &mut events),
            }
        }
        events
    }

    /// Reads a line of a watch: usually one event, but nothing forbids several. What comes after a
    /// failure is left out: a failure is the end of a watch.
    fn line(&self, line: &[u8], events: &mut Vec<Result<WatchEvent<K>, SourceError>>) {
        // Validating the line once and decoding text is cheaper than decoding bytes, which
        // validates string by string.
        let text = std::str::from_utf8(line);
        if let Ok(text) = text
            && let Some(event) = self.plain_event(text)
        {
            events.push(Ok(event));
            return;
        }
        let first = events.len();
        if let Ok(text) = text {
            self.events(&Mended::unchanged(text), events);
            if events[first..].iter().all(Result::is_ok) {
                return;
            }
        }
        let mended = Mended::of(line);
        if mended.replaced() > 0 {
            events.truncate(first);
            self.events(&mended, events);
        }
    }

    fn events(&self, line: &Mended<'_>, events: &mut Vec<Result<WatchEvent<K>, SourceError>>) {
        let text = &*line.text;
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Envelope<'_>>();
        let mut start = 0;
        while let Some(value) = values.next() {
            let event = match value {
                Ok(Envelope { event_type: Some(event_type), object: Some(object) }) => {
                    self.event(&event_type, object.get(), line)
                }
                _ => Err(unexpected::failure(text.get(start..).unwrap_or_default(), "an event")),
            };
            start = values.byte_offset();
            let failed = event.is_err();
            events.push(event);
            if failed {
                return;
            }
        }
    }

    fn event(
        &self,
        event_type: &str,
        raw: &str,
        line: &Mended<'_>,
    ) -> Result<WatchEvent<K>, SourceError> {
        let event = match event_type {
            "ADDED" => WatchEvent::Added,
            "MODIFIED" => WatchEvent::Modified,
            "DELETED" => WatchEvent::Deleted,
            "BOOKMARK" => return told_by(serde_json::from_str(raw)),
            "ERROR" => return Err(unexpected::failure(raw, "a Status in an error event")),
            other => return Ok(WatchEvent::Unknown { event_type: other.to_owned() }),
        };
        let fault = match line.replaced_in(&range_of(raw, &line.text)) {
            0 => self.expected.wrong_type(raw),
            _ => Some(NO_TEXT.to_owned()),
        };
        Ok(match self.decode(raw, fault, event_type == "DELETED") {
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
    fn in_protobuf(&self) -> Type<'_> {
        Type { api_version: &self.api_version, kind: &self.kind }
    }

    /// Whether the object begins with its type, and that is the right one.
    fn is_plain(&self, raw: &str) -> bool {
        self.beginnings.iter().any(|beginning| raw.starts_with(beginning.as_str()))
    }

    /// What is wrong with the type that the object says it is of, if that is another one.
    fn wrong_type(&self, raw: &str) -> Option<String> {
        if self.is_plain(raw) {
            return None;
        }
        let header = Header::of(raw);
        let [version, kind] =
            [&header.api_version, &header.kind].map(|found| non_empty(found.as_ref()));
        self.differs_from(version, kind)
    }

    /// What is wrong with a type, if it is another one.
    fn differs_from(&self, version: Option<&str>, kind: Option<&str>) -> Option<String> {
        let differs = |found: Option<&str>, expected: &str| found.is_some_and(|it| it != expected);
        if !differs(kind, &self.kind) && !differs(version, &self.api_version) {
            return None;
        }
        let [version, kind] = [version, kind].map(|found| unexpected::quoted(found.unwrap_or("?")));
        Some(format!("expected {} {}, found {version} {kind}", self.api_version, self.kind))
    }
}

/// Whether another value may begin within the text: within one, no brace opens after one that
/// closed but for a comma between them. (In a string they may, so it need not be so.)
fn may_be_several(raw: &str) -> bool {
    let bytes = raw.as_bytes();
    memchr::memchr_iter(b'{', bytes).any(|at| bytes[..at].trim_ascii_end().ends_with(b"}"))
}

/// What a bookmark tells.
fn told_by<K>(bookmark: Result<Bookmark, impl Display>) -> Result<WatchEvent<K>, SourceError> {
    let bookmark =
        bookmark.map_err(|error| SourceError::Protocol(format!("bad bookmark: {error}")))?;
    let BookmarkMeta { resource_version, annotations } = bookmark.metadata.unwrap_or_default();
    let ends_list = annotations.is_some_and(|notes| {
        notes.get("k8s.io/initial-events-end").is_some_and(|end| end == "true")
    });
    let version = resource_version.filter(|version| !version.is_empty());
    match (version, ends_list) {
        (Some(version), true) if version != "0" => Ok(WatchEvent::InitialEventsEnd(version.into())),
        (Some(version), false) => Ok(WatchEvent::Bookmark(version.into())),
        (_, true) => {
            let message = "the streaming list ends at no resource version";
            Err(SourceError::Protocol(message.to_owned()))
        }
        // It says nothing about anything; it is counted, and that is all.
        (None, false) => {
            Ok(WatchEvent::Unknown { event_type: "BOOKMARK without a resource version".to_owned() })
        }
    }
}
