//! An object as its text, decoded on first use.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use kube::core::Resource;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::value::RawValue;

use super::Decode;
use super::decode::Text;
use super::typed;
use crate::reflector::{Report, Undecodable};
use crate::{Key, KeyError, Object, ResourceVersion};

/// An object as the server wrote it, with its key, uid, version and labels at hand, and the rest
/// decoded to `K` when it is first asked for.
///
/// It takes about the object's JSON size of memory until then, where a typed Pod takes six times
/// that, and a fifth of the time to receive. Choose it by the source's type parameter:
///
/// ```no_run
/// use std::sync::Arc;
/// use k8s_openapi::api::core::v1::Pod;
/// use watchcache::reflector::{KubeSource, Lazy, Reflector};
/// use watchcache::Store;
///
/// # let _ = async {
/// let client = kube::Client::try_default().await?;
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
    json: Box<str>,
    key: Key,
    uid: Option<Span>,
    resource_version: Option<Span>,
    labels: Box<[(Span, Span)]>,
    typed: OnceLock<Result<Box<K>, LazyError>>,
    report: Option<Report>,
}

/// Why a lazily decoded object could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LazyError(Box<str>);

impl<K: DeserializeOwned> Lazy<K> {
    /// The object, decoded once, by whoever asks first; others that ask meanwhile wait for it.
    ///
    /// # Errors
    /// If the text is not of such an object. It is then listed as quarantined by the reflector's
    /// [`Monitor`](crate::reflector::Monitor), too.
    pub fn get(&self) -> Result<&K, LazyError> {
        let typed = self.typed.get_or_init(|| {
            typed::from_str(&self.json).map(Box::new).map_err(|error| self.failed(&error))
        });
        match typed {
            Ok(object) => Ok(object),
            Err(error) => Err(error.clone()),
        }
    }
}

impl<K> Lazy<K> {
    /// The object's JSON.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The value of a label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels().find_map(|(label, value)| (label == name).then_some(value))
    }

    /// The labels, ordered by name.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().map(|(name, value)| (name.of(&self.json), value.of(&self.json)))
    }

    /// Whether it was decoded, or tried to.
    #[must_use]
    pub fn is_decoded(&self) -> bool {
        self.typed.get().is_some()
    }

    fn failed(&self, error: &serde_json::Error) -> LazyError {
        let error = error.to_string();
        if let Some(report) = &self.report {
            let version = self.resource_version.map(|span| span.of(&self.json));
            report.undecodable(Undecodable {
                key: Some(self.key.clone()),
                resource_version: version.map(ResourceVersion::from),
                error: error.clone(),
                raw: Some((&*self.json).into()),
                deleted: false,
            });
        }
        LazyError(error.into())
    }

    fn parse(json: &str, report: Option<&Report>) -> Result<Self, serde_json::Error> {
        let header: LazyHeader<'_> = serde_json::from_str(json)?;
        let meta = header.metadata;
        let key = Key::new(meta.namespace.as_deref(), meta.name.as_deref().unwrap_or_default())
            .map_err(serde_json::Error::custom)?;
        let span = |text: &Text<'_>| Span::within(json, text);
        let spans = || {
            let uid = meta.uid.as_ref().map(span);
            let version = meta.resource_version.as_ref().map(span);
            let labels =
                meta.labels.iter().flatten().map(|(name, value)| Some((span(name)?, span(value)?)));
            Some((transpose(uid)?, transpose(version)?, labels.collect::<Option<Box<[_]>>>()?))
        };
        let Some((uid, resource_version, labels)) = spans() else {
            // A string with escapes is no part of the text. Written anew it has none: what these
            // fields may hold needs no escaping.
            let plain = serde_json::from_str::<serde_json::Value>(json)?.to_string();
            if plain == json {
                return Err(serde_json::Error::custom("the metadata holds characters it may not"));
            }
            return Self::parse(&plain, report);
        };
        Ok(Self {
            json: json.into(),
            key,
            uid,
            resource_version,
            labels,
            typed: OnceLock::new(),
            report: report.cloned(),
        })
    }
}

impl<K> Object for Lazy<K>
where
    K: Send + Sync + 'static,
{
    fn key(&self) -> Result<Key, KeyError> {
        Ok(self.key.clone())
    }

    fn uid(&self) -> Option<&str> {
        self.uid.map(|span| span.of(&self.json))
    }

    fn resource_version(&self) -> Option<&str> {
        self.resource_version.map(|span| span.of(&self.json))
    }
}

impl<K> Decode for Lazy<K>
where
    K: Resource + DeserializeOwned + Send + Sync + 'static,
{
    type Resource = K;

    fn decode(json: &str, report: Option<&Report>) -> Result<Self, serde_json::Error> {
        Self::parse(json, report)
    }

    fn prune_managed_fields(&mut self) {
        // Failing to find them leaves them where they are.
        let Some(pruned) = without_managed_fields(&self.json) else { return };
        if let Ok(lazy) = Self::parse(&pruned, self.report.as_ref()) {
            *self = lazy;
        }
    }
}

impl<K> fmt::Debug for Lazy<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lazy")
            .field("key", &self.key)
            .field("bytes", &self.json.len())
            .field("decoded", &self.is_decoded())
            .finish_non_exhaustive()
    }
}

/// A part of an object's text.
#[derive(Clone, Copy)]
struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// `None` if `part` does not lie in `whole`.
    fn within(whole: &str, part: &str) -> Option<Self> {
        let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
        whole.get(start..start.checked_add(part.len())?)?;
        Some(Self { start: start.try_into().ok()?, len: part.len().try_into().ok()? })
    }

    fn of(self, whole: &str) -> &str {
        let start = self.start as usize;
        // It was made from a text of this content.
        whole.get(start..start + self.len as usize).unwrap_or_default()
    }
}

/// `Some(None)` for an absent part, `None` for one that is there but not in the text.
fn transpose(span: Option<Option<Span>>) -> Option<Option<Span>> {
    match span {
        None => Some(None),
        Some(span) => span.map(Some),
    }
}

#[derive(Deserialize)]
struct LazyHeader<'a> {
    #[serde(borrow)]
    metadata: LazyMeta<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LazyMeta<'a> {
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    uid: Option<Text<'a>>,
    #[serde(borrow)]
    resource_version: Option<Text<'a>>,
    #[serde(borrow)]
    labels: Option<BTreeMap<Text<'a>, Text<'a>>>,
}

#[derive(Deserialize)]
struct Managed<'a> {
    #[serde(borrow)]
    metadata: ManagedMeta<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManagedMeta<'a> {
    #[serde(borrow)]
    managed_fields: Option<&'a RawValue>,
}

/// The text with an empty list for `metadata.managedFields`; `None` if there is none.
fn without_managed_fields(json: &str) -> Option<String> {
    let managed: Managed<'_> = serde_json::from_str(json).ok()?;
    let fields = managed.metadata.managed_fields?.get();
    let start = fields.as_ptr() as usize - json.as_ptr() as usize;
    let Range { start, end } = start..start + fields.len();
    Some([json.get(..start)?, "[]", json.get(end..)?].concat())
}
