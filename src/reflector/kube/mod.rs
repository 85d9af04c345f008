//! The Kubernetes API as a source, through the `kube` client.
//!
//! The client does transport, TLS and credentials. Framing and decoding happen here, because one
//! event that cannot be decoded must not end the stream, and a list must not fail for one object.

mod accept;
mod answer;
mod client;
mod decode;
mod encoded;
mod frames;
mod header;
mod lazy;
mod lines;
mod managed;
mod mend;
mod meter;
mod page;
mod parallel;
pub mod protobuf;
mod size;
#[cfg(test)]
mod tests;
mod typed;
mod unexpected;
#[cfg(feature = "kube-runtime")]
mod watcher;

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::Either;
use futures_util::stream::{BoxStream, StreamExt};
use http::HeaderValue;
use http::header::ACCEPT_ENCODING;
use kube::Client;
use kube::api::{ListParams, Request, WatchParams};
use kube::core::Resource;

use self::accept::Accept;
pub use self::client::renewing_client;
pub use self::decode::Decode;
use self::decode::Decoder;
pub use self::encoded::{DecodeError, Encoded};
pub use self::lazy::{Lazy, LazyError};
use self::meter::Meter;
use self::parallel::Work;
#[cfg(feature = "kube-runtime")]
pub use self::watcher::{reflector, reflector_with_monitor};
use super::{
    Interest, ListPage, ListRequest, Report, Source, SourceError, WatchEvent, WatchRequest,
    WatchStart,
};
use crate::{KeyRef, Object, Status};

impl<K: Resource + Send + Sync + 'static> Object for K {
    fn key(&self) -> KeyRef<'_> {
        let meta = self.meta();
        (meta.namespace.as_deref(), meta.name.as_deref().unwrap_or_default()).into()
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

    /// The object and its metadata; all of a `DynamicObject`, but not what a typed object's spec
    /// and status keep behind pointers.
    fn size(&self) -> usize {
        size::of(self)
    }
}

/// One resource of a Kubernetes API server, in all namespaces or one, with optional selectors.
///
/// Let the client leave retrying to the reflector: by default `kube`'s client repeats a request that
/// is answered with 429, 503 or 504 up to fifteen times before anybody learns of it, beginning after
/// 5 ms. The reflector bounds the time that takes, but neither backs off nor reports meanwhile. Let it get new
/// credentials, too, as a [`renewing_client`] does.
///
/// `K` says how objects are kept. Any `kube` resource is decoded when it comes: a typed one from
/// `k8s-openapi`, a derived custom resource, or `DynamicObject` for whatever discovery names. With
/// `PartialObjectMeta<K>` the server is asked for metadata only. [`Lazy<K>`](Lazy) keeps the
/// object as it came, and decodes it on first use.
///
/// ```no_run
/// use std::sync::Arc;
/// use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
/// use watchcache::reflector::{KubeSource, renewing_client};
/// use watchcache::{Reflector, Store};
///
/// # let _ = async {
/// let mut config = kube::Config::infer().await?;
/// config.default_retry = false;
/// let client = renewing_client(config)?;
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
    accept: Arc<Accept>,
    decoder: Arc<Decoder<K>>,
    decoders: NonZero<usize>,
    meter: Arc<Meter>,
    line_limit: usize,
    page_limit: usize,
    label_selector: Option<String>,
    field_selector: Option<String>,
}

/// An object in etcd has at most some megabytes; past this the other side does not speak the protocol.
const LINE_LIMIT: usize = 64 << 20;

/// Room for some hundred thousand objects, where they are asked for at once.
const PAGE_LIMIT: usize = 2 << 30;

impl<K: Decode> KubeSource<K> {
    /// All namespaces, or a cluster-scoped resource.
    #[must_use]
    pub fn all(client: Client) -> Self
    where
        DynamicType<K>: Default,
    {
        Self::all_with(client, &DynamicType::<K>::default())
    }

    /// One namespace.
    #[must_use]
    pub fn namespaced(client: Client, namespace: &str) -> Self
    where
        DynamicType<K>: Default,
    {
        Self::namespaced_with(client, namespace, &DynamicType::<K>::default())
    }

    /// As [`all`](Self::all), for a type that is known at run time only.
    #[must_use]
    pub fn all_with(client: Client, resource: &DynamicType<K>) -> Self {
        Self::new(client, None, resource)
    }

    /// As [`namespaced`](Self::namespaced), for a type that is known at run time only.
    #[must_use]
    pub fn namespaced_with(client: Client, namespace: &str, resource: &DynamicType<K>) -> Self {
        Self::new(client, Some(namespace), resource)
    }

    fn new(client: Client, namespace: Option<&str>, resource: &DynamicType<K>) -> Self {
        let decoder = Decoder::<K>::new(resource);
        Self {
            client,
            request: Request::new(K::Resource::url_path(resource, namespace)),
            accept: Arc::new(Accept::new(decoder.is_known_in_protobuf())),
            decoder: Arc::new(decoder),
            decoders: parallel::default_decoders(),
            meter: Arc::default(),
            line_limit: LINE_LIMIT,
            page_limit: PAGE_LIMIT,
            label_selector: None,
            field_selector: None,
        }
    }

    /// Keeps `metadata.managedFields`, which by default are left out as objects decode: they are of use
    /// to few, and more than half of what a typed Pod takes in time and memory.
    ///
    /// To write an object back without them does no harm: an update that names none leaves the server's
    /// as they are. But whoever applies on the server's side, and means to read there what another
    /// manager owns, needs them.
    #[must_use]
    pub fn keep_managed_fields(mut self) -> Self {
        self.configure(|decoder| decoder.managed_fields = true);
        self
    }

    /// Asks for JSON only. By default a built-in kind is asked for in protobuf, with JSON as the second
    /// choice, as Kubernetes' own clients do: it is a third smaller, and what is not read of it costs
    /// nothing. What the server answers in is its own choice; custom resources come in JSON.
    ///
    /// Protobuf has numbers for fields, not names: those that are newer than what this crate knows are
    /// not there. So a `DynamicObject`, which keeps whatever comes, is asked for in JSON anyway; this is
    /// for a type of one's own that names such a field, or keeps what it does not name.
    #[must_use]
    pub fn json_only(mut self) -> Self {
        self.accept = Arc::default();
        self
    }

    /// How many tasks of the runtime may decode at once; with 1 whoever runs the reflector does it.
    /// The order of events stays the same. Default: as many as the machine runs threads at once.
    #[must_use]
    pub fn decoders(mut self, tasks: NonZero<usize>) -> Self {
        self.decoders = tasks;
        self
    }

    /// The most bytes that an event of a watch may have, a line of JSON or a frame of protobuf; a longer
    /// one is a failure of the watch. Default: 64 MiB.
    #[must_use]
    pub fn line_limit(mut self, bytes: usize) -> Self {
        self.line_limit = bytes;
        self
    }

    /// The most bytes that a page of a list may have, or the whole list where it is asked for at
    /// once; a larger one is a failure of the list. Default: 2 GiB.
    #[must_use]
    pub fn page_limit(mut self, bytes: usize) -> Self {
        self.page_limit = bytes;
        self
    }

    /// The kind of a list of this resource, for a custom resource whose definition names its
    /// `listKind` differently. An answer of another kind is taken for no list of the resource,
    /// unless one of its items says that it is of the resource's own. Default: the kind with `List`
    /// behind it.
    #[must_use]
    pub fn list_kind(mut self, kind: impl Into<String>) -> Self {
        self.configure(|decoder| decoder.set_list_kind(kind.into()));
        self
    }

    fn configure(&mut self, change: impl FnOnce(&mut Decoder<K>)) {
        // Shared only once a request was made, which takes a reflector.
        if let Some(decoder) = Arc::get_mut(&mut self.decoder) {
            change(decoder);
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

/// What must be known at run time to name the resource `K`; `()` for typed ones.
type DynamicType<K> = <<K as Decode>::Resource as Resource>::DynamicType;

impl<K: Decode> Source for KubeSource<K> {
    type Object = K;
    type Watch = BoxStream<'static, Result<WatchEvent<K>, SourceError>>;

    fn attach(&mut self, report: Report, interest: Interest<K>) {
        self.configure(|decoder| {
            decoder.report = Some(report);
            decoder.interest = Some(interest);
        });
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage<K>, SourceError> {
        // Without a version the list is of the newest state: never older than what is known.
        let params = ListParams {
            label_selector: self.label_selector.clone(),
            field_selector: self.field_selector.clone(),
            limit: request.limit,
            continue_token: request.continue_token,
            ..ListParams::default()
        };
        let request = match self.decoder.metadata_only() {
            true => self.request.list_metadata(&params),
            false => self.request.list(&params),
        };
        let request = request.map_err(invalid_request)?;
        let (client, accept, limit) = (&self.client, &self.accept, self.page_limit);
        let (protobuf, body) = answer::bytes(client, request, accept, limit, &self.meter).await?;
        let schema = self.decoder.schema_of(protobuf)?;
        page::read(body, schema, &self.decoder, self.decoders)
    }

    async fn watch(&self, request: WatchRequest) -> Result<Self::Watch, SourceError> {
        let initial = request.start == WatchStart::InitialEvents;
        let params = WatchParams {
            label_selector: self.label_selector.clone(),
            field_selector: self.field_selector.clone(),
            timeout: Some(CLIENTS_LONGEST),
            bookmarks: true,
            send_initial_events: initial,
        };
        let version = match &request.start {
            WatchStart::After(version) => version.as_str(),
            WatchStart::InitialEvents => "",
        };
        let built = match self.decoder.metadata_only() {
            true => self.request.watch_metadata(&params, version),
            false => self.request.watch(&params, version),
        };
        let mut built = built.map_err(invalid_request)?;
        set_timeout(&mut built, request.timeout);
        // Each event would be a gzip member of its own, and decoders stop after the first.
        built.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let (protobuf, body) = answer::stream(&self.client, built, &self.accept).await?;
        let schema = self.decoder.schema_of(protobuf)?;
        let (decoder, meter) = (Arc::clone(&self.decoder), Arc::clone(&self.meter));
        let parts = match schema {
            Some(_) => {
                let accept = Arc::clone(&self.accept);
                Either::Left(frames::split(body, self.line_limit, move || accept.give_up()))
            }
            None => Either::Right(lines::split(body, self.line_limit)),
        };
        let at_once = schema.is_some() && K::is_made_at_once();
        let work = parts.map(move |parts| {
            let bytes = parts.iter().flatten().map(Bytes::len).sum();
            meter.add(bytes);
            let bytes = if at_once { 0 } else { bytes };
            let decoder = Arc::clone(&decoder);
            let decode = move || match parts {
                Ok(parts) => decoder.parts(&parts, schema),
                Err(error) => vec![Err(error)],
            };
            Work { bytes, decode }
        });
        Ok(parallel::in_order(work, self.decoders).boxed())
    }

    fn received_bytes(&self) -> u64 {
        self.meter.total()
    }
}

/// The longest watch that `kube`'s own client takes, in seconds. It reads no further, but API
/// servers take any.
const CLIENTS_LONGEST: u32 = 294;

/// Puts the real timeout into a request that was built with [`CLIENTS_LONGEST`].
fn set_timeout(request: &mut http::Request<Vec<u8>>, timeout: Duration) {
    let seconds = timeout.as_secs().max(1);
    // In a selector's value the '=' would be escaped.
    let uri = request.uri().to_string().replacen(
        &format!("timeoutSeconds={CLIENTS_LONGEST}&"),
        &format!("timeoutSeconds={seconds}&"),
        1,
    );
    if let Ok(uri) = uri.parse() {
        *request.uri_mut() = uri;
    }
}

fn invalid_request(error: kube::core::request::Error) -> SourceError {
    SourceError::Status(Box::new(Status::bad_request(error.to_string())))
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
