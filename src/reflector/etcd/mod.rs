//! etcd as a source, through its v3 API.
//!
//! etcd numbers all changes of all keys by one revision, which serves as the resource version: a list is
//! a range read at one revision, a watch begins at the next one, and what compaction has removed is
//! expired.

mod object;
mod page;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use etcd_client::{Client, GetOptions, KvClient, WatchClient, WatchOptions};
use futures_util::stream::{self, BoxStream, StreamExt};
use serde::de::DeserializeOwned;

use self::object::Decoder;
pub use self::object::EtcdObject;
use self::page::Place;
use self::watch::Opening;
use super::{
    Interest, ListPage, ListRequest, Report, Source, SourceError, WatchEvent, WatchRequest,
    WatchStart,
};
use crate::{Key, KeyError, Status};

/// All keys of an etcd cluster that begin with a prefix, each value decoded to `V`.
///
/// The part of a key after the prefix is its [`Key`] as a text: `name`, or `namespace/name`, where
/// [the name may have more slashes](Key#names-with-slashes), unless [`keys`](Self::keys) sets another rule. A
/// value that does not decode is quarantined like any other object, and so is an etcd key that is not a valid
/// [`Key`], or that goes on with a `/` behind the prefix, as all do if a folder's own is left out there: under the namespace `\u{fffd}`, which no object has, with bytes that are no text written as `%FF`.
///
/// With users and passwords, let the client renew its tokens (`ConnectOptions::with_auto_token_refresh`):
/// a token expires.
///
/// etcd keeps the data, and any number of processes mirror it, each with reads of its own. A mirror that
/// was disconnected resumes where it was; after a compaction it lists again, and keeps what has not
/// changed. While nothing changes below the prefix, the version advances whenever the server notifies of
/// progress: every ten minutes, unless `--watch-progress-notify-interval` sets another interval.
///
/// Events of one transaction carry one revision; a batch may end between them. A member that was cut off
/// from its cluster does not count as a sign of life: see [`sign_of_life`](Self::sign_of_life).
///
/// ```no_run
/// use std::sync::Arc;
/// use watchcache::{Store, reflector::{EtcdSource, Reflector}};
///
/// #[derive(serde::Deserialize)]
/// struct Endpoint { address: String }
///
/// # let _ = async {
/// let client = etcd_client::Client::connect(["localhost:2379"], None).await?;
/// let store = Arc::new(Store::new());
/// let source = EtcdSource::<Endpoint>::json(&client, "/services/");
/// let reflector = Reflector::builder(source).sink(store.clone()).build();
/// tokio::spawn(reflector.run(std::future::pending()));
/// // What is under /services/web/0 in etcd:
/// if let Some(endpoint) = store.get("web/0") {
///     println!("{} since revision {}", endpoint.value().address, endpoint.mod_revision());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # };
/// ```
pub struct EtcdSource<V> {
    kv: KvClient,
    watch: WatchClient,
    prefix: Arc<[u8]>,
    decoder: Arc<Decoder<V>>,
    received: Arc<AtomicU64>,
    interest: Option<Interest<EtcdObject<V>>>,
    sign_of_life: Duration,
}

/// How often a watch without events is checked, by default.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);

/// The most that one answer may have, a page of a list or the changes of a watch that come together. etcd itself
/// limits what it accepts, not what it sends: one delete by prefix is an event for each key.
const ANSWER_LIMIT: usize = 2 << 30;

/// Longer than anything lasts, without overflowing the clock.
const NEVER: Duration = Duration::from_secs(10 * 366 * 86_400);

impl<V: Send + Sync + 'static> EtcdSource<V> {
    /// The keys below a prefix, which is taken as it is: to mirror a folder it must end in its `/`.
    #[must_use]
    pub fn new<E: fmt::Display>(
        client: &Client,
        prefix: impl Into<Vec<u8>>,
        decode: impl Fn(&[u8]) -> Result<V, E> + Send + Sync + 'static,
    ) -> Self {
        let kv = client.kv_client().max_decoding_message_size(ANSWER_LIMIT);
        let watch = client.watch_client().max_decoding_message_size(ANSWER_LIMIT);
        let prefix: Arc<[u8]> = prefix.into().into();
        let decoder = Arc::new(Decoder::new(Arc::clone(&prefix), decode));
        Self {
            kv,
            watch,
            prefix,
            decoder,
            received: Arc::default(),
            interest: None,
            sign_of_life: SIGN_OF_LIFE,
        }
    }

    /// As [`new`](Self::new), for values in JSON.
    #[must_use]
    pub fn json(client: &Client, prefix: impl Into<Vec<u8>>) -> Self
    where
        V: DeserializeOwned,
    {
        Self::new(client, prefix, |value| {
            let text = std::str::from_utf8(value).map_err(|error| error.to_string())?;
            serde_json::from_str(text).map_err(|error| error.to_string())
        })
    }

    /// Makes the [`Key`] from what follows the prefix. No two keys may give the same one.
    #[must_use]
    pub fn keys(
        mut self,
        key: impl Fn(&str) -> Result<Key, KeyError> + Send + Sync + 'static,
    ) -> Self {
        // Shared only once a request was made, which needs a reflector.
        if let Some(decoder) = Arc::get_mut(&mut self.decoder) {
            decoder.set_keys(key);
        }
        self
    }

    /// Finds a label in a value, for [label selectors](crate::LabelSelector) and label indexes.
    /// Default: no labels.
    ///
    /// ```no_run
    /// # use std::collections::BTreeMap;
    /// # use watchcache::reflector::EtcdSource;
    /// # let _ = |client: &etcd_client::Client| {
    /// #[derive(serde::Deserialize)]
    /// struct Endpoint { labels: BTreeMap<String, String> }
    ///
    /// let source = EtcdSource::<Endpoint>::json(client, "/services/")
    ///     .labels(|endpoint, name| endpoint.labels.get(name).map(String::as_str));
    /// # drop(source);
    /// # };
    /// ```
    #[must_use]
    pub fn labels(
        mut self,
        label: impl for<'a> Fn(&'a V, &str) -> Option<&'a str> + Send + Sync + 'static,
    ) -> Self {
        if let Some(decoder) = Arc::get_mut(&mut self.decoder) {
            decoder.set_label(label);
        }
        self
    }

    /// How many bytes a value keeps behind its pointers, for the store's accounting. Default: as many
    /// as it takes in etcd.
    #[must_use]
    pub fn sizes(mut self, size: impl Fn(&V) -> usize + Send + Sync + 'static) -> Self {
        if let Some(decoder) = Arc::get_mut(&mut self.decoder) {
            decoder.set_sizes(size);
        }
        self
    }

    /// The most bytes that one answer may have: a page of a list, or the whole of it where it is asked for at once;
    /// or the changes of a watch that come together. A larger one is a failure. Default: 2 GiB.
    #[must_use]
    pub fn answer_bytes(mut self, limit: usize) -> Self {
        self.kv = self.kv.max_decoding_message_size(limit);
        self.watch = self.watch.max_decoding_message_size(limit);
        self
    }

    /// How often a watch makes sure that its member of etcd still belongs to its cluster, at the
    /// price of one read. Default: 30 s.
    ///
    /// A member that was cut off from its peers goes on serving its watches, without new events. So the
    /// cluster is asked for its revision, by a read that takes a majority; the member has to reach it
    /// within ten seconds, or the watch fails, and another one is opened. Until then the source counts as
    /// silent: [`Progress::lag`](super::Progress::lag) grows, and after its limit the reflector is not
    /// ready.
    #[must_use]
    pub fn sign_of_life(mut self, every: Duration) -> Self {
        self.sign_of_life = every.clamp(Duration::from_millis(1), NEVER);
        self
    }

    fn received(&self, bytes: usize) {
        // ORDERING: Relaxed, with `received_bytes`: a counter that publishes nothing else.
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl<V: Send + Sync + 'static> Source for EtcdSource<V> {
    type Object = EtcdObject<V>;
    type Watch = BoxStream<'static, Result<WatchEvent<EtcdObject<V>>, SourceError>>;

    fn attach(&mut self, _: Report, interest: Interest<EtcdObject<V>>) {
        self.interest = Some(interest);
    }

    async fn list(&self, request: ListRequest) -> Result<ListPage<EtcdObject<V>>, SourceError> {
        let place = match &request.continue_token {
            Some(token) => Place::parse(token)?,
            None => Place::first(&self.prefix),
        };
        let mut options = GetOptions::new().with_range(end_of(&self.prefix));
        options = options.with_limit(request.limit.map_or(0, i64::from));
        if let Some(revision) = place.revision {
            options = options.with_revision(revision);
        }
        let mut page =
            self.kv.clone().get(place.start, Some(options)).await.map_err(|e| failure(&e))?;
        let current = page.header().map(|header| header.revision());
        let Some(revision) = place.revision.or(current) else {
            return Err(SourceError::Protocol("an answer without a revision".to_owned()));
        };
        let (more, count) = (page.more(), page.count());
        let found = page.take_kvs();
        self.received(found.iter().map(|kv| kv.key().len() + kv.value().len()).sum());
        let next = found.last().filter(|_| more).map(|last| Place::after(revision, last.key()));
        let remaining = u64::try_from(count).ok().map(|all| all.saturating_sub(found.len() as u64));

        let count = found.len();
        let interest = self.interest.clone().filter(|interest| !interest.is_everything());
        let decoder = Arc::clone(&self.decoder);
        let items = found.into_iter().filter_map(move |kv| decoder.item(&kv, interest.as_ref()));
        Ok(ListPage {
            items: stream::iter(items).boxed(),
            resource_version: Some(revision.to_string().into()),
            continue_token: next.map(|place| place.to_string()),
            remaining,
            count,
        })
    }

    async fn watch(&self, request: WatchRequest) -> Result<Self::Watch, SourceError> {
        let WatchStart::After(version) = request.start else {
            return Err(Status::bad_request("etcd streams no lists").into());
        };
        let after = version.as_str().parse().map_err(|_| {
            SourceError::from(Status::bad_request(format!("{version} is no revision of etcd")))
        })?;
        let options = WatchOptions::new()
            .with_range(end_of(&self.prefix))
            .with_start_revision(i64::saturating_add(after, 1))
            .with_progress_notify();
        let key = start_of(&self.prefix);
        let cluster = watch::cluster_revision(self.kv.clone(), key.clone()).await?;
        let watch = self.watch.clone().watch(key.clone(), Some(options)).await;
        Ok(watch::events(Opening {
            watch: watch.map_err(|error| failure(&error))?,
            decoder: Arc::clone(&self.decoder),
            interest: self.interest.clone().filter(Interest::is_sharded),
            received: Arc::clone(&self.received),
            kv: self.kv.clone(),
            key,
            after,
            cluster,
            sign_of_life: self.sign_of_life,
            timeout: request.timeout.min(NEVER),
        })
        .boxed())
    }

    fn received_bytes(&self) -> u64 {
        // ORDERING: Relaxed, with `received`.
        self.received.load(Ordering::Relaxed)
    }
}

/// The first key of a range; etcd writes the first key of all as one zero byte.
fn start_of(prefix: &[u8]) -> Vec<u8> {
    if prefix.is_empty() { vec![0] } else { prefix.to_vec() }
}

/// The first key after all that begin with the prefix; one zero byte where there is none.
fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}

/// The gRPC codes that carry more information than that the call failed
/// (<https://grpc.github.io/grpc/core/md_doc_statuscodes.html>).
mod code {
    pub(super) const INVALID_ARGUMENT: i32 = 3;
    pub(super) const PERMISSION_DENIED: i32 = 7;
    pub(super) const RESOURCE_EXHAUSTED: i32 = 8;
    pub(super) const OUT_OF_RANGE: i32 = 11;
    pub(super) const UNAUTHENTICATED: i32 = 16;
}

/// How long to leave etcd alone when it is overloaded.
const OVERLOADED: Duration = Duration::from_secs(1);

fn failure(error: &etcd_client::Error) -> SourceError {
    let refused = match error {
        etcd_client::Error::GRpcStatus(status) => refusal(status.code().into(), status.message()),
        _ => None,
    };
    let message = || error.to_string();
    refused.unwrap_or_else(|| SourceError::Transport { message: message(), error: None })
}

/// The meaning of a failure's code, if it carries more than that the call failed.
fn refusal(code: i32, message: &str) -> Option<SourceError> {
    match code {
        // The code alone can also mean a response that is too large.
        code::OUT_OF_RANGE if message.contains("compacted") => {
            Some(SourceError::Expired { message: message.to_owned(), continue_token: None })
        }
        // etcd's own client retries this with a new token; nothing is wrong with the request.
        code::INVALID_ARGUMENT if message.contains("revision of auth store is old") => None,
        code::INVALID_ARGUMENT => Some(Status::bad_request(message).into()),
        code::PERMISSION_DENIED => Some(Status::forbidden("", "etcd", "", message).into()),
        code::UNAUTHENTICATED => Some(Status::unauthorized(message).into()),
        code::RESOURCE_EXHAUSTED => {
            Some(Status::too_many_requests(OVERLOADED).with_message(message).into())
        }
        _ => None,
    }
}

impl<V> fmt::Debug for EtcdSource<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdSource")
            .field("prefix", &String::from_utf8_lossy(&self.prefix))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_revision_of_the_auth_store_is_nothing_permanent() {
        let refused = |message| refusal(code::INVALID_ARGUMENT, message);
        assert!(refused("etcdserver: revision of auth store is old").is_none());
        let other = refused("etcdserver: key is not provided");
        assert!(other.is_some_and(|error| error.is_permanent()));
    }

    #[test]
    fn a_range_ends_after_every_key_of_the_prefix() {
        assert_eq!(end_of(b"/a/"), b"/a0");
        assert_eq!(end_of(b"a\xff\xff"), b"b");
        assert_eq!(end_of(b"\xff"), [0]);
        assert_eq!((start_of(b""), end_of(b"")), (vec![0], vec![0]));
    }
}
