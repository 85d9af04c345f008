//! Continue tokens, from the client's request to the embedded server's answer: a token of the
//! server's own leads on, any other is refused as such, and none makes it fail.
#![no_main]

use std::sync::OnceLock;

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;
use watchcache::reflector::{KubeSource, Lazy, ListRequest, Source, SourceError};
use watchcache_embedded_server::{Config, EmbeddedServer};

struct Fixture {
    runtime: Runtime,
    server: EmbeddedServer,
    source: KubeSource<Lazy<Pod>>,
}

fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let runtime = Runtime::new().expect("a runtime");
        let config = Config { pods: 5, rate: 0, seed: 1, ..Config::default() };
        let (server, source) = runtime.block_on(async {
            let server = EmbeddedServer::start(config).await.expect("a server");
            let url = server.url().parse().expect("a URL");
            let mut config = kube::Config::new(url);
            config.default_retry = false;
            let client = Client::try_from(config).expect("a client");
            (server, KubeSource::all(client))
        });
        Fixture { runtime, server, source }
    })
}

fuzz_target!(|token: &str| {
    let Fixture { runtime, server, source } = fixture();
    let request = ListRequest::pages(2).after(token);
    match runtime.block_on(source.list(request)) {
        Ok(page) => assert!(page.resource_version.is_some()),
        Err(SourceError::Expired { .. }) => {}
        Err(error) => assert!(
            error.is_unsupported() || error.is_version_too_large(),
            "{token:?} at {}: {error}",
            server.url()
        ),
    }
});
