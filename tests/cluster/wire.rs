//! What a mirror asks the server for, seen and, if need be, held up.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Request, Uri};
use tokio::sync::watch;
use tower::{Layer, Service};

/// Records the requests of one client. It is a layer of the client's, and a handle on the record.
#[derive(Clone)]
pub(crate) struct Wire {
    state: Arc<State>,
}

struct State {
    requests: Mutex<Vec<String>>,
    held: watch::Sender<bool>,
    watch_timeout: Mutex<Option<u32>>,
}

impl Default for Wire {
    fn default() -> Self {
        let (held, _) = watch::channel(false);
        let (requests, watch_timeout) = (Mutex::default(), Mutex::default());
        Self { state: Arc::new(State { requests, held, watch_timeout }) }
    }
}

impl Wire {
    /// Lists started: first pages, not those that continue one.
    pub(crate) fn lists(&self) -> usize {
        self.count(|query| !is_watch(query) && !continues(query))
    }

    /// Pages after the first of their list.
    pub(crate) fn further_pages(&self) -> usize {
        self.count(continues)
    }

    pub(crate) fn watches(&self) -> usize {
        self.count(is_watch)
    }

    /// Watches that begin with all objects.
    pub(crate) fn streaming_lists(&self) -> usize {
        self.count(|query| is_watch(query) && query.contains("sendInitialEvents=true"))
    }

    fn count(&self, which: impl Fn(&str) -> bool) -> usize {
        self.state.requests.lock().unwrap().iter().filter(|query| which(query)).count()
    }

    /// From now on a page that continues a list does not leave before [`release`](Self::release).
    pub(crate) fn hold_further_pages(&self) {
        self.state.held.send_replace(true);
    }

    /// The server ends watches after so many seconds, not after what the mirror asks for.
    pub(crate) fn end_watches_after(&self, seconds: u32) {
        *self.state.watch_timeout.lock().unwrap() = Some(seconds);
    }

    pub(crate) fn release(&self) {
        self.state.held.send_replace(false);
    }
}

/// The URI with another timeout.
fn timed(uri: &Uri, seconds: u32) -> Uri {
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    let others = query.split('&').filter(|pair| !pair.starts_with("timeoutSeconds="));
    let query = others.collect::<Vec<_>>().join("&");
    let mut parts = uri.clone().into_parts();
    let text = format!("{path}?{query}&timeoutSeconds={seconds}");
    parts.path_and_query = Some(text.parse().unwrap());
    Uri::from_parts(parts).unwrap()
}

fn is_watch(query: &str) -> bool {
    query.contains("watch=")
}

fn continues(query: &str) -> bool {
    query.contains("continue=")
}

impl<S> Layer<S> for Wire {
    type Service = Wired<S>;

    fn layer(&self, inner: S) -> Wired<S> {
        Wired { inner, state: Arc::clone(&self.state) }
    }
}

pub(crate) struct Wired<S> {
    inner: S,
    state: Arc<State>,
}

impl<S, B> Service<Request<B>> for Wired<S>
where
    S: Service<Request<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let timeout = *self.state.watch_timeout.lock().unwrap();
        if let Some(seconds) = timeout.filter(|_| is_watch(&query)) {
            *request.uri_mut() = timed(request.uri(), seconds);
        }
        let mut held = self.state.held.subscribe();
        let hold = continues(&query);
        self.state.requests.lock().unwrap().push(query);
        // Nothing is sent before the future is polled.
        let answer = self.inner.call(request);
        async move {
            if hold {
                let _ = held.wait_for(|held| !held).await;
            }
            answer.await
        }
        .boxed()
    }
}
