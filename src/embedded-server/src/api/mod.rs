//! The HTTP side: the handler of each path.

mod admit;
mod body;
mod compress;
mod delete_options;
mod discovery;
mod format;
mod get;
mod list;
mod openapi;
mod params;
mod path;
mod shown;
mod table;
mod watch;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;

use crate::admission::Webhook;
use crate::encoding::Encoding;
use crate::fault::{self, Faults, Request};
use crate::status::Failure;
use crate::storage::Storage;
use crate::write::Writer;

use self::format::Accepted;
use self::params::Params;
use self::path::{Subresource, Target};

/// Shared by all requests.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) storage: Arc<Storage>,
    pub(crate) writer: Arc<Writer>,
    /// Asked before a client's write is committed.
    pub(crate) webhook: Option<Arc<Webhook>>,
    /// Changes when running watches have to be cut.
    pub(crate) cut: tokio::sync::watch::Receiver<u64>,
    pub(crate) faults: Faults,
}

/// The whole API. The paths are few and their form depends on the resource's scope, so one
/// handler reads them rather than a table of routes.
pub(crate) fn router(api: Api) -> Router {
    Router::new().fallback(dispatch).with_state(api).layer(compress::layer())
}

async fn dispatch(
    State(api): State<Api>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let answer = answer(&api, &method, &uri, &headers, body).await;
    answer.unwrap_or_else(|failure| failure.response(Encoding::Json))
}

async fn answer(
    api: &Api,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let path: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
    let registry = &api.writer.registry;
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let Some(target) = Target::of(&path, registry) else {
        let found = openapi::answer(&path, registry)
            .or_else(|| discovery::answer(&path, registry))
            .ok_or_else(Failure::path_not_found)?;
        return if reads { Ok(found) } else { Err(Failure::method_not_allowed()) };
    };
    let accepted = Accepted::negotiate(headers, target.has_schema())?;
    let query = uri.query().unwrap_or_default();
    let answer = async {
        if reads {
            return read(api, &target, &Params::parse(query)?, accepted).await;
        }
        let body = body::read(body, headers).await?;
        write::write(api, method, &target, query, headers, &body, accepted).await
    };
    Ok(answer.await.unwrap_or_else(|failure| failure.response(accepted.encoding)))
}

async fn read(
    api: &Api,
    target: &Target,
    params: &Params,
    accepted: Accepted,
) -> Result<Response, Failure> {
    match (&target.name, target.subresource) {
        (Some(name), None | Some(Subresource::Status)) => {
            get::get(api, target, name, params, accepted)
        }
        (Some(name), Some(Subresource::Scale)) => get::scale(api, target, name, accepted.encoding),
        (Some(_), Some(_)) => Err(Failure::method_not_allowed()),
        (None, _) if params.watch => {
            spoiled(api, Request::Watch, watch::watch(api, target, params, accepted))
        }
        (None, _) => spoiled(api, Request::List, list::list(api, target, params, accepted).await),
    }
}

/// The response, changed by a fault that waits for this kind of request.
fn spoiled(
    api: &Api,
    request: Request,
    answer: Result<Response, Failure>,
) -> Result<Response, Failure> {
    match api.faults.take(request) {
        Some(fault) => answer.map(|response| fault::spoil(response, &fault)),
        None => answer,
    }
}
