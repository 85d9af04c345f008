//! The HTTP side: which path is answered by what.

mod compress;
mod discovery;
mod format;
mod get;
mod list;
mod params;
mod table;
mod watch;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response};

use crate::fault::{self, Faults, Request};
use crate::history::History;
use crate::resource;
use crate::simulation::Resource;
use crate::status::Failure;

use self::params::Params;

/// What every request needs.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) history: Arc<History>,
    /// Changes when running watches are to be cut.
    pub(crate) cut: tokio::sync::watch::Receiver<u64>,
    pub(crate) faults: Faults,
}

/// Which objects a path names.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) resource: Resource,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
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
) -> Response {
    answer(&api, &method, &uri, &headers).unwrap_or_else(IntoResponse::into_response)
}

fn answer(api: &Api, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<Response, Failure> {
    let path: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
    let target = target(&path);
    if method != Method::GET && method != Method::HEAD {
        return Err(match (target, discovery::answer(&path)) {
            (None, None) => Failure::path_not_found(),
            _ => Failure::method_not_allowed(),
        });
    }
    let Some(target) = target else {
        return discovery::answer(&path).ok_or_else(Failure::path_not_found);
    };
    let format = format::Format::negotiate(headers)?;
    let params = Params::parse(uri.query().unwrap_or_default())?;
    match target.name {
        Some(ref name) => get::get(api, &target, name, &params, format),
        None if params.watch => {
            spoiled(api, Request::Watch, watch::watch(api, &target, &params, format))
        }
        None => spoiled(api, Request::List, list::list(api, &target, &params, format)),
    }
}

/// The answer, or what a fault that waits for this kind of request makes of it.
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

/// Reads `/api/v1/...` and `/apis/{group}/v1/...`.
fn target(path: &[&str]) -> Option<Target> {
    let (group, rest) = match path {
        ["api", "v1", rest @ ..] => ("", rest),
        ["apis", group, "v1", rest @ ..] => (*group, rest),
        _ => return None,
    };
    let (namespace, plural, name) = match rest {
        [plural] => (None, plural, None),
        [plural, name] if *plural != "namespaces" || group.is_empty() => (None, plural, Some(name)),
        ["namespaces", namespace, plural] => (Some(namespace), plural, None),
        ["namespaces", namespace, plural, name] => (Some(namespace), plural, Some(name)),
        _ => return None,
    };
    let resource = resource::find(group, plural)?;
    let namespaced = resource::describe(resource).namespaced;
    // A namespaced object has no name outside a namespace; a cluster's object is in none.
    if (namespaced && namespace.is_none() && name.is_some()) || (!namespaced && namespace.is_some())
    {
        return None;
    }
    Some(Target {
        resource,
        namespace: namespace.map(ToString::to_string),
        name: name.map(ToString::to_string),
    })
}
