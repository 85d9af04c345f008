//! The one cluster that all tests share.

use std::path::Path;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, ResourceExt};
use tokio::sync::{OnceCell, RwLock};

use crate::proxy::Proxy;
use crate::server::Server;
use crate::wire::Wire;

pub(crate) struct Cluster {
    server: OnceCell<Server>,
    /// Read by tests that need the servers running, written by those that disturb them.
    pub(crate) turns: RwLock<()>,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        Self { server: OnceCell::new(), turns: RwLock::new(()) }
    }

    /// The servers, started by whoever asks first.
    pub(crate) async fn server(&self) -> &Server {
        self.server.get_or_init(Server::start).await
    }

    pub(crate) async fn stop(&self) {
        if let Some(server) = self.server.get() {
            server.stop().await;
        }
    }

    /// The administrator's client, for what a test does beside its mirror.
    pub(crate) async fn client(&self) -> Client {
        Client::try_from(self.config().await).unwrap()
    }

    /// A client for a mirror, with a record of what it asks for.
    pub(crate) async fn wired_client(&self) -> (Client, Wire) {
        wired(self.config().await)
    }

    /// As [`wired_client`](Self::wired_client), over a connection that the test can cut.
    pub(crate) async fn proxied_client(&self) -> (Client, Wire, Proxy) {
        let mut config = self.config().await;
        let proxy = Proxy::start(config.cluster_url.authority().unwrap().as_str()).await;
        config.cluster_url = format!("https://{}", proxy.address()).parse().unwrap();
        let (client, wire) = wired(config);
        (client, wire, proxy)
    }

    pub(crate) async fn config(&self) -> Config {
        load(&self.server().await.ready.kubeconfig).await
    }

    /// A namespace of the test's own.
    pub(crate) async fn namespace(&self) -> String {
        let namespaces = Api::<Namespace>::all(self.client().await);
        let wanted = Namespace {
            metadata: ObjectMeta {
                generate_name: Some("test-".to_owned()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        namespaces.create(&PostParams::default(), &wanted).await.unwrap().name_any()
    }
}

/// Reads a kubeconfig.
pub(crate) async fn load(path: &Path) -> Config {
    let kubeconfig = Kubeconfig::read_from(path).unwrap();
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap()
}

fn wired(config: Config) -> (Client, Wire) {
    let wire = Wire::default();
    (ClientBuilder::try_from(config).unwrap().with_layer(&wire).build(), wire)
}
