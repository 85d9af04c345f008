//! A mirror under test: reflector, store, Fifo and a consumer that remembers what it saw.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::api::{Api, ListParams};
use kube::core::Resource;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use watchcache::reflector::{KubeSource, Monitor, Progress, Reflector, ReflectorBuilder};
use watchcache::{Fifo, Object, Store};

/// How long a mirror may take to catch up with a server that does not change.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) trait Mirrored:
    Resource + Clone + Debug + PartialEq + DeserializeOwned + Send + Sync + 'static
{
}

impl<K> Mirrored for K where
    K: Resource + Clone + Debug + PartialEq + DeserializeOwned + Send + Sync + 'static
{
}

pub(crate) struct Mirror<K: Mirrored> {
    pub(crate) store: Arc<Store<K>>,
    monitor: Monitor,
    fifo: Fifo<K>,
    /// By key, the version that the consumer saw last.
    seen: Arc<Mutex<BTreeMap<String, Option<String>>>>,
    run: JoinHandle<()>,
}

impl<K: Mirrored> Mirror<K> {
    /// Starts to mirror and to consume.
    pub(crate) fn start(source: KubeSource<K>) -> Self {
        Self::run(Reflector::builder(source.keep_managed_fields()))
    }

    /// Starts to mirror by a watch that begins with all objects, and waits until it has them.
    pub(crate) async fn streamed(source: KubeSource<K>) -> Self {
        let source = source.keep_managed_fields();
        let mirror = Self::run(Reflector::builder(source).streaming_list(true));
        mirror.monitor.synced().await.unwrap();
        mirror
    }

    fn run(builder: ReflectorBuilder<KubeSource<K>>) -> Self {
        let (store, fifo) = (Arc::new(Store::new()), Fifo::new());
        let reflector = builder.sink(Arc::clone(&store)).sink(fifo.clone()).build();
        let monitor = reflector.monitor();
        let run = tokio::spawn(async move {
            reflector.run(std::future::pending()).await.expect("it stops only when told to");
        });
        let seen = Arc::default();
        tokio::spawn(consume(fifo.clone(), Arc::clone(&seen)));
        Self { store, monitor, fifo, seen, run }
    }

    /// Starts to mirror and waits for the first list.
    pub(crate) async fn synced(source: KubeSource<K>) -> Self {
        let mirror = Self::start(source);
        mirror.monitor.synced().await.unwrap();
        mirror
    }

    pub(crate) fn progress(&self) -> Progress {
        self.monitor.progress()
    }

    /// Waits until a condition on the progress holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&Progress) -> bool) {
        let started = Instant::now();
        while !holds(&self.progress()) {
            assert!(started.elapsed() < PATIENCE, "never {what}: {:?}", self.progress());
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until store and consumer have what the server has, which nobody changes meanwhile,
    /// and returns the number of objects.
    pub(crate) async fn assert_equals(&self, server: &Api<K>) -> usize {
        let listed = server.list(&ListParams::default()).await.unwrap().items;
        let expected: BTreeMap<_, _> =
            listed.into_iter().map(|object| (object.key().to_string(), object)).collect();
        let started = Instant::now();
        while let Some(difference) = self.difference(&expected) {
            let progress = self.progress();
            assert!(started.elapsed() < PATIENCE, "{difference}; {progress:?}");
            sleep(Duration::from_millis(20)).await;
        }
        assert!(self.fifo.has_synced(), "all of the first list was taken");
        assert_eq!((self.progress().undecodable, self.progress().unknown_events), (0, 0));
        expected.len()
    }

    /// What is not yet as expected, if anything.
    fn difference(&self, expected: &BTreeMap<String, K>) -> Option<String> {
        let snapshot = self.store.snapshot();
        if snapshot.len() != expected.len() {
            return Some(format!("{} objects, not {}", snapshot.len(), expected.len()));
        }
        let seen = self.seen.lock().unwrap();
        expected.iter().find_map(|(key, object)| {
            if snapshot.get(key.as_str()).is_none_or(|held| **held != *object) {
                return Some(format!("the store differs at {key}"));
            }
            let version = object.meta().resource_version.clone();
            (seen.get(key) != Some(&version)).then(|| format!("the consumer has not seen {key}"))
        })
    }
}

impl<K: Mirrored> Drop for Mirror<K> {
    fn drop(&mut self) {
        self.run.abort();
        self.fifo.close();
    }
}

async fn consume<K: Mirrored>(fifo: Fifo<K>, seen: Arc<Mutex<BTreeMap<String, Option<String>>>>) {
    while let Ok(lease) = fifo.lease_async().await {
        let version = lease.object().meta().resource_version.clone();
        seen.lock().unwrap().insert(lease.key().to_string(), version);
        lease.done();
    }
}
