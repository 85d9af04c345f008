//! The embedded server, at rest, for both programs to sync with.

use std::io::{Read, stdin};

use watchcache_embedded_server::{Config, EmbeddedServer};

pub(crate) fn run(pods: usize) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let config = Config { pods, rate: 0, ..Config::default() };
        let server = EmbeddedServer::start(config).await.expect("a free port");
        println!("{}", server.url());
        let ended = tokio::task::spawn_blocking(|| stdin().read_to_end(&mut Vec::new()));
        let _ = ended.await;
        server.stop().await;
    });
}
