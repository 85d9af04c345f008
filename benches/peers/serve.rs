//! The embedded server, for both programs to sync with. It changes only when it is told to.

use std::io::stdin;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use watchcache_embedded_server::{Config, EmbeddedServer};

/// Prints the URL. Then each line of the input is a number of changes to make; the answer is the
/// version of the last. The end of the input ends it.
pub(crate) fn run(pods: usize) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let config = Config { pods, rate: 0, ..Config::default() };
        let server = EmbeddedServer::start(config).await.expect("a free port");
        println!("{}", server.url());
        let config = kube::Config::new(server.url().parse().expect("the server's own"));
        let pods = Api::all(Client::try_from(config).expect("no certificates to read"));
        // Nothing else is due in this task: reading may block it.
        for line in stdin().lines() {
            let changes = line.expect("text").parse().expect("a number of changes");
            println!("{}", change(&server, changes, &pods).await);
        }
        server.stop().await;
    });
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
