//! The Kubernetes API as a source, through the `kube` client.
//!
//! The client does transport, TLS and credentials. Framing and decoding happen here, because one
//! event that cannot be decoded must not end the stream, and a list must not fail for one object.

use std::error::Error as StdError;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::stream::{self, BoxStream, StreamExt};
use futures_util::{AsyncBufRead, AsyncBufReadExt};
use http::HeaderValue;
use http::header::ACCEPT_ENCODING;
use kube::Client;
use kube::api::{ListParams, Request, WatchParams};
use kube::core::Resource;
use rand::Rng;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{Item, ListPage, ListRequest, Source, SourceError, Undecodable, WatchEvent};
use crate::{Key, KeyError, Object, ResourceVersion, Status};

impl<K: Resource + Send + Sync + 'static> Object for K {
    fn key(&self) -> Result<Key, KeyError> {
        let meta = self.meta();
        Key::new(meta.namespace.as_deref(), meta.name.as_deref().unwrap_or_default())
    }

    fn uid(&self) -> Option<&str> {
        self.meta().uid.as_deref()
    }

    fn resource_version(&self) -> Option<&str> {
        self.meta().resource_version.as_deref()
    }

    fn label(&self, name: &str) -> Option<&str> {
        self.meta().labels.as_ref()?.get(name).map(String::as_str)
    }
}

/// One resource of a Kubernetes API server, in all namespaces or one, with optional selectors.
///
/// `K` is any `kube` resource: a typed one from `k8s-openapi`, a derived custom resource, or
/// `DynamicObject` for whatever discovery names.
///
/// ```no_run
/// use std::sync::Arc;
/// use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
/// use watchcache::{Reflector, Store, reflector::KubeSource};
///
/// # let _ = async {
/// let client = kube::Client::try_default().await?;
/// let pods = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Pod"));
/// let source = KubeSource::<DynamicObject>::all_with(client, &pods).labels("app=web");
/// let store = Arc::new(Store::new());
/// Reflector::builder(source).sink(store.clone()).build().run(std::future::pending()).await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # };
/// ```
pub struct KubeSource<K> {
    client: Client,
    request: Request,
    expected: Expected,
    label_selector: Option<String>,
    field_selector: Option<String>,
    object: PhantomData<fn() -> K>,
}

/// The type that every object must be of.
#[derive(Clone, Debug)]
struct Expected {
    api_version: String,
    kind: String,
}

impl<K: Resource> KubeSource<K> {
    /// All namespaces, or a cluster-scoped resource.
    #[must_use]
    pub fn all(client: Client) -> Self
    where
        K::DynamicType: Default,
    {
        Self::all_with(client, &K::DynamicType::default())
    }

    /// One namespace.
    #[must_use]
    pub fn namespaced(client: Client, namespace: &str) -> Self
    where
        K::DynamicType: Default,
    {
        Self::namespaced_with(client, namespace, &K::DynamicType::default())
    }

    /// As [`all`](Self::all), for a type that is known at run time only.
    #[must_use]
    pub fn all_with(client: Client, resource: &K::DynamicType) -> Self {
        Self::new(client, None, resource)
    }

    /// As [`namespaced`](Self::namespaced), for a type that is known at run time only.
    #[must_use]
    pub fn namespaced_with(client: Client, namespace: &str, resource: &K::DynamicType) -> Self {
        Self::new(client, Some(namespace), resource)
    }

    fn new(client: Client, namespace: Option<&str>, resource: &K::DynamicType) -> Self {
        Self {
            client,
            request: Request::new(K::url_path(resource, namespace)),
            expected: Expected {
                api_version: K::api_version(resource).into_owned(),
                kind: K::kind(resource).into_owned(),
            },
            label_selector: None,
            field_selector: None,
            object: PhantomData,
        }
    }

    /// Restricts the source to objects with these labels, in kubectl's syntax.
    #[must_use]
    pub fn labels(mut self, selector: impl Into<String>) -> Self {
        self.label_selector = Some(selector.into());
        self
    }

    /// Restricts the source to objects with these fields, in kubectl's syntax.
    #[must_use]
    pub fn fields(mut self, selector: impl Into<String>) -> Self {
        self.field_selector = Some(selector.into());
        self
    }
}

impl<K> Source for KubeSource<K>
where
    K: Resource + DeserializeOwned + Send + Sync + 'static,
{
    type Object = K;
    type Watch = BoxStream<'static, Result<WatchEvent<K>, SourceError>>;

    async fn list(&self, request: ListRequest) -> Result<ListPage<K>, SourceError> {
        let params = ListParams {
            label_selector: self.label_selector.clone(),
            field_selector: self.field_selector.clone(),
            limit: request.limit,
            continue_token: request.continue_token,
            ..ListParams::default()
        };
        let request = self.request.list(&params).map_err(invalid_request)?;
        let text = self.client.request_text(request).await.map_err(from_kube)?;
        let list: List<'_> = serde_json::from_str(&text)
            .map_err(|error| SourceError::Protocol(format!("this is not a list: {error}")))?;
        Ok(ListPage {
            items: list.items.into_iter().map(|raw| self.expected.decode(raw)).collect(),
            resource_version: list.metadata.resource_version.map(ResourceVersion::from),
            continue_token: list.metadata.continue_token,
            remaining: list.metadata.remaining_item_count,
        })
    }

    async fn watch(&self, version: &ResourceVersion) -> Result<Self::Watch, SourceError> {
        let params = WatchParams {
            label_selector: self.label_selector.clone(),
            field_selector: self.field_selector.clone(),
            // Spread, so that watches that were opened together do not all end together; `kube`
            // takes less than 295 s.
            timeout: Some(rand::rng().random_range(200..290)),
            bookmarks: true,
            send_initial_events: false,
        };
        let mut request = self.request.watch(&params, version.as_str()).map_err(invalid_request)?;
        // Each event would be a gzip member of its own, and decoders stop after the first.
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let body = self.client.request_stream(request).await.map_err(from_kube)?;
        Ok(events(Box::pin(body), self.expected.clone()).boxed())
    }
}

impl<K> std::fmt::Debug for KubeSource<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubeSource")
            .field("url_path", &self.request.url_path)
            .field("label_selector", &self.label_selector)
            .field("field_selector", &self.field_selector)
            .finish_non_exhaustive()
    }
}

/// Reads one event per line until the stream ends.
fn events<K, R>(
    body: std::pin::Pin<Box<R>>,
    expected: Expected,
) -> impl stream::Stream<Item = Result<WatchEvent<K>, SourceError>>
where
    K: DeserializeOwned,
    R: AsyncBufRead,
{
    stream::unfold((body, Vec::new(), expected), |(mut body, mut line, expected)| async move {
        loop {
            line.clear();
            let event = match body.read_until(b'\n', &mut line).await {
                Ok(0) => return None,
                // The connection was cut inside a line; what is left of it is no event.
                Ok(_) if !line.ends_with(b"\n") => return None,
                Ok(_) if line.trim_ascii().is_empty() => continue,
                Ok(_) => expected.decode_event(&line),
                Err(error) => Err(broken(error)),
            };
            return Some((event, (body, line, expected)));
        }
    })
}

#[derive(Deserialize)]
struct List<'a> {
    metadata: ListMeta,
    #[serde(borrow, default)]
    items: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMeta {
    resource_version: Option<String>,
    #[serde(rename = "continue")]
    continue_token: Option<String>,
    remaining_item_count: Option<u64>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    event_type: String,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// The part of an object that is read even when the rest does not decode.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Header {
    api_version: Option<String>,
    kind: Option<String>,
    metadata: HeaderMeta,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct HeaderMeta {
    namespace: Option<String>,
    name: Option<String>,
    resource_version: Option<String>,
}

impl Header {
    fn undecodable(self, error: String) -> Undecodable {
        let meta = self.metadata;
        Undecodable {
            key: meta.name.and_then(|name| Key::new(meta.namespace.as_deref(), &name).ok()),
            resource_version: meta.resource_version.map(ResourceVersion::from),
            error,
        }
    }
}

impl Expected {
    fn decode<K: DeserializeOwned>(&self, raw: &RawValue) -> Item<K> {
        let header: Header = match serde_json::from_str(raw.get()) {
            Ok(header) => header,
            Err(error) => {
                return Item::Undecodable(Header::default().undecodable(error.to_string()));
            }
        };
        // Items of a typed list leave out what the list's own kind already says.
        let differs = |found: &Option<String>, expected| {
            found.as_ref().is_some_and(|found| !found.is_empty() && found != expected)
        };
        if differs(&header.kind, &self.kind) || differs(&header.api_version, &self.api_version) {
            let error = format!(
                "expected {} {}, found {} {}",
                self.api_version,
                self.kind,
                header.api_version.as_deref().unwrap_or("?"),
                header.kind.as_deref().unwrap_or("?"),
            );
            return Item::Undecodable(header.undecodable(error));
        }
        match serde_json::from_str(raw.get()) {
            Ok(object) => Item::Object(Arc::new(object)),
            Err(error) => Item::Undecodable(header.undecodable(error.to_string())),
        }
    }

    fn decode_event<K: DeserializeOwned>(&self, line: &[u8]) -> Result<WatchEvent<K>, SourceError> {
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
        let event = match envelope.event_type.as_str() {
            "ADDED" => WatchEvent::Added,
            "MODIFIED" => WatchEvent::Modified,
            "DELETED" => WatchEvent::Deleted,
            "BOOKMARK" => {
                let header: Header = serde_json::from_str(envelope.object.get())
                    .map_err(|error| SourceError::Protocol(format!("bad bookmark: {error}")))?;
                return match header.metadata.resource_version {
                    Some(version) => Ok(WatchEvent::Bookmark(version.into())),
                    None => Err(SourceError::Protocol("bookmark without a version".to_owned())),
                };
            }
            "ERROR" => {
                let status: Status = serde_json::from_str(envelope.object.get())
                    .map_err(|error| SourceError::Protocol(format!("bad error event: {error}")))?;
                return Err(status.into());
            }
            _ => return Ok(WatchEvent::Unknown { event_type: envelope.event_type }),
        };
        Ok(match self.decode(envelope.object) {
            Item::Object(object) => event(object),
            Item::Undecodable(bad) => WatchEvent::Undecodable(bad),
        })
    }
}

fn from_kube(error: kube::Error) -> SourceError {
    match error {
        kube::Error::Api(status) => Status::from(*status).into(),
        error => {
            SourceError::Transport { message: with_causes(&error), source: Some(Box::new(error)) }
        }
    }
}

fn broken(error: io::Error) -> SourceError {
    SourceError::Transport {
        message: format!("the watch broke: {}", with_causes(&error)),
        source: Some(Box::new(error)),
    }
}

fn invalid_request(error: kube::core::request::Error) -> SourceError {
    SourceError::Status(Box::new(Status::bad_request(error.to_string())))
}

/// An error with what caused it, in one line; causes often repeat each other's text.
fn with_causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}
