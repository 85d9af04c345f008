//! An object as it came, decoded on first use.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use kube::core::Resource;
use serde::de::{DeserializeOwned, Error as _};

use super::encoded::Form;
use super::header::{Header, Text};
use super::protobuf::{self, Message, Object as Wire, Type};
use super::{Decode, DecodeError, Encoded, managed, typed};
use crate::panic::catch_as_sentence;
use crate::reflector::{Report, Undecodable};
use crate::{Key, KeyRef, Object, ResourceVersion};

/// An object as the server wrote it, with its key, uid, version and labels at hand, and the rest
/// decoded to `K` when it is first asked for.
///
/// Until then it takes about as much memory as the object took on the wire, where a typed Pod takes
/// several times that, and a fraction of the time to receive. Choose it by the source's type parameter:
///
/// ```no_run
/// use std::sync::Arc;
/// use k8s_openapi::api::core::v1::Pod;
/// use watchcache::reflector::{KubeSource, Lazy, Reflector};
/// use watchcache::Store;
///
/// # let _ = async {
/// # let client = kube::Client::try_default().await?;
/// let store = Arc::new(Store::new());
/// let source = KubeSource::<Lazy<Pod>>::all(client);
/// let reflector = Reflector::builder(source).sink(store.clone()).build();
/// tokio::spawn(reflector.run(std::future::pending()));
/// if let Some(pod) = store.get("default/web-0") {
///     assert_eq!(pod.label("app"), Some("web"));
///     println!("{:?}", pod.get()?.spec);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # };
/// ```
pub struct Lazy<K> {
    content: Content,
    key: Key,
    uid: Option<Span>,
    resource_version: Option<Span>,
    labels: Labels,
    typed: OnceLock<Result<Box<K>, LazyError>>,
    report: Option<Report>,
}

/// An object as it came.
enum Content {
    /// JSON of so many bytes, and behind it those strings of the metadata that are written with escapes
    /// there.
    Json(Box<str>, usize),
    /// The message of this schema, and whether it said its type.
    Protobuf(Box<[u8]>, &'static Message, bool),
}

/// Where the labels are, ordered by name.
enum Labels {
    /// In protobuf, as Kubernetes writes them: in order, and each once.
    InOrder(Span),
    Each(Box<[(Span, Span)]>),
}

/// Why a lazily decoded object could not be decoded.
///
/// ```
/// use k8s_openapi::api::core::v1::Pod;
/// use watchcache::Object;
/// use watchcache::reflector::{Decode, Encoded, Lazy};
///
/// let json = r#"{"metadata": {"namespace": "a", "name": "web"}, "spec": {"containers": 7}}"#;
/// let pod = Lazy::<Pod>::decode(Encoded::from_json(json), None)?;
/// // What is odd about it is seen by whoever asks for the rest.
/// assert_eq!(pod.key().to_string(), "a/web");
/// let error = pod.get().expect_err("seven is no list");
/// assert!(error.to_string().contains("invalid type: integer `7`"));
/// # Ok::<(), watchcache::reflector::DecodeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LazyError(Box<str>);

impl<K: DeserializeOwned> Lazy<K> {
    /// The object, decoded once, by whoever asks first; others that ask meanwhile wait for it.
    ///
    /// # Errors
    /// If the text is not of such an object, or is nested deeper than 127 levels in what the type
    /// reads (as `serde_json` limits it, so that content cannot overflow the stack). While it is the
    /// newest version of its key it is then listed as quarantined by the reflector's
    /// [`Monitor`](crate::reflector::Monitor), too.
    pub fn get(&self) -> Result<&K, LazyError> {
        let typed = self.typed.get_or_init(|| {
            catch_as_sentence(|| self.content.decode())
                .and_then(|decoded| decoded.map_err(|error| error.to_string()))
                .map(Box::new)
                .map_err(|error| self.failed(error))
        });
        match typed {
            Ok(object) => Ok(object),
            Err(error) => Err(error.clone()),
        }
    }
}

impl<K> Lazy<K> {
    /// The object's JSON: as the server wrote it, but for managed fields, or made of the protobuf that
    /// it wrote, but for what is newer than this crate
    /// ([`KubeSource::json_only`](super::KubeSource::json_only)).
    ///
    /// # Errors
    /// If it came in protobuf that does not read.
    pub fn json(&self) -> Result<Cow<'_, str>, LazyError> {
        match &self.content {
            Content::Json(..) => Ok(self.content.json().into()),
            Content::Protobuf(..) => match self.content.decode::<serde_json::Value>() {
                Ok(json) => Ok(json.to_string().into()),
                Err(error) => Err(LazyError(error.to_string().into())),
            },
        }
    }

    /// The value of a label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels().find_map(|(label, value)| (label == name).then_some(value))
    }

    /// The labels, ordered by name.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let (in_order, each) = match &self.labels {
            Labels::InOrder(fields) => (self.content.message(*fields), &[][..]),
            Labels::Each(labels) => (&[][..], &**labels),
        };
        let each =
            each.iter().map(|(name, value)| (self.content.part(*name), self.content.part(*value)));
        // They were found to read.
        protobuf::labels(in_order).map_while(Result::ok).chain(each)
    }

    /// Whether it was decoded, or tried to.
    #[must_use]
    pub fn is_decoded(&self) -> bool {
        self.typed.get().is_some()
    }

    fn failed(&self, error: String) -> LazyError {
        if let Some(report) = &self.report {
            let version = self.resource_version.map(|span| self.content.part(span));
            report.undecodable(Undecodable {
                key: Some(self.key.clone()),
                resource_version: version.map(ResourceVersion::from),
                error: error.clone(),
                raw: self.content.told(),
                deleted: false,
            });
        }
        LazyError(error.into())
    }

    fn parse(encoded: Encoded<'_>, report: Option<&Report>) -> Result<Self, DecodeError> {
        Ok(match encoded.0 {
            Form::Json { text, managed_fields } => Self::of_json(text, managed_fields, report)?,
            Form::Protobuf(object) => Self::of_protobuf(object, report)?,
        })
    }

    fn of_protobuf(object: Wire<'_>, report: Option<&Report>) -> Result<Self, protobuf::Error> {
        let Wire { of, schema, message, managed_fields } = object;
        let header = protobuf::Header::of(message)?;
        let kept = match managed_fields {
            true => message.into(),
            false => header.without_managed_fields(message),
        };
        // Where it lies in what is kept.
        let span = |part: &[u8]| {
            let found = Span::within(message, part);
            let kept = found.and_then(|span| match managed_fields || part.is_empty() {
                true => Some(span),
                false => {
                    Span::new(header.without_managed_fields_at(span.range().start), part.len())
                }
            });
            kept.ok_or_else(|| protobuf::Error::custom(TOO_LARGE))
        };
        let fields = header.labels();
        let mut last = None;
        let mut in_order = true;
        for label in protobuf::labels(fields) {
            let (name, _) = label?;
            in_order &= last.replace(name).is_none_or(|last| last < name);
        }
        let labels = if in_order {
            Labels::InOrder(span(fields)?)
        } else {
            let ordered = protobuf::labels(fields).collect::<Result<BTreeMap<_, _>, _>>()?;
            let each = ordered.into_iter();
            let each =
                each.map(|(name, value)| Ok((span(name.as_bytes())?, span(value.as_bytes())?)));
            Labels::Each(each.collect::<Result<_, protobuf::Error>>()?)
        };
        let span = |text: &str| span(text.as_bytes());
        Ok(Self {
            key: header.key().to_key().map_err(protobuf::Error::custom)?,
            uid: header.uid().map(span).transpose()?,
            resource_version: header.resource_version().map(span).transpose()?,
            labels,
            typed: OnceLock::new(),
            report: report.cloned(),
            content: Content::Protobuf(kept, schema, of.is_some()),
        })
    }

    fn of_json(
        json: &str,
        managed_fields: bool,
        report: Option<&Report>,
    ) -> Result<Self, serde_json::Error> {
        let meta = serde_json::from_str::<Header<'_>>(json)?.metadata.unwrap_or_default();
        let key = Key::new(meta.namespace.as_deref(), meta.name.as_deref().unwrap_or_default())
            .map_err(serde_json::Error::custom)?;
        let labels: BTreeMap<Text<'_>, Text<'_>> = match meta.labels {
            Some(labels) => serde_json::from_str(labels.get())?,
            None => BTreeMap::new(),
        };
        let cut = if managed_fields { Vec::new() } else { managed::places(&meta, json) };
        let mut text = managed::cut(json, &cut);
        let json_len = text.len();
        let mut span = |part: &str| {
            let found = Span::within(json.as_bytes(), part.as_bytes());
            // What is written with escapes is no part of the text as it stands.
            found.and_then(|span| span.moved(&cut)).or_else(|| {
                text.push_str(part);
                Span::new(text.len() - part.len(), part.len())
            })
        };
        let mut spans = || {
            let [uid, version] = [&meta.uid, &meta.resource_version].map(|part| {
                part.as_deref().map(&mut span).map_or(Some(None), |span| Some(Some(span?)))
            });
            let labels = labels.iter().map(|(name, value)| Some((span(name)?, span(value)?)));
            Some((uid?, version?, labels.collect::<Option<Box<[_]>>>()?))
        };
        let (uid, resource_version, labels) =
            spans().ok_or_else(|| serde_json::Error::custom(TOO_LARGE))?;
        Ok(Self {
            content: Content::Json(text.into(), json_len),
            key,
            uid,
            resource_version,
            labels: Labels::Each(labels),
            typed: OnceLock::new(),
            report: report.cloned(),
        })
    }
}

impl<K> Object for Lazy<K>
where
    K: Send + Sync + 'static,
{
    fn key(&self) -> KeyRef<'_> {
        self.key.as_ref()
    }

    fn uid(&self) -> Option<&str> {
        self.uid.map(|span| self.content.part(span))
    }

    fn resource_version(&self) -> Option<&str> {
        self.resource_version.map(|span| self.content.part(span))
    }

    fn label(&self, name: &str) -> Option<&str> {
        Self::label(self, name)
    }

    /// What came, and what was read of it; not the typed form, so that the size of an object stays
    /// the same whoever decodes it.
    fn size(&self) -> usize {
        let labels = match &self.labels {
            Labels::InOrder(_) => 0,
            Labels::Each(labels) => size_of_val(&**labels),
        };
        size_of::<Self>() + self.content.bytes() + labels + self.key.as_str().len()
    }
}

impl<K> Decode for Lazy<K>
where
    K: Resource + DeserializeOwned + Send + Sync + 'static,
{
    type Resource = K;

    fn decode(encoded: Encoded<'_>, report: Option<&Report>) -> Result<Self, DecodeError> {
        Self::parse(encoded, report)
    }

    fn is_made_at_once() -> bool {
        true
    }
}

impl<K> fmt::Debug for Lazy<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lazy")
            .field("key", &self.key)
            .field("bytes", &self.content.bytes())
            .field("decoded", &self.is_decoded())
            .finish_non_exhaustive()
    }
}

const TOO_LARGE: &str = "it is larger than 4 GiB";

impl Content {
    fn json(&self) -> &str {
        match self {
            // It was made as the beginning of this text.
            Self::Json(text, len) => text.get(..*len).unwrap_or_default(),
            Self::Protobuf(..) => "",
        }
    }

    fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        Ok(match self.wire() {
            Some(object) => object.decode()?,
            None => typed::from_str(self.json(), true)?,
        })
    }

    /// The JSON of it, for a report of what is wrong.
    fn told(&self) -> Option<Arc<str>> {
        match self.wire() {
            Some(object) => object.told(),
            None => Some(self.json().into()),
        }
    }

    fn wire(&self) -> Option<Wire<'_>> {
        let &Self::Protobuf(ref message, schema, typed) = self else { return None };
        // What it said is what the schema is of, or it would not be here.
        let of = if typed { Type::of(schema) } else { None };
        Some(Wire { of, schema, message, managed_fields: true })
    }

    /// A part that was found to be text.
    fn part(&self, span: Span) -> &str {
        match self {
            Self::Json(text, _) => text.get(span.range()).unwrap_or_default(),
            Self::Protobuf(..) => std::str::from_utf8(self.message(span)).unwrap_or_default(),
        }
    }

    /// A part of the message.
    fn message(&self, span: Span) -> &[u8] {
        match self {
            Self::Json(..) => &[],
            Self::Protobuf(message, ..) => message.get(span.range()).unwrap_or_default(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Json(text, _) => text.len(),
            Self::Protobuf(message, ..) => message.len(),
        }
    }
}

/// A part of an object as it came.
#[derive(Clone, Copy)]
struct Span {
    start: u32,
    len: u32,
}

impl Span {
    fn new(start: usize, len: usize) -> Option<Self> {
        Some(Self { start: start.try_into().ok()?, len: len.try_into().ok()? })
    }

    /// `None` if `part` does not lie in `whole`.
    fn within(whole: &[u8], part: &[u8]) -> Option<Self> {
        if part.is_empty() {
            return Self::new(0, 0);
        }
        let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
        whole.get(start..start.checked_add(part.len())?)?;
        Self::new(start, part.len())
    }

    /// The same part of the text without what lay in these places.
    fn moved(self, cut: &[Range<usize>]) -> Option<Self> {
        let start = self.start as usize;
        let before = cut.iter().filter(|place| place.end <= start);
        let gone: usize = before.map(ExactSizeIterator::len).sum();
        Self::new(start - gone, self.len as usize)
    }

    fn range(self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.len as usize
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;
    use crate::reflector::kube::protobuf::tests::field;

    fn lazy<K>(json: &str) -> Lazy<K> {
        Lazy::parse(Encoded::from_json(json), None).expect("an object")
    }

    #[test]
    fn escapes_in_the_metadata_leave_the_text_as_it_is() {
        let deep = "[".repeat(500) + &"]".repeat(500);
        let json = format!(
            r#"{{"metadata":{{"name":"a","uid":"u\u0031","resourceVersion":"\u0037",
                 "labels":{{"app\u002fname":"w\u0065b","tier":"x"}}}},
                 "large":123456789012345678901234567890,"deep":{deep}}}"#
        );
        let object = lazy::<Value>(&json);
        assert_eq!(object.json().expect("JSON"), json);
        assert_eq!((object.uid(), object.resource_version()), (Some("u1"), Some("7")));
        assert_eq!(object.labels().collect::<Vec<_>>(), [("app/name", "web"), ("tier", "x")]);
        assert_eq!(Object::label(&object, "app/name"), Some("web"));
        assert!(object.size() > json.len());
    }

    #[test]
    fn a_label_without_a_value_is_as_bad_as_it_is_to_the_typed_form() {
        assert!(
            Lazy::<Value>::parse(
                Encoded::from_json(r#"{"metadata":{"name":"a","labels":{"b":null}}}"#),
                None
            )
            .is_err()
        );
        assert!(
            lazy::<Value>(r#"{"metadata":{"name":"a","labels":null}}"#).labels().next().is_none()
        );
    }

    #[test]
    fn what_lies_behind_managed_fields_is_found_where_it_is_without_them() {
        let json = r#"{"metadata":{"uid":"u","managedFields":[{"manager":"x"}],"name":"a",
            "resourceVersion":"\u0037","labels":{"app":"w\u0065b","tier":"x"}},"spec":1}"#;
        let encoded = Encoded(Form::Json { text: json, managed_fields: false });
        let object = Lazy::<Value>::parse(encoded, None).expect("an object");
        let without = json.replace(r#","managedFields":[{"manager":"x"}]"#, "");
        assert_eq!(object.json().expect("JSON"), without);
        assert_eq!((object.uid(), object.resource_version()), (Some("u"), Some("7")));
        assert_eq!(object.labels().collect::<Vec<_>>(), [("app", "web"), ("tier", "x")]);
    }

    /// Wherever they stand, and however much shorter what is left of the metadata is, so that its length is.
    #[test]
    fn in_protobuf_parts_are_found_where_they_are_without_managed_fields() {
        let label =
            |name: &[u8], value: &[u8]| field(11, &[field(1, name), field(2, value)].concat());
        let labels = [label(b"tier", b"x"), label(b"app", b"web"), label(b"app", b"last")].concat();
        let parts = [field(1, b"a"), field(3, b"b"), field(5, b"u"), field(6, b"7"), labels];
        let schema = protobuf::find("v1", "Pod").expect("known");
        let made = |metadata: &[Vec<u8>], managed_fields| {
            let message =
                [field(9, b"before"), field(1, &metadata.concat()), field(2, b"")].concat();
            let object = Wire { of: None, schema, message: &message, managed_fields };
            Lazy::<Value>::parse(Encoded(Form::Protobuf(object)), None).expect("an object")
        };
        let without = made(&parts, true);
        for (at, len) in (0..=parts.len()).flat_map(|at| [0, 1, 90, 126, 127].map(|len| (at, len)))
        {
            let mut with = parts.to_vec();
            with.insert(at, [field(17, &vec![0; len]), field(17, b"")].concat());
            let object = made(&with, false);
            let told = |object: &Lazy<Value>| {
                let Content::Protobuf(message, ..) = &object.content else { panic!("protobuf") };
                let labels = object.labels().map(|(name, value)| format!("{name}={value}"));
                let texts =
                    [object.uid(), object.resource_version()].map(|text| text.map(str::to_owned));
                (object.key().to_string(), texts, labels.collect::<Vec<_>>(), message.clone())
            };
            assert_eq!(told(&object), told(&without), "{len} bytes at {at}");
            assert_eq!(told(&object).2, ["app=last", "tier=x"]);
        }
    }

    #[test]
    fn of_two_fields_the_last_counts() {
        let json = r#"{"metadata":{"name":"a"},"metadata":{"name":"b","labels":{"x":"1"},"labels":{"x":"2","x":"3"}}}"#;
        let object = lazy::<Value>(json);
        assert_eq!((object.key(), object.label("x")), ("b".into(), Some("3")));
    }

    #[test]
    fn what_is_too_deep_is_an_error_and_no_end_of_the_process() {
        let deep = "[".repeat(9_000) + &"]".repeat(9_000);
        let object = lazy::<Value>(&format!(r#"{{"metadata":{{"name":"a"}},"spec":{deep}}}"#));
        let error = object.get().expect_err("too deep");
        assert!(error.to_string().contains("recursion limit"), "{error}");
    }

    #[test]
    fn a_panic_of_the_types_own_code_is_an_error() {
        struct Picky;
        impl<'de> Deserialize<'de> for Picky {
            fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
                panic!("not this one")
            }
        }
        let object = lazy::<Picky>(r#"{"metadata":{"name":"a"}}"#);
        let error = object.get().map(|_| ()).expect_err("a panic");
        assert!(error.to_string().contains("not this one"), "{error}");
    }
}
