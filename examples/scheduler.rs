//! A scheduler: Pods without a Node come out of a queue, are placed by what the caches hold, and are
//! bound through the API. On a real cluster it places the Pods whose `schedulerName` is "watchcache".
//!
//! ```sh
//! cargo run --release --example scheduler --features kube -- --duration 5s  # or --kubeconfig FILE
//! ```

mod cluster;
mod support;

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::pods::{self, allocatable, is_unbound, less, may_be_on, node_of, selector, takes};
use cluster::{Cluster, mirrored};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, ListParams, PostParams};
use serde_json::{Value, json};
use support::{Arguments, Error, Only, Until, check};
use tokio::task::JoinSet;
use watchcache::fifo::{Backoff, Lease};
use watchcache::reflector::{KubeSource, Reflector};
use watchcache::{Fifo, Key, Listing, Object, Snapshot, Store, store::Index};
use watchcache_embedded_server::{Config, Scheduler as BoundBy};

struct Scheduler {
    nodes: Arc<Store<Node>>,
    pods: Arc<Store<Pod>>,
    by_node: Index<Pod, str>,
    unbound: Fifo<Pod>,
    /// Pods that are bound, or about to be, of which the store does not know yet.
    reserved: HashMap<Key, Reservation>,
    /// Where each Pod went, by uid: the Node as it was when that was decided.
    placed: HashMap<String, Arc<Node>>,
}

#[derive(Clone)]
struct Reservation {
    pod: Arc<Pod>,
    node: Arc<Node>,
}

enum Unplaced {
    BoundOrGone,
    /// It comes back when its back-off is over, unless it is deleted before.
    NoRoom,
}

fn main() -> ExitCode {
    let config = Config { pods: 300, rate: 400, scheduler: BoundBy::External, ..Config::default() };
    cluster::run(config, schedule)
}

async fn schedule(cluster: &Cluster, arguments: &Arguments) -> Result<(), Error> {
    let name = if cluster.is_embedded() { "default-scheduler" } else { "watchcache" };
    let backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(500));
    let by_node = pods::by_node();
    let mut scheduler = Scheduler {
        nodes: Arc::new(Store::builder().label_index("topology.kubernetes.io/zone").build()),
        pods: Arc::new(Store::builder().index(&by_node).build()),
        by_node,
        unbound: Fifo::builder().backoff(backoff).build()?,
        reserved: HashMap::new(),
        placed: HashMap::new(),
    };
    let client = &cluster.client;
    let nodes = Reflector::builder(KubeSource::all(client.clone()));
    mirrored(nodes.sink(Arc::clone(&scheduler.nodes))).await?;
    // The store first: whoever is handed a Pod by the queue then finds it there.
    let pods = Reflector::builder(KubeSource::all(client.clone()));
    let unbound = Only::new(scheduler.unbound.clone(), move |pod| is_unbound(pod, name));
    mirrored(pods.sink(Arc::clone(&scheduler.pods)).sink(unbound)).await?;
    let until = arguments.begin();
    let demand = pods::demand(cluster, name, scheduler.nodes.list(), until.clone());
    let (demanded, ()) = tokio::join!(demand, scheduler.run(client, until));
    demanded?;
    scheduler.verify(client).await
}

impl Scheduler {
    /// One decision after the other, so that each knows those before it; bindings run meanwhile.
    async fn run(&mut self, client: &kube::Client, mut until: Until) {
        let (began, mut bindings) = (Instant::now(), JoinSet::new());
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                () = until.over() => break,
                _ = seconds.tick() => self.report(began),
                Some(Ok(ended)) = bindings.join_next() => self.learn(ended),
                Ok(lease) = self.unbound.lease_async() => match self.decide(lease.key()) {
                    Ok(there) => drop(bindings.spawn(bind(client.clone(), lease, there))),
                    Err(Unplaced::BoundOrGone) => lease.done(),
                    Err(Unplaced::NoRoom) => lease.retry(),
                },
            }
        }
        bindings.join_all().await.into_iter().for_each(|ended| self.learn(ended));
        self.report(began);
    }

    /// Picks the fullest Node that takes the Pod and has room, by what the stores hold and will hold.
    fn decide(&mut self, key: &Key) -> Result<Reservation, Unplaced> {
        let (nodes, pods) = (self.nodes.snapshot(), self.pods.snapshot());
        self.reserved.retain(|key, reserved| {
            // Until the store has the Pod on its Node, or has it no more.
            let held = pods.get(key).filter(|held| held.uid() == reserved.pod.uid());
            held.is_some_and(|held| node_of(&held).is_none())
        });
        let unbound = pods.get(key).filter(|pod| node_of(pod).is_none());
        let unbound = unbound.filter(|_| !self.reserved.contains_key(key));
        let pod = unbound.ok_or(Unplaced::BoundOrGone)?;
        let selector = selector(&pod);
        let open = nodes.select(&selector).map(|(_, node)| node).filter(|node| takes(node, &pod));
        let after = open.map(|node| (less(self.left(&node, &pods), &pod), node));
        let with_room = after.filter(|(left, _)| left.iter().all(|left| *left >= 0));
        let fullest = with_room.min_by_key(|(left, _)| *left).ok_or(Unplaced::NoRoom)?;
        let reservation = Reservation { pod: pod.to_arc(), node: fullest.1.to_arc() };
        self.reserved.insert(key.clone(), reservation.clone());
        Ok(reservation)
    }

    /// What a Node has left.
    fn left(&self, node: &Node, pods: &Snapshot<Pod>) -> [i64; 3] {
        let name = node.key().name();
        let reserved = self.reserved.values().filter(|it| it.node.key().name() == name);
        let there = pods.by(&self.by_node, name).objects();
        there.chain(reserved.map(|reserved| &*reserved.pod)).fold(allocatable(node), less)
    }

    /// What became of a binding.
    fn learn(&mut self, (lease, bound): (Lease<Pod>, Option<Reservation>)) {
        let Some(Reservation { pod, node }) = bound else {
            self.reserved.remove(lease.key());
            return lease.retry();
        };
        let before = self.placed.insert(pod.uid().unwrap_or_default().to_owned(), node);
        assert!(before.is_none(), "{} is bound twice", lease.key());
        lease.done();
    }

    fn report(&self, began: Instant) {
        let (stats, seconds) = (self.unbound.stats(), began.elapsed().as_secs_f64());
        let (decided, waiting) = (stats.popped, stats.depth + stats.delayed);
        let (rate, placed) = (decided as f64 / seconds, self.placed.len());
        println!("{seconds:5.1} s: {decided} decided, {rate:.0}/s; {placed} bound, {waiting} wait");
    }

    /// By the server's own lists.
    async fn verify(&mut self, client: &kube::Client) -> Result<(), Error> {
        let nodes = Api::<Node>::all(client.clone()).list(&ListParams::default()).await?.items;
        let pods = Api::<Pod>::all(client.clone()).list(&ListParams::default()).await?.items;
        let truth = Store::builder().index(&self.by_node).build();
        truth.replace(&Listing::new(pods, None)?);
        let pods = truth.snapshot();
        self.reserved.clear();
        let is_over = |node: &Node| self.left(node, &pods).iter().any(|left| *left < 0);
        check(!nodes.iter().any(is_over), format!("none of {} Nodes has too much", nodes.len()))?;
        let ours = pods.objects().filter_map(|pod| Some((pod, self.placed.get(pod.uid()?)?)));
        // A Node that was cordoned or labelled anew since then keeps its Pods.
        let is_right = |(pod, node): &(&Pod, &Arc<Node>)| {
            node_of(pod) == Some(node.key().name()) && may_be_on(node, pod)
        };
        let (right, wrong): (Vec<_>, Vec<_>) = ours.partition(is_right);
        let all = right.len() + wrong.len();
        check(wrong.is_empty(), format!("each of {all} Pods is where it was and may be placed"))?;
        let placed = self.placed.len();
        check(placed > 0, format!("{placed} Pods were placed, none of them twice"))
    }
}

/// Binds a Pod; if that fails, what the server says of the Pod counts.
async fn bind(
    client: kube::Client,
    lease: Lease<Pod>,
    there: Reservation,
) -> (Lease<Pod>, Option<Reservation>) {
    let (namespace, name) = (lease.key().namespace().unwrap_or_default(), lease.key().name());
    let pods = Api::<Pod>::namespaced(client, namespace);
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "target": {"kind": "Node", "name": there.node.key().name()},
        "metadata": {"name": name, "uid": there.pod.uid()},
    });
    let params = PostParams::default();
    let bound = pods.create_subresource::<_, Value>("binding", name, &params, &binding).await;
    let mut is_bound = bound.is_ok();
    while !is_bound {
        let Ok(now) = pods.get_opt(name).await else {
            // Until it is known, the room stays taken.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let same = now.filter(|now| now.uid() == there.pod.uid());
        is_bound = same.is_some_and(|now| node_of(&now) == Some(there.node.key().name()));
        break;
    }
    (lease, is_bound.then_some(there))
}
