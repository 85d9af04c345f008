//! What the targets share: a server that answers with given bytes, in given pieces, and a reflector
//! that has mirrored its list.

use std::convert::Infallible;
use std::num::NonZero;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use kube::Client;
use kube::client::Body;
use tokio::runtime::Runtime;
use watchcache::reflector::protobuf::MEDIA_TYPE;
use watchcache::reflector::{
    Decode, Interest, Item, KubeSource, ListPage, ListRequest, Report, Shard, Source, SourceError,
    WatchEvent, WatchRequest, WatchStart,
};
use watchcache::{Reflector, Store};

/// Less text than this is decoded where it is; more is decoded by several tasks.
pub const PARALLEL: usize = 16 << 10;

/// What stands for brackets, and how many of them: an input is too short to nest deep by itself.
const DEEP: [(u8, u8); 2] = [(2, b'['), (3, b']')];
const LEVELS: usize = 5_000;

thread_local! {
    static RUNTIME: Runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
}

/// Runs something on a runtime that lives as long as the thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// The input, with thousands of brackets for each of two control bytes.
pub fn deepened(input: &[u8]) -> Vec<u8> {
    let expand = |byte: &u8| match DEEP.iter().find(|(mark, _)| mark == byte) {
        Some((_, bracket)) => vec![*bracket; LEVELS],
        None => vec![*byte],
    };
    input.iter().flat_map(expand).collect()
}

const JSON: &str = "application/json";

/// A client of a server that answers every request with this body, cut into pieces of this length.
fn client(body: &[u8], piece: usize, content_type: &'static str) -> Client {
    let pieces: Vec<Bytes> = body.chunks(piece.max(1)).map(Bytes::copy_from_slice).collect();
    let service = tower::service_fn(move |_: Request<Body>| {
        let frames =
            pieces.clone().into_iter().map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
        let mut answer = Response::new(StreamBody::new(stream::iter(frames)));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        async move { Ok::<_, Infallible>(answer) }
    });
    Client::new(service, "default")
}

/// The source of a server that answers so.
fn source<K: Decode>(body: &[u8], piece: usize) -> KubeSource<K>
where
    <K::Resource as kube::Resource>::DynamicType: Default,
{
    source_of(body, piece, JSON)
}

fn source_of<K: Decode>(body: &[u8], piece: usize, content_type: &'static str) -> KubeSource<K>
where
    <K::Resource as kube::Resource>::DynamicType: Default,
{
    let decoders = NonZero::new(4).expect("not zero");
    let client = client(body, piece, content_type);
    let source = KubeSource::all_with(client, &Default::default());
    source.decoders(decoders).keep_managed_fields()
}

/// The events of a watch whose answer is this body.
pub fn watch<K: Decode>(body: &[u8], piece: usize) -> Vec<Result<WatchEvent<K>, SourceError>>
where
    <K::Resource as kube::Resource>::DynamicType: Default,
{
    // A client needs the runtime around it.
    block_on(async { watch_of(&source(body, piece)).await })
}

/// As [`watch`], of protobuf.
pub fn watch_protobuf<K: Decode>(
    body: &[u8],
    piece: usize,
) -> Vec<Result<WatchEvent<K>, SourceError>>
where
    <K::Resource as kube::Resource>::DynamicType: Default,
{
    block_on(async { watch_of(&source_of(body, piece, MEDIA_TYPE)).await })
}

/// As [`watch`], for a process that has one of two shares of the keys.
pub fn watch_share<K: Decode>(body: &[u8], index: u32) -> Vec<Result<WatchEvent<K>, SourceError>>
where
    <K::Resource as kube::Resource>::DynamicType: Default,
{
    block_on(async {
        let mut source = source(body, usize::MAX);
        let (report, interest) = attachments::<K>(Shard::by_key(index, 2));
        source.attach(report, interest);
        watch_of(&source).await
    })
}

async fn watch_of<K: Decode>(source: &KubeSource<K>) -> Vec<Result<WatchEvent<K>, SourceError>> {
    let start = WatchStart::After("1".into());
    let request = WatchRequest::new(start, std::time::Duration::from_secs(60));
    source.watch(request).await.expect("it is granted").collect().await
}

/// The page of a list whose answer is this body.
pub fn list<K: Decode>(body: &[u8]) -> Result<ListPage<K>, SourceError>
where
    <K::Resource as kube::Resource>::DynamicType: Default,
{
    block_on(async { source::<K>(body, 4096).list(ListRequest::default()).await })
}

/// As [`list`], of protobuf.
pub fn list_protobuf<K: Decode>(body: &[u8]) -> Result<ListPage<K>, SourceError>
where
    <K::Resource as kube::Resource>::DynamicType: Default,
{
    block_on(async { source_of::<K>(body, 4096, MEDIA_TYPE).list(ListRequest::default()).await })
}

/// The items of that page as a relist finds them: their reflector holds what the page brought.
pub fn relist<K: Decode>(body: &[u8]) -> Result<Vec<Item<K>>, SourceError>
where
    <K::Resource as kube::Resource>::DynamicType: Default,
{
    block_on(async {
        let mut source = source::<K>(body, 4096);
        let request = ListRequest::default;
        let items: Vec<Item<K>> = source.list(request()).await?.items.collect().await;
        let first = Fixed { items: Mutex::new(items), attached: Arc::default() };
        let attached = Arc::clone(&first.attached);
        let reflector = Reflector::builder(first).sink(Store::<K>::new()).build();
        let monitor = reflector.monitor();
        let (report, interest) = taken(&attached);
        source.attach(report, interest);
        // It goes on watching while the list is read once more.
        let again = async {
            if monitor.synced().await.is_err() {
                // The reflector has ended, and its error is the answer.
                std::future::pending::<()>().await;
            }
            Ok(source.list(request()).await?.items.collect().await)
        };
        tokio::select! {
            ended = reflector.run(std::future::pending()) => Err(ended.expect_err("it has no end")),
            again = again => again,
        }
    })
}

type Attached<K> = Arc<Mutex<Option<(Report, Interest<K>)>>>;

/// A source of items that are there, and nothing after them. It keeps what a reflector attaches.
struct Fixed<K> {
    items: Mutex<Vec<Item<K>>>,
    attached: Attached<K>,
}

impl<K: Decode> Source for Fixed<K> {
    type Object = K;
    type Watch = stream::Pending<Result<WatchEvent<K>, SourceError>>;

    fn attach(&mut self, report: Report, interest: Interest<K>) {
        *self.attached.lock().expect("no panic") = Some((report, interest));
    }

    async fn list(&self, _: ListRequest) -> Result<ListPage<K>, SourceError> {
        let items = std::mem::take(&mut *self.items.lock().expect("no panic"));
        Ok(ListPage::new(items, "1"))
    }

    async fn watch(&self, _: WatchRequest) -> Result<Self::Watch, SourceError> {
        Ok(stream::pending())
    }
}

fn attachments<K: Decode>(share: Option<Shard>) -> (Report, Interest<K>) {
    let source = Fixed { items: Mutex::default(), attached: Arc::default() };
    let attached = Arc::clone(&source.attached);
    let mut builder = Reflector::builder(source);
    if let Some(share) = share {
        builder = builder.shard(share);
    }
    drop(builder.build());
    taken(&attached)
}

fn taken<K>(attached: &Attached<K>) -> (Report, Interest<K>) {
    attached.lock().expect("no panic").take().expect("a reflector attaches")
}
