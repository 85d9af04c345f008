//! A cluster to run an example on, with a namespace of its own there, and what examples need on it.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod backends;
pub mod greetings;
pub mod pods;

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::process::ExitCode;
use std::sync::Mutex;

use futures_util::FutureExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use watchcache::reflector::{Monitor, ReflectorBuilder, Source, renewing_client};
use watchcache_embedded_server::{Config, EmbeddedServer};

use crate::support::{self, Arguments, Error};

pub struct Cluster {
    pub client: kube::Client,
    /// Made for this run, and gone after it.
    pub namespace: String,
    others: Mutex<Vec<String>>,
    server: Option<EmbeddedServer>,
}

/// The options of an example that runs on a cluster.
pub const OPTIONS: &[&str] = &["--kubeconfig PATH"];

/// Runs an example on a cluster, and leaves that as it was found, however the example ends.
pub fn run(
    config: Config,
    example: impl AsyncFnOnce(&Cluster, &Arguments) -> Result<(), Error>,
) -> ExitCode {
    support::run(OPTIONS, async |arguments| {
        run_on(&arguments, config, async |cluster| example(cluster, &arguments).await).await
    })
}

/// The same for an example that has begun already.
pub async fn run_on(
    arguments: &Arguments,
    config: Config,
    example: impl AsyncFnOnce(&Cluster) -> Result<(), Error>,
) -> Result<(), Error> {
    let cluster = Cluster::connect(arguments, config).await?;
    let result = AssertUnwindSafe(example(&cluster)).catch_unwind().await;
    let closed = cluster.close().await;
    result.unwrap_or_else(|panic| resume_unwind(panic)).and(closed)
}

impl Cluster {
    /// The cluster of `--kubeconfig`, or an embedded one.
    async fn connect(arguments: &Arguments, mut config: Config) -> Result<Self, Error> {
        if cfg!(debug_assertions) {
            // What an unoptimised server can do beside everything else.
            config.rate /= 10;
        }
        let (mut config, server) = match &arguments.kubeconfig {
            Some(path) => {
                let kubeconfig = Kubeconfig::read_from(path)?;
                let options = KubeConfigOptions::default();
                (kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?, None)
            }
            None => {
                let server = EmbeddedServer::start(config).await?;
                (kube::Config::new(server.url().parse()?), Some(server))
            }
        };
        println!("on the API server at {}", config.cluster_url);
        // Reflectors and queues retry by themselves.
        config.default_retry = false;
        let client = renewing_client(config)?;
        let mut cluster =
            Self { client, namespace: String::new(), others: Mutex::default(), server };
        cluster.namespace = cluster.make_namespace(json!({})).await?;
        Ok(cluster)
    }

    async fn make_namespace(&self, annotations: Value) -> Result<String, Error> {
        let metadata = json!({"generateName": "watchcache-", "annotations": annotations});
        let namespace = serde_json::from_value(json!({"metadata": metadata}))?;
        let namespaces = Api::<Namespace>::all(self.client.clone());
        let created = namespaces.create(&PostParams::default(), &namespace).await?;
        Ok(created.metadata.name.unwrap_or_default())
    }

    /// One more namespace, with an annotation.
    pub async fn another_namespace(&self, annotation: &str, value: &str) -> Result<String, Error> {
        let name = self.make_namespace(json!({annotation: value})).await?;
        self.others.lock().expect("no holder panics").push(name.clone());
        Ok(name)
    }

    pub fn is_embedded(&self) -> bool {
        self.server.is_some()
    }

    /// The resources of a kind in the namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Leaves the cluster as it was found. What fails keeps nothing else from being deleted.
    async fn close(self) -> Result<(), Error> {
        let namespaces = Api::<Namespace>::all(self.client);
        let mut closed = Ok(());
        let others = self.others.into_inner().expect("no holder panics");
        for name in others.iter().chain([&self.namespace]) {
            let deleted = namespaces.delete(name, &DeleteParams::default()).await;
            closed = closed.and(ignore_missing(deleted).map_err(Error::from));
        }
        if let Some(server) = self.server {
            server.stop().await;
        }
        closed
    }
}

/// Runs a reflector for the rest of the process, and waits for its first list.
pub async fn mirrored<S: Source>(builder: ReflectorBuilder<S>) -> Result<Monitor, Error> {
    let reflector = builder.build();
    let monitor = reflector.monitor();
    let running = tokio::spawn(reflector.run(std::future::pending()));
    if monitor.synced().await.is_err() {
        // It tells why it has stopped.
        running.await??;
    }
    Ok(monitor)
}

/// What is gone already need not be deleted.
pub fn ignore_missing<R>(result: Result<R, kube::Error>) -> Result<(), kube::Error> {
    match result {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        other => other.map(drop),
    }
}
