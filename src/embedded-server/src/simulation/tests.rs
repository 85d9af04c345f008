use std::collections::{HashMap, HashSet};

use super::*;
use crate::resource::{
    CONFIG_MAPS, ENDPOINT_SLICES, NAMESPACES, NODES, PODS, ResourceId, SERVICES,
};

/// A cluster, and Puts of everything in it.
fn start(seed: u64, pods: usize) -> (Simulation, Vec<Mutation>) {
    let simulation = Simulation::new(seed, pods, Scheduler::Simulated);
    let contents = simulation.contents().collect();
    (simulation, contents)
}

fn key(mutation: &Mutation) -> (ResourceId, Option<String>, String) {
    (mutation.resource, mutation.namespace.clone(), mutation.name.clone())
}

/// What a server would hold, checked at every change.
#[derive(Default)]
struct Model {
    present: HashSet<(ResourceId, Option<String>, String)>,
    uids: HashSet<String>,
    pods: usize,
}

impl Model {
    fn apply(&mut self, mutation: &Mutation) {
        let key = key(mutation);
        let is_pod = usize::from(key.0 == PODS);
        let is_new = matches!(mutation.change, Change::Create(_));
        match &mutation.change {
            Change::Create(object) | Change::Update(object) => {
                let metadata = &object["metadata"];
                assert!(metadata.get("resourceVersion").is_none());
                assert_eq!(metadata["name"], key.2.as_str());
                assert_eq!(metadata["namespace"].as_str(), key.1.as_deref());
                assert_eq!(self.present.insert(key), is_new, "created once, and then updated");
                if is_new {
                    let uid = metadata["uid"].as_str().expect("a uid").to_owned();
                    assert!(self.uids.insert(uid), "a new object has a new uid");
                    self.pods += is_pod;
                }
            }
            Change::Delete => {
                assert!(self.present.remove(&key), "{key:?} does not exist");
                self.pods -= is_pod;
            }
        }
    }
}

#[test]
fn equal_seeds_give_equal_histories() {
    let history = |seed| {
        let (mut simulation, mut mutations) = start(seed, 100);
        mutations.extend((0..5_000).map(|_| simulation.step()));
        mutations
    };
    let first = history(1);
    assert!(first == history(1));
    assert!(first != history(2));
}

#[test]
fn initial_content_is_complete_and_new() {
    for pods in [0, 1, 7, 500] {
        let (_, contents) = start(3, pods);
        let mut model = Model::default();
        for mutation in &contents {
            assert!(matches!(mutation.change, Change::Create(_)));
            model.apply(mutation);
        }
        assert_eq!(model.pods, pods);
        assert_eq!(model.present.len(), contents.len(), "no key appears twice");
        for namespace in ["default", "kube-system"] {
            assert!(model.present.contains(&(NAMESPACES, None, namespace.to_owned())));
        }
    }
}

#[test]
fn pods_stay_near_their_number_and_within_their_size() {
    let (mut simulation, contents) = start(7, 500);
    let mut model = Model::default();
    let mut sizes = Vec::new();
    let mut of_pods = 0;
    let mut check = |model: &mut Model, mutation: &Mutation| {
        model.apply(mutation);
        if let (PODS, Change::Create(object) | Change::Update(object)) =
            (mutation.resource, &mutation.change)
        {
            sizes.push(object.to_string().len());
        }
    };
    for mutation in &contents {
        check(&mut model, mutation);
    }
    for _ in 0..50_000 {
        let mutation = simulation.step();
        of_pods += usize::from(key(&mutation).0 == PODS);
        check(&mut model, &mutation);
        assert!((475..=525).contains(&model.pods), "{} pods", model.pods);
    }
    let mean = sizes.iter().sum::<usize>() / sizes.len();
    assert!((4_000..=6_500).contains(&mean), "mean {mean}");
    assert!(
        sizes.iter().all(|size| (2_048..=10_240).contains(size)),
        "{:?}..{:?}",
        sizes.iter().min(),
        sizes.iter().max()
    );
    assert!((35_000..=40_000).contains(&of_pods), "{of_pods} of 50,000 steps were of pods");
}

#[test]
fn tiny_clusters_live_too() {
    for pods in 0..4 {
        let (mut simulation, contents) = start(11, pods);
        let mut model = Model::default();
        contents.iter().for_each(|mutation| model.apply(mutation));
        for _ in 0..2_000 {
            model.apply(&simulation.step());
        }
    }
}

#[test]
fn objects_decode_as_their_types() {
    use k8s_openapi::api::{core::v1, discovery::v1::EndpointSlice};

    fn decode<T: serde::de::DeserializeOwned>(object: Value) {
        if let Err(error) = serde_json::from_value::<T>(object.clone()) {
            panic!("{error} in {object:#}");
        }
    }

    let (mut simulation, mut mutations) = start(5, 60);
    mutations.extend((0..5_000).map(|_| simulation.step()));
    for mutation in mutations {
        if let Change::Create(object) | Change::Update(object) = mutation.change {
            match mutation.resource {
                PODS => decode::<v1::Pod>(object),
                NODES => decode::<v1::Node>(object),
                SERVICES => decode::<v1::Service>(object),
                ENDPOINT_SLICES => decode::<EndpointSlice>(object),
                CONFIG_MAPS => decode::<v1::ConfigMap>(object),
                NAMESPACES => decode::<v1::Namespace>(object),
                other => panic!("{other:?} is not simulated"),
            }
        }
    }
}

#[test]
fn without_a_scheduler_pods_wait_for_their_binding() {
    let mut simulation = Simulation::new(9, 300, Scheduler::External);
    let mut nodes: HashMap<(String, String), Option<String>> = HashMap::new();
    let mut bound = 0;
    for step in 0..8_000 {
        let unbound = nodes.iter_mut().find(|(_, node)| node.is_none());
        if let (0, Some(((namespace, name), chosen))) = (step % 5, unbound) {
            let all = &simulation.cluster.nodes;
            let node = all[step % all.len()].name.clone();
            assert!(simulation.bound(namespace, name, &node));
            assert!(!simulation.bound(namespace, name, &node), "once is enough");
            *chosen = Some(node);
            bound += 1;
        }
        let mutation = simulation.step();
        if mutation.resource != PODS {
            continue;
        }
        let key = (mutation.namespace.expect("pods are in one"), mutation.name);
        match mutation.change {
            Change::Create(pod) => {
                assert!(pod.pointer("/spec/nodeName").is_none());
                nodes.insert(key, None);
            }
            Change::Update(pod) => {
                // Those of the beginning are bound.
                if let Some(chosen) = nodes.get(&key) {
                    assert_eq!(pod["spec"]["nodeName"].as_str(), chosen.as_deref(), "{key:?}");
                }
            }
            Change::Delete => drop(nodes.remove(&key)),
        }
    }
    assert!(bound > 100, "{bound} were bound");
}

#[test]
fn what_clients_remove_is_replaced() {
    let (mut simulation, contents) = start(13, 200);
    let mut model = Model::default();
    contents.iter().for_each(|mutation| model.apply(mutation));
    for round in 0..300 {
        let victim = model.present.iter().find(|(resource, ..)| *resource == PODS).cloned();
        if let (true, Some((_, Some(namespace), name))) = (round % 3 == 0, victim) {
            simulation.removed(&namespace, &name);
        }
        for _ in 0..50 {
            model.apply(&simulation.step());
        }
        assert!(model.pods >= 180, "only {} are left", model.pods);
    }
    assert!(simulation.lost.len() < 5, "{} wait to be replaced", simulation.lost.len());
}
