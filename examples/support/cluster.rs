//! A cluster to run an example on, with a namespace of its own there.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use watchcache::reflector::{Monitor, ReflectorBuilder, Source, renewing_client};
use watchcache_embedded_server::{Config, EmbeddedServer};

use super::{Arguments, Error};

pub struct Cluster {
    pub client: kube::Client,
    /// Made for this run, and gone after it.
    pub namespace: String,
    server: Option<EmbeddedServer>,
}

impl Cluster {
    /// The cluster of `--kubeconfig`, or an embedded one.
    pub async fn connect(arguments: &Arguments, config: Config) -> Result<Self, Error> {
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
        let wanted = json!({"metadata": {"generateName": "watchcache-"}});
        let namespaces = Api::<Namespace>::all(client.clone());
        let created =
            namespaces.create(&PostParams::default(), &serde_json::from_value(wanted)?).await?;
        Ok(Self { client, namespace: created.metadata.name.unwrap_or_default(), server })
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

    /// Leaves the cluster as it was found.
    pub async fn close(self) -> Result<(), Error> {
        let namespaces = Api::<Namespace>::all(self.client);
        namespaces.delete(&self.namespace, &DeleteParams::default()).await?;
        if let Some(server) = self.server {
            server.stop().await;
        }
        Ok(())
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
