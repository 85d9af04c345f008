use std::collections::HashSet;

use super::*;

/// A cluster, and Puts of everything in it.
fn start(seed: u64, pods: usize) -> (Simulation, Vec<Mutation>) {
    let simulation = Simulation::new(seed, pods);
    let contents = simulation.contents().collect();
    (simulation, contents)
}

fn key(mutation: &Mutation) -> (Resource, Option<String>, String) {
    match mutation {
        Mutation::Put { resource, namespace, name, .. }
        | Mutation::Delete { resource, namespace, name } => {
            (*resource, namespace.clone(), name.clone())
        }
    }
}

/// What a server would hold, checked at every change.
#[derive(Default)]
struct Model {
    present: HashSet<(Resource, Option<String>, String)>,
    uids: HashSet<String>,
    pods: usize,
}

impl Model {
    fn apply(&mut self, mutation: &Mutation) {
        let key = key(mutation);
        let is_pod = usize::from(key.0 == Resource::Pods);
        match mutation {
            Mutation::Put { object, .. } => {
                let metadata = &object["metadata"];
                assert!(metadata.get("resourceVersion").is_none());
                assert_eq!(metadata["name"], key.2.as_str());
                assert_eq!(metadata["namespace"].as_str(), key.1.as_deref());
                if self.present.insert(key) {
                    let uid = metadata["uid"].as_str().expect("a uid").to_owned();
                    assert!(self.uids.insert(uid), "a new object has a new uid");
                    self.pods += is_pod;
                }
            }
            Mutation::Delete { .. } => {
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
            assert!(matches!(mutation, Mutation::Put { .. }));
            model.apply(mutation);
        }
        assert_eq!(model.pods, pods);
        assert_eq!(model.present.len(), contents.len(), "no key appears twice");
        for namespace in ["default", "kube-system"] {
            assert!(model.present.contains(&(Resource::Namespaces, None, namespace.to_owned())));
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
        if let Mutation::Put { resource: Resource::Pods, object, .. } = mutation {
            sizes.push(object.to_string().len());
        }
    };
    for mutation in &contents {
        check(&mut model, mutation);
    }
    for _ in 0..50_000 {
        let mutation = simulation.step();
        of_pods += usize::from(key(&mutation).0 == Resource::Pods);
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
        if let Mutation::Put { resource, object, .. } = mutation {
            match resource {
                Resource::Pods => decode::<v1::Pod>(object),
                Resource::Nodes => decode::<v1::Node>(object),
                Resource::Services => decode::<v1::Service>(object),
                Resource::EndpointSlices => decode::<EndpointSlice>(object),
                Resource::ConfigMaps => decode::<v1::ConfigMap>(object),
                Resource::Namespaces => decode::<v1::Namespace>(object),
            }
        }
    }
}
