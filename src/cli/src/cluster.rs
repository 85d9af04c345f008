//! What is mirrored: the server, and the kinds of objects that it has.

use std::sync::Arc;

use kube::Client;
use watchcache::reflector::KubeSource;
use watchcache_embedded_server::EmbeddedServer;

use crate::args::KindArgs;
use crate::connect::{Route, Step};
use crate::discovery::{Discovery, Found};
use crate::failure::Failure;
use crate::limit::Limit;
use crate::mirrored::Mirrored;
use crate::signals::{self, Interrupts};
use crate::target::{Scope, Target};
use crate::{connect, embedded};

/// The server and a client of it.
pub(crate) struct Cluster {
    pub(crate) url: String,
    pub(crate) client: Client,
    /// Here, if it is the embedded one.
    pub(crate) server: Option<Arc<EmbeddedServer>>,
    pub(crate) seed: Option<u64>,
    /// How to ask it with kubectl, if it goes on without this command.
    kubectl: Option<String>,
    pub(crate) scope: Scope,
}

impl Cluster {
    /// Connects, and finds the kinds that are asked for, each once, within the limit and
    /// before a signal comes.
    pub(crate) async fn open(
        target: Target,
        scope: Scope,
        kinds: &KindArgs,
        limit: Limit,
        interrupts: &mut Interrupts,
    ) -> Result<(Self, Vec<Found>), Failure> {
        let step = Step::new("the server has not said yet what it has".to_owned());
        let opening = async {
            let cluster = Self::connect(target, scope, &step).await?;
            let found = cluster.find(&kinds.kinds).await?;
            Ok((cluster, found))
        };
        tokio::select! {
            biased;
            () = interrupts.next() => Err(signals::too_early(&step.borrow())),
            opened = opening => opened,
            () = limit.passed() => Err(limit.too_short(&step.borrow())),
        }
    }

    async fn connect(target: Target, scope: Scope, step: &Step) -> Result<Self, Failure> {
        let kubectl = target.kubectl();
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
        Ok(Self { url, client, server, seed, kubectl, scope })
    }

    async fn find(&self, names: &[String]) -> Result<Vec<Found>, Failure> {
        let mut discovery = Discovery::new(&self.client, &self.url, self.kubectl.as_deref());
        let mut all: Vec<Found> = Vec::new();
        for name in names {
            let found = discovery.find(name).await?;
            if self.scope.namespace.is_some() && !found.namespaced {
                return Err(Failure::run(format!("{} have no namespace", found.name()))
                    .advise("leave out --namespace"));
            }
            // It may have been asked for by two names.
            if all.iter().all(|known| known.name() != found.name()) {
                all.push(found);
            }
        }
        Ok(all)
    }

    /// While it runs.
    pub(crate) fn name(&self) -> String {
        match self.server {
            Some(_) => format!("the embedded server at {}", self.url),
            None => self.url.clone(),
        }
    }

    /// When it may have ended.
    pub(crate) fn lasting_name(&self) -> String {
        match self.server {
            Some(_) => "the embedded server".to_owned(),
            None => self.url.clone(),
        }
    }

    pub(crate) fn source(&self, found: &Found) -> KubeSource<Mirrored> {
        let client = self.client.clone();
        let mut source = match &self.scope.namespace {
            Some(namespace) => KubeSource::namespaced_with(client, namespace, &found.resource),
            None => KubeSource::all_with(client, &found.resource),
        };
        if let Some(labels) = &self.scope.labels {
            source = source.labels(labels);
        }
        if let Some(fields) = &self.scope.fields {
            source = source.fields(fields);
        }
        // What is verified is the whole object, against the server's JSON.
        source.keep_managed_fields().json_only()
    }

    pub(crate) async fn close(self) {
        if let Some(server) = self.server.and_then(Arc::into_inner) {
            server.stop().await;
        }
    }
}
