//! What the targets share: a server that answers with given bytes, in given pieces.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use kube::Client;
use kube::client::Body;
use tokio::runtime::Runtime;
use watchcache::reflector::Decode;
use watchcache::reflector::{KubeSource, WatchRequest, WatchStart};
use watchcache::reflector::{ListPage, ListRequest, Source, SourceError, WatchEvent};

thread_local! {
    static RUNTIME: Runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
}

/// Runs something on a runtime that lives as long as the thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// A client of a server that answers every request with this body, cut into pieces of this length.
fn client(body: &[u8], piece: usize) -> Client {
    let pieces: Vec<Bytes> = body.chunks(piece.max(1)).map(Bytes::copy_from_slice).collect();
    let service = tower::service_fn(move |_: Request<Body>| {
        let frames =
            pieces.clone().into_iter().map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
        let answer = Response::new(StreamBody::new(stream::iter(frames)));
        async move { Ok::<_, Infallible>(answer) }
    });
    Client::new(service, "default")
}

/// The source of a server that answers so.
fn source<K: Decode>(body: &[u8], piece: usize) -> KubeSource<K>
where
    <K::Resource as kube::Resource>::DynamicType: Default,
{
    KubeSource::all_with(client(body, piece), &Default::default())
}

/// The events of a watch whose answer is this body.
pub fn watch<K: Decode>(body: &[u8], piece: usize) -> Vec<Result<WatchEvent<K>, SourceError>>
where
    <K::Resource as kube::Resource>::DynamicType: Default,
{
    use futures_util::StreamExt;
    block_on(async {
        let start = WatchStart::After("1".into());
        let request = WatchRequest { start, timeout: std::time::Duration::from_secs(60) };
        let watch = source::<K>(body, piece).watch(request).await.expect("it is granted");
        watch.collect().await
    })
}

/// The page of a list whose answer is this body.
pub fn list<K: Decode>(body: &[u8]) -> Result<ListPage<K>, SourceError>
where
    <K::Resource as kube::Resource>::DynamicType: Default,
{
    // A client needs the runtime around it.
    block_on(async { source::<K>(body, 4096).list(ListRequest::default()).await })
}
