//! A TCP proxy for Services: connections go round the ready endpoints that the store holds, while these
//! come and go. Each is one lookup, without a lock.
//!
//! ```sh
//! cargo run --release --example service_proxy --features kube -- --duration 5s  # or --kubeconfig FILE
//! ```
//!
//! The backends are tasks of this process; the cluster holds the Services and EndpointSlices.

mod cluster;
mod support;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cluster::backends::{Backends, Tally, ask};
use cluster::{Cluster, mirrored};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use support::{Arguments, Error, Until, check};
use tokio::net::{TcpListener, TcpStream};
use watchcache::reflector::{KubeSource, Reflector};
use watchcache::store::Index;
use watchcache::{Batch, Change, Key, KeyRef, Listing, Object, ResourceVersion, Sink, Store};
use watchcache_embedded_server::Config;

/// Where the connections of a Service go.
struct Route {
    service: Key,
    ready: Vec<SocketAddr>,
    turn: AtomicUsize,
}

impl Object for Route {
    fn key(&self) -> KeyRef<'_> {
        self.service.as_ref()
    }
}

/// Keeps a Route for each Service, made of all its slices. It stands behind the slices' store among
/// the sinks, and so finds there what it is told of.
#[derive(Clone)]
struct Routes {
    slices: Arc<Store<EndpointSlice>>,
    by_service: Index<EndpointSlice, Key>,
    routes: Arc<Store<Route>>,
}

/// The Service of a slice.
fn service_of(slice: &EndpointSlice) -> Option<Key> {
    let service = slice.label("kubernetes.io/service-name")?;
    Key::namespaced(slice.metadata.namespace.as_deref()?, service).ok()
}

fn ready(slice: &EndpointSlice) -> impl Iterator<Item = SocketAddr> {
    let port = slice.ports.iter().flatten().find_map(|port| port.port?.try_into().ok());
    let is_ready = |endpoint: &&Endpoint| {
        endpoint.conditions.as_ref().is_none_or(|conditions| conditions.ready != Some(false))
    };
    let endpoints = slice.endpoints.iter().flatten().filter(is_ready);
    let addresses = endpoints.flat_map(|endpoint| &endpoint.addresses);
    addresses.filter_map(move |address| Some(SocketAddr::new(address.parse().ok()?, port?)))
}

impl Routes {
    /// All the routes of a change become visible at once, with the version that they are of.
    fn update(&self, services: BTreeSet<Key>, version: Option<&ResourceVersion>) {
        let (slices, mut batch) = (self.slices.snapshot(), Batch::new());
        for service in services {
            let of_service = slices.by(&self.by_service, &service);
            let ready: Vec<_> = of_service.objects().flat_map(ready).collect();
            // The round goes on where it was.
            let before = self.routes.get(&service);
            // ORDERING: Relaxed; it only counts.
            let turn = before.map_or(0, |before| before.turn.load(Ordering::Relaxed)).into();
            batch.add(Route { service, ready, turn }).expect("its key is valid");
        }
        version.into_iter().for_each(|version| batch.set_resource_version(version.clone()));
        self.routes.apply(&batch);
    }

    /// Where the next connection goes: the hot path.
    fn pick(&self, service: &Key) -> Option<SocketAddr> {
        let routes = self.routes.pin();
        let route = routes.get(service)?;
        // ORDERING: Relaxed; it only counts.
        let turn = route.turn.fetch_add(1, Ordering::Relaxed);
        route.ready.get(turn.checked_rem(route.ready.len())?).copied()
    }

    /// Passes on connections to a Service, for ever.
    async fn serve(self, service: Key, listener: TcpListener) {
        while let Ok((mut client, _)) = listener.accept().await {
            let (routes, service) = (self.clone(), service.clone());
            tokio::spawn(async move {
                // An endpoint that has gone since it was picked costs another try.
                while let Some(endpoint) = routes.pick(&service) {
                    if let Ok(mut backend) = TcpStream::connect(endpoint).await {
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut backend).await;
                        break;
                    }
                    // All of them may refuse.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
        }
    }
}

impl Sink<EndpointSlice> for Routes {
    fn apply(&self, batch: &Batch<EndpointSlice>) {
        let changed = batch.changes().filter_map(|(_, change)| match change {
            Change::Add(slice) | Change::Delete(Some(slice)) => service_of(slice),
            // The API server sends the last state of what is gone.
            Change::Delete(None) => None,
        });
        self.update(changed.collect(), batch.resource_version());
    }

    fn replace(&self, listing: &Listing<EndpointSlice>) {
        let listed = listing.objects().filter_map(|(_, slice)| service_of(slice));
        self.update(listed.chain(self.routes.keys()).collect(), listing.resource_version());
    }
}

fn main() -> ExitCode {
    cluster::run(Config { pods: 100, rate: 50, ..Config::default() }, proxy)
}

async fn proxy(cluster: &Cluster, arguments: &Arguments) -> Result<(), Error> {
    let backends = Arc::new(Backends::new(cluster, ["web", "api", "db"]).await?);
    let by_service = Index::new("service", service_of);
    let slices = Arc::new(Store::builder().index(&by_service).build());
    let routes = Routes { slices, by_service, routes: Arc::default() };
    let source = KubeSource::namespaced(cluster.client.clone(), &cluster.namespace);
    let slices = Reflector::builder(source).sink(Arc::clone(&routes.slices)).sink(routes.clone());
    let monitor = mirrored(slices).await?;
    let services = Arc::new(Store::<Service>::new());
    let source = KubeSource::namespaced(cluster.client.clone(), &cluster.namespace);
    mirrored(Reflector::builder(source).sink(Arc::clone(&services))).await?;

    let until = arguments.begin();
    let (tally, mut clients) = (Arc::new(Tally::default()), tokio::task::JoinSet::new());
    for service in services.keys() {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        println!("{service} is at {address}");
        tokio::spawn(routes.clone().serve(service, listener));
        for _ in 0..3 {
            let (routes, backends) = (Arc::clone(&routes.routes), Arc::clone(&backends));
            clients.spawn(client(address, routes, backends, Arc::clone(&tally), until.clone()));
        }
    }
    let (reported, rolls) = (Arc::clone(&tally), Arc::clone(&backends));
    let line = move || reported.line(rolls.rolled());
    support::report(until.clone(), line.clone());
    backends.roll(&monitor, until).await?;
    clients.join_all().await;
    println!("{}", line());
    let (served, failures) = (tally.served(), tally.failures());
    if !failures.is_empty() {
        return Err(format!("of {served} connections these failed: {failures:?}").into());
    }
    println!("holds: of {served} connections none failed");
    let any = served > 0 && backends.rolled() > 0;
    check(any, "there were connections, while endpoints came and went")
}

/// Connects again and again. What it reaches must have been ready by what was known before.
async fn client(
    address: SocketAddr,
    routes: Arc<Store<Route>>,
    backends: Arc<Backends>,
    tally: Arc<Tally>,
    mut until: Until,
) {
    while until.pause(Duration::from_millis(2)).await {
        let known = routes.resource_version();
        match ask(address).await {
            Ok(backend) if backends.was_ready(backend, known.as_ref()) => tally.serve(),
            Ok(backend) => tally.fail(format!("backend {backend} was not ready any more")),
            Err(error) => tally.fail(error.to_string()),
        }
    }
}
