//! The embedded server, for both programs to sync with. It changes only when it is told to.

use std::io::stdin;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use watchcache::Store;
use watchcache::reflector::{KubeSource, Lazy, Monitor, Reflector};
use watchcache_embedded_server::{Config, EmbeddedServer, HistoryLimit};

/// Prints the URL. Then each line of the input is a number of changes to make; the answer is the
/// version of the last. The end of the input ends it.
pub(crate) fn run(pods: usize) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        // Who watches from its list on is to get all changes, however many.
        let history = HistoryLimit { changes: usize::MAX, bytes: usize::MAX };
        let config = Config { pods, rate: 0, history, ..Config::default() };
        let server = EmbeddedServer::start(config).await.expect("a free port");
        let config = kube::Config::new(server.url().parse().expect("the server's own"));
        let client = Client::try_from(config).expect("no certificates to read");
        let encoded = encoded(client.clone()).await;
        let pods = Api::all(client);
        println!("{}", server.url());
        // Nothing else is due in this task: reading may block it.
        for line in stdin().lines() {
            let changes = line.expect("text").parse().expect("a number of changes");
            let last = change(&server, changes, &pods).await;
            encoded.wait_for(&last.as_str().into()).await.expect("it runs");
            println!("{last}");
        }
        server.stop().await;
    });
}

/// Asks for everything in protobuf. The server encodes an object once, for whoever asks first: that should
/// be nobody who is measured.
async fn encoded(client: Client) -> Monitor {
    let source = KubeSource::<Lazy<Pod>>::all(client);
    let reflector = Reflector::builder(source).sink(Arc::new(Store::new())).build();
    let monitor = reflector.monitor();
    tokio::spawn(reflector.run(std::future::pending::<()>()));
    monitor.synced().await.expect("it runs");
    monitor
}

/// Makes so many changes and, if the last is not one of a Pod that is still there, some more.
async fn change(server: &EmbeddedServer, changes: u64, pods: &Api<Pod>) -> String {
    server.advance(changes);
    loop {
        let last = server.resource_version().to_string();
        let listed = pods.list_metadata(&ListParams::default()).await.expect("it is served");
        if listed.iter().any(|pod| pod.resource_version().as_ref() == Some(&last)) {
            return last;
        }
        server.advance(1);
    }
}
