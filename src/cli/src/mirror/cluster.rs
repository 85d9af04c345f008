//! What is mirrored: the server, and the part of its content.

use std::sync::Arc;

use kube::Client;
use watchcache::reflector::KubeSource;
use watchcache_embedded_server::EmbeddedServer;

use crate::connect::{Route, Step};
use crate::discovery::Found;
use crate::failure::Failure;
use crate::mirrored::Mirrored;
use crate::target::{Scope, Target};
use crate::{connect, embedded};

/// The server and a client of it.
pub(super) struct Cluster {
    pub(super) url: String,
    pub(super) client: Client,
    /// Here, if it is the embedded one.
    pub(super) server: Option<Arc<EmbeddedServer>>,
    pub(super) seed: Option<u64>,
}

impl Cluster {
    pub(super) async fn open(target: Target, step: &Step) -> Result<Self, Failure> {
        let (route, server, seed) = match target {
            Target::Embedded(config) => {
                let seed = config.seed;
                let server = embedded::start(config).await?;
                let config = connect::check_url(&server.url())?;
                (Route::direct(config), Some(Arc::new(server)), Some(seed))
            }
            target => (connect::configure(&target).await?, None, None),
        };
        let url = route.url();
        let client = connect::connect(route, step).await?;
        Ok(Self { url, client, server, seed })
    }

    pub(super) fn name(&self) -> String {
        match self.server {
            Some(_) => format!("the embedded server at {}", self.url),
            None => self.url.clone(),
        }
    }

    pub(super) async fn close(self) {
        if let Some(server) = self.server.and_then(Arc::into_inner) {
            server.stop().await;
        }
    }
}

/// The resource with its group, as kubectl writes it.
pub(super) fn qualified(found: &Found) -> String {
    match found.resource.group.as_str() {
        "" => found.resource.plural.clone(),
        group => format!("{}.{group}", found.resource.plural),
    }
}

pub(super) fn source(client: Client, found: &Found, scope: &Scope) -> KubeSource<Mirrored> {
    let mut source = match &scope.namespace {
        Some(namespace) => KubeSource::namespaced_with(client, namespace, &found.resource),
        None => KubeSource::all_with(client, &found.resource),
    };
    if let Some(labels) = &scope.labels {
        source = source.labels(labels);
    }
    if let Some(fields) = &scope.fields {
        source = source.fields(fields);
    }
    // What is verified is the whole object, against the server's JSON.
    source.keep_managed_fields().json_only()
}
