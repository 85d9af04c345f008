//! A seeded, deterministic simulation of a live Kubernetes cluster.
//!
//! The state kept of every object is small; its JSON is built whenever the object changes.
//! All chance comes from one generator and all time from a virtual clock, so equal seeds give
//! equal histories.

mod clock;
mod cluster;
mod config_map;
mod happening;
mod managed_fields;
mod names;
mod namespace;
mod node;
mod pod;
mod pod_spec;
mod pod_status;
mod service;
#[cfg(test)]
mod tests;
mod workload;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::resource::ResourceId;
use clock::Clock;
use cluster::{Cluster, PodId};
use happening::Happening;
pub(crate) use names::uid;

/// One change to one object.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Mutation {
    pub(crate) resource: ResourceId,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    pub(crate) change: Change,
}

/// A change to an object. Objects are complete except for `metadata.resourceVersion`, which the server
/// sets.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Change {
    Create(Value),
    Update(Value),
    Delete,
}

/// What binds the simulated Pods to Nodes.
///
/// ```
/// use k8s_openapi::api::core::v1::Pod;
/// use watchcache_embedded_server::{Config, EmbeddedServer, Scheduler};
///
/// # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
/// let config = Config { pods: 10, rate: 0, scheduler: Scheduler::External, ..Config::default() };
/// let server = EmbeddedServer::start(config).await?;
/// let client = kube::Client::try_from(kube::Config::new(server.url().parse()?))?;
/// let pods = kube::Api::<Pod>::default_namespaced(client);
/// let web = serde_json::from_value(serde_json::json!({
///     "metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "web:1"}]},
/// }))?;
/// let web: Pod = pods.create(&Default::default(), &web).await?;
/// // It is for the program under test to bind it.
/// assert!(web.spec.is_some_and(|spec| spec.node_name.is_none()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Scheduler {
    /// The simulation, and for the Pods of clients the server.
    #[default]
    Simulated,
    /// Nothing in the server: Pods stay unbound until a client posts a Binding.
    External,
}

/// A cluster in motion.
#[derive(Debug)]
pub(crate) struct Simulation {
    rng: ChaCha8Rng,
    clock: Clock,
    cluster: Cluster,
    /// What is under way, at most `concurrency` at a time.
    happenings: Vec<Happening>,
    concurrency: usize,
    /// How many pods a rollout may make at a time.
    surge: usize,
    /// How many pods there are to be, give or take a few percent.
    pods: usize,
    /// Pods that a client has deleted, to be replaced once their workload is idle.
    lost: Vec<PodId>,
}

impl Simulation {
    /// A cluster of exactly `pods` pods, all of them settled.
    pub(crate) fn new(seed: u64, pods: usize, scheduler: Scheduler) -> Simulation {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let clock = Clock::new();
        let cluster = Cluster::new(&mut rng, pods, clock.now(), scheduler);
        // Together these bound the pods in excess: `concurrency * surge` is at most about 2 %.
        let concurrency = (pods / 100).clamp(2, 48);
        Simulation {
            rng,
            clock,
            cluster,
            happenings: Vec::new(),
            concurrency,
            surge: (pods / 50 / concurrency).clamp(1, 4),
            pods,
            lost: Vec::new(),
        }
    }

    /// Puts of everything there is at present, built one by one: as trees of `Value`, those of
    /// 50,000 pods would take gigabytes at once.
    pub(crate) fn contents(&self) -> impl Iterator<Item = Mutation> + '_ {
        self.cluster.contents()
    }

    /// Makes exactly one change.
    pub(crate) fn step(&mut self) -> Mutation {
        self.clock.advance(&mut self.rng);
        match self.rng.random_range(0..100) {
            0..6 => return self.heartbeat(),
            6..8 => {
                if let Some(edit) = self.edit_config_map() {
                    return edit;
                }
            }
            _ => {}
        }
        self.replace_lost();
        if self.happenings.len() < self.concurrency {
            self.start_happening();
        }
        self.advance_happening().unwrap_or_else(|| self.heartbeat())
    }

    /// Starts something in some idle workload. The tries are few, so that a cluster with hardly
    /// an idle workload costs no more than any other.
    fn start_happening(&mut self) {
        let workloads = self.cluster.workloads.len();
        if workloads == 0 {
            return;
        }
        for _ in 0..4 {
            let workload = self.rng.random_range(0..workloads);
            if self.cluster.workloads[workload].busy {
                continue;
            }
            let (rng, cluster) = (&mut self.rng, &mut self.cluster);
            if let Some(started) = Happening::start(rng, cluster, workload, self.surge, self.pods) {
                self.happenings.push(started);
                return;
            }
        }
    }

    /// The next change of some happening. One that waits for a binding has none, so a few are
    /// tried, and then it is as if there were nothing to do.
    fn advance_happening(&mut self) -> Option<Mutation> {
        for _ in 0..8 {
            if self.happenings.is_empty() {
                return None;
            }
            let index = self.rng.random_range(0..self.happenings.len());
            let happening = &mut self.happenings[index];
            let mutation = happening.advance(&mut self.cluster, self.clock.now());
            if happening.is_over() {
                self.happenings.swap_remove(index);
            }
            if mutation.is_some() {
                return mutation;
            }
        }
        None
    }

    /// A client has bound a pod; returns whether it is one of this cluster's, to one of its nodes.
    pub(crate) fn bound(&mut self, namespace: &str, name: &str, node: &str) -> bool {
        self.cluster.bind(namespace, name, node, self.clock.now())
    }

    /// A client has removed a pod: its workload makes another.
    pub(crate) fn removed(&mut self, namespace: &str, name: &str) {
        if let Some(pod) = self.cluster.lose(namespace, name) {
            self.lost.push(pod);
        }
    }

    /// Starts the replacement of pods that clients have removed, if nothing else is under way: that may
    /// concern the same pod.
    fn replace_lost(&mut self) {
        let (rng, cluster, happenings) = (&mut self.rng, &mut self.cluster, &mut self.happenings);
        self.lost.retain(|&pod| match cluster.workload_of(pod) {
            Some(workload) if cluster.workloads[workload].busy => true,
            Some(workload) => {
                happenings.push(Happening::replace(rng, cluster, workload, pod));
                false
            }
            // A happening has removed it.
            None => false,
        });
    }

    fn heartbeat(&mut self) -> Mutation {
        // There are always at least three nodes.
        let index = self.rng.random_range(0..self.cluster.nodes.len());
        self.cluster.nodes[index].heartbeat = self.clock.now();
        self.cluster.put_node(index)
    }

    fn edit_config_map(&mut self) -> Option<Mutation> {
        let count = self.cluster.config_maps.len();
        if count == 0 {
            return None;
        }
        let index = self.rng.random_range(0..count);
        self.cluster.config_maps[index].edit();
        Some(self.cluster.put_config_map(&self.cluster.config_maps[index]))
    }
}
