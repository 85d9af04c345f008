//! The reflector's case: events of a watch, from the bytes of an answer to the store.

use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http::Response;
use http::header::CONTENT_TYPE;
use http_body::Frame;
use http_body_util::StreamBody;
use k8s_openapi::api::core::v1::Pod;
use kube::client::{Body, Client};
use serde_json::Value;
use tokio::runtime;
use tokio::sync::Semaphore;
use watchcache::reflector::protobuf::{self, MEDIA_TYPE};
use watchcache::reflector::{KubeSource, Lazy, Reflector};
use watchcache::{ResourceVersion, Store};

use crate::measured;

/// Each is changed so often.
const CHANGES: usize = 10;

/// What a connection gives at once.
const PIECE: usize = 64 << 10;

/// With managed fields, as a server sends it.
const POD: &str = include_str!("pod.json");

/// What of it is another's, each of as many bytes as what takes its place.
const NAME: &str = "checkout-frontend-b7tnwq27cm-00000";
const UID: &str = "b4ccf91e-5daa-469c-9539-4aab6ba6a696";
const VERSION: &str = "1000000";

/// Pods in protobuf, each kept as it came.
pub(crate) fn watch_lazy(events: usize) -> usize {
    let pods = events / CHANGES;
    let encoded = encoded();
    let body = |event_type, rounds: Range<usize>| {
        let changes = (rounds.start * pods..rounds.end * pods).map(|n| (n % pods, version(n)));
        let frames =
            changes.map(|(pod, version)| frame(event_type, &changed(&encoded, pod, version)));
        Bytes::from(frames.collect::<Vec<_>>().concat())
    };
    let bodies = [body("ADDED", 0..1), body("MODIFIED", 1..CHANGES + 1)];
    let reached = |changes: usize| ResourceVersion::from(version(changes - 1).to_string());

    let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let opened = Arc::new(Semaphore::new(0));
    let client = runtime.block_on(async { client(bodies, Arc::clone(&opened)) });
    let source = KubeSource::<Lazy<Pod>>::all(client);
    let store = Arc::new(Store::new());
    let reflector = Reflector::builder(source).streaming_list(false).sink(store).build();
    let monitor = reflector.monitor();
    runtime.spawn(reflector.run(std::future::pending::<()>()));
    runtime.block_on(monitor.wait_for(&reached(pods))).expect("it runs");

    measured(|| {
        opened.add_permits(1);
        runtime.block_on(monitor.wait_for(&reached(pods + pods * CHANGES))).expect("it runs");
    });
    let progress = monitor.progress();
    assert_eq!((progress.events, progress.lists), ((pods + pods * CHANGES) as u64, 1));
    pods * CHANGES
}

/// A client of a server that has nothing, until its watch says the first of these, and the second once it may.
fn client(events: [Bytes; 2], opened: Arc<Semaphore>) -> Client {
    let list = Bytes::from(empty_list());
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        let [first, second] = events.clone();
        let opened = Arc::clone(&opened);
        let second = async move {
            opened.acquire().await.expect("it stays open").forget();
            second
        };
        let watch = stream::iter([first]).chain(stream::once(second)).chain(stream::pending());
        let said = match is_watch {
            true => watch.left_stream(),
            false => stream::iter([list.clone()]).right_stream(),
        };
        let pieces = said.flat_map(|said| stream::iter(pieces(said)));
        let body = StreamBody::new(pieces.map(|piece| Ok::<_, Infallible>(Frame::data(piece))));
        let answer = Response::builder().header(CONTENT_TYPE, MEDIA_TYPE).body(body);
        async move { Ok::<_, Infallible>(answer.expect("a header")) }
    });
    Client::new(service, "default")
}

fn pieces(said: Bytes) -> impl Iterator<Item = Bytes> {
    let starts = (0..said.len()).step_by(PIECE);
    starts.map(move |start| said.slice(start..said.len().min(start + PIECE)))
}

/// Of the change with this number.
fn version(change: usize) -> usize {
    1_000_001 + change
}

/// The message of a Pod.
fn encoded() -> Vec<u8> {
    let pod: Value = serde_json::from_str(POD).expect("JSON");
    protobuf::to_vec(&pod).expect("a Pod")
}

fn changed(encoded: &[u8], pod: usize, version: usize) -> Vec<u8> {
    let mut message = encoded.to_vec();
    for (place, number) in [(NAME, pod), (UID, pod), (VERSION, version)] {
        let found = message.windows(place.len()).position(|part| part == place.as_bytes());
        let end = found.expect("it is there") + place.len();
        let number = number.to_string();
        message[end - number.len()..end].copy_from_slice(number.as_bytes());
    }
    message
}

fn empty_list() -> Vec<u8> {
    let of = [field(1, b"v1"), field(2, b"PodList")].concat();
    let list = field(1, &field(2, VERSION.as_bytes()));
    [b"k8s\0", &field(1, &of)[..], &field(2, &list)].concat()
}

/// An event of a watch, behind its length.
fn frame(event_type: &str, object: &[u8]) -> Vec<u8> {
    let event = [field(1, event_type.as_bytes()), field(2, &field(1, object))].concat();
    [&(event.len() as u32).to_be_bytes()[..], &event].concat()
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut length = bytes.len();
    let mut head = vec![number << 3 | 2];
    while length >= 0x80 {
        head.push(length as u8 | 0x80);
        length >>= 7;
    }
    head.push(length as u8);
    [&head[..], bytes].concat()
}
