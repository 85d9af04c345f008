//! Servers behind Services, which come and go: each is a task of this process, with an EndpointSlice
//! of its own.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use watchcache::ResourceVersion;
use watchcache::reflector::Monitor;

use super::Cluster;
use crate::support::{Error, Until};

pub struct Backends {
    slices: Api<EndpointSlice>,
    host: IpAddr,
    services: Vec<&'static str>,
    next: AtomicU64,
    running: Mutex<VecDeque<Backend>>,
    /// The versions in which backends stopped being ready.
    withdrawn: Mutex<HashMap<u64, ResourceVersion>>,
    rolled: AtomicU64,
}

struct Backend {
    number: u64,
    service: &'static str,
    slice: String,
    stop: watch::Sender<bool>,
}

impl Backends {
    /// Three behind each Service.
    pub async fn new<const N: usize>(
        cluster: &Cluster,
        services: [&'static str; N],
    ) -> Result<Self, Error> {
        let api = cluster.api::<Service>();
        for name in services {
            let service = json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}});
            api.create(&PostParams::default(), &serde_json::from_value(service)?).await?;
        }
        let backends = Self {
            slices: cluster.api(),
            // A real API server takes no loopback address for an endpoint's.
            host: if cluster.is_embedded() { Ipv4Addr::LOCALHOST.into() } else { own_address() },
            services: services.to_vec(),
            next: AtomicU64::new(0),
            running: Mutex::default(),
            withdrawn: Mutex::default(),
            rolled: AtomicU64::new(0),
        };
        for service in services.iter().cycle().take(3 * N) {
            backends.start(service).await?;
        }
        Ok(backends)
    }

    /// Starts one more, and tells the cluster of it.
    async fn start(&self, service: &'static str) -> Result<(), Error> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let listener = TcpListener::bind((self.host, 0)).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(serve(number, listener, stopped));
        let slice = serde_json::from_value(json!({
            "metadata": {
                "generateName": format!("{service}-"),
                "labels": {
                    "kubernetes.io/service-name": service,
                    "endpointslice.kubernetes.io/managed-by": "watchcache-example",
                },
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address.ip()], "conditions": {"ready": true}}],
            "ports": [{"port": address.port()}],
        }))?;
        let created = self.slices.create(&PostParams::default(), &slice).await?;
        let slice = created.metadata.name.unwrap_or_default();
        let backend = Backend { number, service, slice, stop };
        self.running.lock().expect("no holder panics").push_back(backend);
        Ok(())
    }

    /// Replaces the oldest again and again: starts another, takes the old one out, and stops it once
    /// the mirror knows.
    pub async fn roll(&self, mirror: &Monitor, mut until: Until) -> Result<(), Error> {
        while until.pause(Duration::from_millis(100)).await {
            let oldest = self.running.lock().expect("no holder panics").pop_front();
            let Some(old) = oldest else { break };
            self.start(old.service).await?;
            let ending = json!({"ready": false, "serving": true, "terminating": true});
            let patch =
                json!([{"op": "replace", "path": "/endpoints/0/conditions", "value": ending}]);
            let patch = Patch::Json::<()>(serde_json::from_value(patch)?);
            let patched = self.slices.patch(&old.slice, &PatchParams::default(), &patch).await?;
            let version =
                ResourceVersion::from(patched.metadata.resource_version.unwrap_or_default());
            self.withdrawn.lock().expect("no holder panics").insert(old.number, version.clone());
            mirror.wait_for(&version).await?;
            old.stop.send_replace(true);
            self.slices.delete(&old.slice, &DeleteParams::default()).await?;
            self.rolled.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// How many were replaced.
    pub fn rolled(&self) -> u64 {
        self.rolled.load(Ordering::Relaxed)
    }

    /// Whether a backend was ready at a version.
    pub fn was_ready(&self, number: u64, at: Option<&ResourceVersion>) -> bool {
        let withdrawn = self.withdrawn.lock().expect("no holder panics");
        let Some((withdrawn, at)) = withdrawn.get(&number).zip(at) else { return true };
        withdrawn.compare(at).is_some_and(|order| order.is_gt())
    }
}

/// Answers each connection with its number. Once stopped it goes on for as long as anybody comes.
async fn serve(number: u64, listener: TcpListener, mut stopped: watch::Receiver<bool>) {
    loop {
        let idle = async {
            drop(stopped.wait_for(|stopped| *stopped).await);
            tokio::time::sleep(Duration::from_millis(300)).await;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = idle => return,
        };
        if let Ok((mut stream, _)) = accepted {
            tokio::spawn(async move {
                let mut word = [0; 4];
                if stream.read_exact(&mut word).await.is_ok() {
                    let _ = stream.write_all(&number.to_be_bytes()).await;
                }
            });
        }
    }
}

/// The number of the backend that answers at this address.
pub async fn ask(address: SocketAddr) -> std::io::Result<u64> {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"who?").await?;
        stream.shutdown().await?;
        stream.read_u64().await
    };
    // Whoever hears nothing for so long never will.
    tokio::time::timeout(Duration::from_secs(30), asked).await?
}

/// The address by which others reach this machine. Nothing is sent.
fn own_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    });
    socket.map_or(Ipv4Addr::LOCALHOST.into(), |address| address.ip())
}

/// What became of the connections.
pub struct Tally {
    began: Instant,
    served: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Default for Tally {
    fn default() -> Self {
        Self { began: Instant::now(), served: AtomicU64::new(0), failures: Mutex::default() }
    }
}

impl Tally {
    pub fn serve(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }

    pub fn fail(&self, why: String) {
        self.failures.lock().expect("no holder panics").push(why);
    }

    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    pub fn failures(&self) -> Vec<String> {
        self.failures.lock().expect("no holder panics").clone()
    }

    pub fn line(&self, rolled: u64) -> String {
        let (served, failed) = (self.served(), self.failures().len());
        let rate = served as f64 / self.began.elapsed().as_secs_f64();
        format!("{served} connections, {rate:.0}/s; {failed} failed; {rolled} endpoints replaced")
    }
}
