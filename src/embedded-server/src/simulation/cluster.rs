//! The state of the whole cluster, and the objects it stands for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::config_map::ConfigMap;
use super::namespace::Namespace;
use super::node::Node;
use super::pod::{self, Pod, Stage};
use super::workload::{Kind, Workload};
use super::{Change, Mutation, Scheduler, names, service};
use crate::resource::{
    CONFIG_MAPS, ENDPOINT_SLICES, NAMESPACES, NODES, PODS, ResourceId, SERVICES,
};

/// Replicas of new workloads: most are small, a few are not; the mean is about eight.
const REPLICAS: &[&usize] = &[&1, &2, &2, &3, &3, &3, &5, &6, &8, &10, &12, &20, &32];

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// Everything there is, by index; pods live in reusable slots.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    pub(super) namespaces: Vec<Namespace>,
    pub(super) nodes: Vec<Node>,
    /// The Deployments, and then the Jobs.
    pub(super) workloads: Vec<Workload>,
    /// Those of the workloads, in the workloads' order.
    pub(super) config_maps: Vec<ConfigMap>,
    root_cas: Vec<ConfigMap>,
    pods: Vec<Option<Pod>>,
    free: Vec<usize>,
    /// How many pods have been created and not deleted.
    pub(super) live: usize,
    /// How many pods the Deployments want in all.
    pub(super) desired: usize,
    scheduler: Scheduler,
    /// The slots of pods that wait for a client to bind them, by namespace and name.
    unbound: HashMap<(String, String), usize>,
}

/// A pod for as long as it lives: slots are used again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PodId {
    pub(super) slot: usize,
    uid: u128,
}

impl Cluster {
    /// A settled cluster of exactly `pods` pods, all of them running.
    pub(super) fn new(rng: &mut ChaCha8Rng, pods: usize, now: i64, scheduler: Scheduler) -> Self {
        let mut cluster = Cluster { scheduler, ..Cluster::default() };
        cluster.add_namespaces(rng, (pods / 200).max(3), now);
        for index in 0..pods.div_ceil(30).max(3) {
            cluster.nodes.push(Node::new(rng, index, now));
        }
        let mut taken = HashSet::new();
        while cluster.desired < pods {
            let replicas = (*names::pick(rng, REPLICAS)).min(pods - cluster.desired);
            let created = now - rng.random_range(10 * DAY..60 * DAY);
            let workload = cluster.add_workload(rng, &mut taken, Kind::Deployment, created);
            for _ in 0..replicas {
                let slot = cluster.plan_pod(rng, workload);
                let born = now - rng.random_range(HOUR..10 * DAY);
                cluster.settle(slot, born);
            }
            cluster.desired += replicas;
        }
        if pods > 0 {
            for _ in 0..(pods / 400).max(1) {
                let created = now - rng.random_range(10 * DAY..60 * DAY);
                cluster.add_workload(rng, &mut taken, Kind::Job, created);
            }
        }
        cluster
    }

    fn add_namespaces(&mut self, rng: &mut ChaCha8Rng, count: usize, now: i64) {
        let created = now - 90 * DAY;
        let mut taken = HashSet::new();
        for index in 0..count {
            let name = match index {
                0 => "default".to_owned(),
                1 => "kube-system".to_owned(),
                _ => names::unique(|| names::namespace(rng), |name| taken.contains(name)),
            };
            taken.insert(name.clone());
            self.namespaces.push(Namespace::new(rng, name, created));
            self.root_cas.push(ConfigMap::root_ca(rng, index, created));
        }
    }

    fn add_workload(
        &mut self,
        rng: &mut ChaCha8Rng,
        taken: &mut HashSet<(usize, String)>,
        kind: Kind,
        created: i64,
    ) -> usize {
        let namespace = rng.random_range(0..self.namespaces.len());
        let name = names::unique(
            || match kind {
                Kind::Deployment => names::workload(rng),
                Kind::Job => format!("{}-job", names::workload(rng)),
            },
            |name| taken.contains(&(namespace, name.to_owned())),
        );
        taken.insert((namespace, name.clone()));
        self.config_maps.push(ConfigMap::of_workload(rng, &name, namespace, created));
        self.workloads.push(Workload::new(rng, kind, name, namespace, created));
        self.workloads.len() - 1
    }

    /// Takes a slot for a pod of a workload's present revision, to be created later.
    pub(super) fn plan_pod(&mut self, rng: &mut ChaCha8Rng, workload: usize) -> usize {
        let owner = &self.workloads[workload];
        let prefix = owner.owner_name(&owner.revision);
        let name = loop {
            let name = format!("{prefix}-{}", names::suffix(rng, 5));
            if !owner.pods.iter().any(|&slot| self.pod(slot).name == name) {
                break name;
            }
        };
        let pod = Pod {
            name,
            uid: rng.random(),
            workload,
            revision: Arc::clone(&owner.revision),
            node: self.any_node(rng),
            stage: Stage::Planned,
            created: 0,
            scheduled: 0,
            accepted: 0,
            started: 0,
            changed: 0,
            restarts: 0,
            deletion: None,
            lost: false,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.pods[slot] = Some(pod);
                slot
            }
            None => {
                self.pods.push(Some(pod));
                self.pods.len() - 1
            }
        };
        self.workloads[workload].pods.push(slot);
        slot
    }

    /// A node that takes ordinary pods.
    fn any_node(&self, rng: &mut ChaCha8Rng) -> usize {
        let node = rng.random_range(0..self.nodes.len());
        // Those that do not stand alone, each behind nine that do.
        if self.nodes[node].is_dedicated() { node - 1 } else { node }
    }

    /// Brings a planned pod straight to readiness, as if it had been born at `born`.
    fn settle(&mut self, slot: usize, born: i64) {
        let pod = self.pod_mut(slot);
        for (stage, delay) in [
            (Stage::Pending, 0),
            (Stage::Scheduled, 0),
            (Stage::Creating, 1),
            (Stage::Started, 5),
            (Stage::Ready, 14),
        ] {
            pod.enter(stage, born + delay);
        }
        self.live += 1;
    }

    /// The pod in a slot that is in use.
    pub(super) fn pod(&self, slot: usize) -> &Pod {
        self.pods[slot].as_ref().expect("the slot is in use")
    }

    /// The pod in a slot that is in use, to be changed.
    pub(super) fn pod_mut(&mut self, slot: usize) -> &mut Pod {
        self.pods[slot].as_mut().expect("the slot is in use")
    }

    /// Every object there is, in the order in which a cluster would have come by them.
    pub(super) fn contents(&self) -> impl Iterator<Item = Mutation> + '_ {
        let services = self.workloads.iter().filter(|each| each.kind == Kind::Deployment).count();
        let namespaces = self.namespaces.iter().map(|each| {
            let name = each.name.clone();
            mutation(NAMESPACES, None, name, Change::Create(each.object()))
        });
        let nodes = (0..self.nodes.len()).map(|index| self.put_node(index).into_creation());
        let root_cas = self.root_cas.iter().map(|each| self.put_config_map(each).into_creation());
        let config_maps =
            self.config_maps.iter().map(|each| self.put_config_map(each).into_creation());
        let in_front = (0..services).map(|index| self.put_service(index).into_creation());
        let pods = (0..self.pods.len())
            .filter(|&slot| self.pods[slot].as_ref().is_some_and(|pod| pod.stage != Stage::Planned))
            .map(|slot| self.put_pod(slot).into_creation());
        let slices = (0..services).map(|index| self.put_slice(index, None).into_creation());
        namespaces
            .chain(nodes)
            .chain(root_cas)
            .chain(config_maps)
            .chain(in_front)
            .chain(pods)
            .chain(slices)
    }

    pub(super) fn put_node(&self, index: usize) -> Mutation {
        let node = &self.nodes[index];
        mutation(NODES, None, node.name.clone(), Change::Update(node.object()))
    }

    pub(super) fn put_config_map(&self, config_map: &ConfigMap) -> Mutation {
        let namespace = &self.namespaces[config_map.namespace].name;
        let object = config_map.object(namespace);
        mutation(CONFIG_MAPS, Some(namespace), config_map.name.clone(), Change::Update(object))
    }

    fn put_service(&self, index: usize) -> Mutation {
        let workload = &self.workloads[index];
        let namespace = &self.namespaces[workload.namespace].name;
        let object = service::service(workload, index, namespace);
        mutation(SERVICES, Some(namespace), workload.name.clone(), Change::Update(object))
    }

    /// The EndpointSlice of a Deployment, last changed at `changed` if not when it was made.
    pub(super) fn put_slice(&self, index: usize, changed: Option<i64>) -> Mutation {
        let workload = &self.workloads[index];
        let namespace = &self.namespaces[workload.namespace].name;
        let pods = workload.pods.iter().map(|&slot| {
            let pod = self.pod(slot);
            (slot, pod, &self.nodes[pod.node])
        });
        let changed = changed.unwrap_or(workload.created);
        let object = service::endpoint_slice(workload, namespace, changed, pods);
        let name = service::slice_name(workload);
        mutation(ENDPOINT_SLICES, Some(namespace), name, Change::Update(object))
    }

    pub(super) fn put_pod(&self, slot: usize) -> Mutation {
        let pod = self.pod(slot);
        let workload = &self.workloads[pod.workload];
        let namespace = &self.namespaces[workload.namespace].name;
        let node = &self.nodes[pod.node];
        let object = pod::object(pod, slot, workload, namespace, node);
        let change =
            if pod.stage == Stage::Pending { Change::Create } else { Change::Update }(object);
        mutation(PODS, Some(namespace), pod.name.clone(), change)
    }

    /// A pod has been created; where clients bind them, it waits for that.
    pub(super) fn created(&mut self, slot: usize) {
        self.live += 1;
        if self.scheduler == Scheduler::External {
            let key = self.key(self.pod(slot));
            self.unbound.insert(key, slot);
        }
    }

    /// Returns whether the pod cannot go on before a client has bound it.
    pub(super) fn waits_for_binding(&self, slot: usize) -> bool {
        let pod = self.pod(slot);
        self.scheduler == Scheduler::External && pod.stage == Stage::Pending && !pod.lost
    }

    /// A client has bound a pod to a node; whether both are this cluster's.
    pub(super) fn bind(&mut self, namespace: &str, name: &str, node: &str, now: i64) -> bool {
        let Some(slot) = self.unbound.remove(&(namespace.to_owned(), name.to_owned())) else {
            return false;
        };
        let node = self.nodes.iter().position(|each| each.name == node);
        let pod = self.pod_mut(slot);
        if let Some(node) = node {
            pod.node = node;
        }
        pod.enter(Stage::Scheduled, now);
        node.is_some()
    }

    /// A client has removed a pod. What is under way with it goes on, and changes nothing.
    pub(super) fn lose(&mut self, namespace: &str, name: &str) -> Option<PodId> {
        self.unbound.remove(&(namespace.to_owned(), name.to_owned()));
        let (workloads, namespaces) = (&self.workloads, &self.namespaces);
        let (slot, pod) = self.pods.iter_mut().enumerate().find_map(|(slot, pod)| {
            let pod = pod.as_mut()?;
            let is_it =
                pod.name == name && namespaces[workloads[pod.workload].namespace].name == namespace;
            is_it.then_some((slot, pod))
        })?;
        pod.lost = true;
        Some(PodId { slot, uid: pod.uid })
    }

    /// The workload of a pod that is still there.
    pub(super) fn workload_of(&self, id: PodId) -> Option<usize> {
        let pod = self.pods.get(id.slot)?.as_ref()?;
        (pod.uid == id.uid).then_some(pod.workload)
    }

    fn key(&self, pod: &Pod) -> (String, String) {
        let namespace = &self.namespaces[self.workloads[pod.workload].namespace].name;
        (namespace.clone(), pod.name.clone())
    }

    /// Deletes the pod and frees its slot.
    pub(super) fn delete_pod(&mut self, slot: usize) -> Mutation {
        let pod = self.pods[slot].take().expect("the slot is in use");
        self.free.push(slot);
        self.live -= 1;
        if self.scheduler == Scheduler::External {
            let key = self.key(&pod);
            self.unbound.remove(&key);
        }
        let workload = &mut self.workloads[pod.workload];
        // A workload has a few dozen pods at the most.
        if let Some(position) = workload.pods.iter().position(|&each| each == slot) {
            workload.pods.swap_remove(position);
        }
        let namespace = &self.namespaces[workload.namespace].name;
        mutation(PODS, Some(namespace), pod.name, Change::Delete)
    }
}

fn mutation(
    resource: ResourceId,
    namespace: Option<&String>,
    name: String,
    change: Change,
) -> Mutation {
    Mutation { resource, namespace: namespace.cloned(), name, change }
}

impl Mutation {
    /// As the object's creation.
    fn into_creation(mut self) -> Mutation {
        if let Change::Update(object) = self.change {
            self.change = Change::Create(object);
        }
        self
    }
}
