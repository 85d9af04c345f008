//! What kube's types tell: owners, generations, and a finalizer against a server of one object.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::{ConfigMap, Node};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::client::Body;
use serde_json::{Value, json};
use watchcache::reconcile::{
    Action, Controller, FinalizerError, FinalizerEvent, Request, finalizer,
};
use watchcache::{Batch, Listing, Store};

use crate::driven::Driven;

fn meta(name: &str, namespace: Option<&str>, version: u64) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: namespace.map(str::to_owned),
        resource_version: Some(version.to_string()),
        ..ObjectMeta::default()
    }
}

fn map(name: &str, version: u64, owners: &[(&str, &str, &str)]) -> ConfigMap {
    let mut metadata = meta(name, Some("a"), version);
    let reference = |(api_version, kind, name): &(&str, &str, &str)| OwnerReference {
        api_version: (*api_version).to_owned(),
        kind: (*kind).to_owned(),
        name: (*name).to_owned(),
        ..OwnerReference::default()
    };
    metadata.owner_references = Some(owners.iter().map(reference).collect());
    ConfigMap { metadata, ..ConfigMap::default() }
}

type Seen = Arc<Mutex<Vec<String>>>;

/// A reconcile that writes down keys.
fn note<K>(
    seen: &Seen,
) -> impl FnMut(Request<K>) -> std::future::Ready<Result<Action, ()>> + Send + use<K> {
    let seen = Arc::clone(seen);
    move |request| {
        seen.lock().unwrap().push(request.key().to_string());
        std::future::ready(Ok(Action::await_change()))
    }
}

fn take(seen: &Seen) -> Vec<String> {
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.sort();
    seen
}

#[test]
fn owners_are_found_by_group_and_kind_in_the_namespace_or_in_none() {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("example.com", "v1", "Greeting"));
    let greetings = Arc::new(Store::<DynamicObject>::new());
    for name in ["hello", "../b/hello"] {
        let mut greeting = DynamicObject::new(name, &kind);
        greeting.metadata = meta(name, Some("a"), 1);
        greetings.add(greeting).unwrap();
    }
    let nodes = Arc::new(Store::<Node>::new());
    nodes.add(Node { metadata: meta("hello", None, 1), ..Node::default() }).unwrap();
    let maps = Store::<ConfigMap>::new();
    greetings.mark_synced();
    nodes.mark_synced();
    maps.mark_synced();

    let (of_greetings, of_nodes) = (Seen::default(), Seen::default());
    let controller = Controller::new(&greetings).owns_with(maps.subscribe(), &kind);
    let mut greeter = Driven::new(controller.reconcile(note(&of_greetings)));
    let controller = Controller::new(&nodes).owns(maps.subscribe());
    let mut keeper = Driven::new(controller.reconcile(note(&of_nodes)));
    let mut of = |owners: &[(&str, &str, &str)]| {
        static VERSION: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let version = VERSION.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        maps.delete("a/owned");
        greeter.drive();
        keeper.drive();
        take(&of_greetings);
        take(&of_nodes);
        maps.add(map("owned", version, owners)).unwrap();
        greeter.drive();
        keeper.drive();
        (take(&of_greetings), take(&of_nodes))
    };
    let (none, hello, node) =
        (Vec::<String>::new(), vec!["a/hello".to_owned()], vec!["hello".to_owned()]);
    assert_eq!(of(&[]), (none.clone(), none.clone()));
    assert_eq!(of(&[("example.com/v1", "Greeting", "hello")]), (hello.clone(), none.clone()));
    assert_eq!(of(&[("example.com/v1beta1", "Greeting", "hello")]), (hello.clone(), none.clone()));
    assert_eq!(of(&[("v1", "Node", "hello")]), (none.clone(), node.clone()));
    let strangers =
        [("example.org/v1", "Greeting", "hello"), ("v1", "Greeting", "hello"), ("v1", "Pod", "a")];
    assert_eq!(of(&strangers), (none.clone(), none.clone()));
    // In a request for the owner it would be a path.
    assert_eq!(of(&[("example.com/v1", "Greeting", "../b/hello")]), (none.clone(), none));
    let both = [("v1", "Node", "hello"), ("example.com/v1", "Greeting", "hello")];
    assert_eq!(of(&both), (hello, node));
}

#[test]
fn only_another_generation_is_a_change_where_there_are_generations() {
    let maps = Arc::new(Store::<ConfigMap>::new());
    let seen = Seen::default();
    let controller = Controller::new(&maps).changes_of_generation();
    let mut controller = Driven::new(controller.reconcile(note(&seen)));
    maps.mark_synced();
    let mut after = |generation: Option<i64>, version: u64| {
        let mut map = map("x", version, &[]);
        map.metadata.generation = generation;
        maps.add(map).unwrap();
        controller.drive();
        take(&seen).len()
    };
    let told = [after(Some(1), 1), after(Some(1), 2), after(Some(2), 3)];
    assert_eq!(told, [1, 0, 1]);
    assert_eq!([after(None, 4), after(None, 5)], [1, 1]);
}

#[test]
fn what_is_made_anew_is_a_change_although_its_generation_is_the_same() {
    let born = |uid: &str, version: u64| {
        let mut map = map("x", version, &[]);
        map.metadata.uid = Some(uid.to_owned());
        map.metadata.generation = Some(1);
        map
    };
    let maps = Arc::new(Store::<ConfigMap>::new());
    let seen = Seen::default();
    let controller = Controller::new(&maps).changes_of_generation();
    let mut controller = Driven::new(controller.reconcile(note(&seen)));
    maps.mark_synced();
    let mut told = || {
        controller.drive();
        take(&seen).len()
    };
    maps.add(born("1", 1)).unwrap();
    assert_eq!(told(), 1);
    // As a reflector hears of both at once, and in a list.
    let mut batch = Batch::new();
    batch.delete("a/x");
    batch.add(born("2", 9)).unwrap();
    maps.apply(&batch);
    assert_eq!(told(), 1);
    maps.replace(&Listing::new([born("3", 10)], Some("11".into())).unwrap());
    assert_eq!(told(), 1);
    maps.add(born("3", 12)).unwrap();
    assert_eq!(told(), 0);
}

/// A server of one ConfigMap that takes merge patches of its finalizers, and refuses those of an old version.
#[derive(Clone)]
struct Server(Arc<Mutex<Value>>);

impl Server {
    fn new(metadata: Value) -> Self {
        let metadata = merge(
            json!({"name": "x", "namespace": "a", "uid": "7", "resourceVersion": "1"}),
            metadata,
        );
        Self(Arc::new(Mutex::new(metadata)))
    }

    fn object(&self) -> Arc<ConfigMap> {
        let metadata = serde_json::from_value(self.0.lock().unwrap().clone()).unwrap();
        Arc::new(ConfigMap { metadata, ..ConfigMap::default() })
    }

    fn finalizers(&self) -> Value {
        self.0.lock().unwrap()["finalizers"].clone()
    }

    fn api(&self) -> Api<ConfigMap> {
        let server = self.clone();
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let server = server.clone();
            async move {
                assert_eq!(request.uri().path(), "/api/v1/namespaces/a/configmaps/x");
                let is_get = request.method() == http::Method::GET;
                let body = request.into_body().collect_bytes().await.unwrap();
                let (status, body) = match is_get {
                    true => server.get(),
                    false => server.patch(&serde_json::from_slice(&body).unwrap()),
                };
                let response = http::Response::builder().status(status);
                let body = Body::from(serde_json::to_vec(&body).unwrap());
                Ok::<_, Infallible>(response.body(body).unwrap())
            }
        });
        Api::namespaced(kube::Client::new(service, "a"), "a")
    }

    fn patch(&self, patch: &Value) -> (u16, Value) {
        let mut metadata = self.0.lock().unwrap();
        if metadata.is_null() {
            return (404, failure(404, "NotFound"));
        }
        if patch["metadata"]["resourceVersion"] != metadata["resourceVersion"] {
            return (409, failure(409, "Conflict"));
        }
        *metadata = merge(metadata.take(), patch["metadata"].clone());
        touch(&mut metadata);
        (200, answer(&metadata))
    }

    fn get(&self) -> (u16, Value) {
        let metadata = self.0.lock().unwrap();
        match metadata.is_null() {
            true => (404, failure(404, "NotFound")),
            false => (200, answer(&metadata)),
        }
    }

    /// Somebody writes something else, its status, say.
    fn touch(&self) {
        touch(&mut self.0.lock().unwrap());
    }

    fn set(&self, field: &str, value: Value) {
        self.0.lock().unwrap()[field] = value;
        self.touch();
    }
}

fn touch(metadata: &mut Value) {
    let version: u64 = metadata["resourceVersion"].as_str().unwrap().parse().unwrap();
    metadata["resourceVersion"] = json!((version + 1).to_string());
}

fn answer(metadata: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
}

fn failure(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": reason, "metadata": {}})
}

fn merge(mut base: Value, patch: Value) -> Value {
    if let (Value::Object(base), Value::Object(patch)) = (&mut base, patch) {
        base.extend(patch);
    }
    base
}

type Called = Result<Action, FinalizerError<&'static str>>;

/// Calls the helper with the server's object: what it was asked for, and what came of it.
fn call(server: &Server, object: &Arc<ConfigMap>, fails: bool) -> (Option<String>, Called) {
    call_meanwhile(server, object, fails, || {})
}

/// As [`call`]; something happens while it is reconciled.
fn call_meanwhile(
    server: &Server,
    object: &Arc<ConfigMap>,
    fails: bool,
    happens: impl FnOnce(),
) -> (Option<String>, Called) {
    let mut asked = None;
    let reconcile = |event| {
        let (what, map) = match event {
            FinalizerEvent::Apply(map) => ("apply", map),
            FinalizerEvent::Cleanup(map) => ("cleanup", map),
        };
        let map: Arc<ConfigMap> = map;
        let finalizers = map.metadata.finalizers.clone().unwrap_or_default();
        asked = Some(format!("{what} {}", finalizers.join(" ")));
        happens();
        std::future::ready(if fails { Err("no") } else { Ok(Action::back_off()) })
    };
    // The client has a task of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let called =
        runtime.block_on(async { finalizer(&server.api(), "b/ours", object, reconcile).await });
    (asked, called)
}

#[test]
fn a_finalizer_is_added_before_anything_is_applied() {
    let server = Server::new(json!({"finalizers": ["a/theirs"]}));
    let (asked, called) = call(&server, &server.object(), false);
    assert_eq!(asked.as_deref(), Some("apply a/theirs b/ours"), "the object as it is now");
    assert_eq!(called.unwrap(), Action::back_off());
    assert_eq!(server.finalizers(), json!(["a/theirs", "b/ours"]));
    // Once is enough.
    let (asked, called) = call(&server, &server.object(), true);
    assert_eq!(asked.as_deref(), Some("apply a/theirs b/ours"));
    assert!(matches!(called, Err(FinalizerError::Apply("no"))));
}

#[test]
fn a_finalizer_is_taken_off_once_it_was_cleaned_up() {
    let deleted = "2026-01-01T00:00:00Z";
    let server =
        Server::new(json!({"finalizers": ["b/ours", "a/theirs"], "deletionTimestamp": deleted}));
    let object = server.object();
    let (asked, called) = call(&server, &object, true);
    assert_eq!(asked.as_deref(), Some("cleanup b/ours a/theirs"));
    assert!(matches!(called, Err(FinalizerError::Cleanup("no"))));
    assert_eq!(server.finalizers(), json!(["b/ours", "a/theirs"]));
    let (_, called) = call(&server, &object, false);
    assert_eq!(called.unwrap(), Action::back_off());
    assert_eq!(server.finalizers(), json!(["a/theirs"]));
    // The others are not ours to wait for.
    let (asked, called) = call(&server, &server.object(), false);
    assert_eq!((asked, called.unwrap()), (None, Action::await_change()));
    // Another look at the old state finds that it is off, another of that name, or nothing.
    let (_, called) = call(&server, &object, false);
    assert_eq!(called.unwrap(), Action::back_off());
    assert_eq!(server.finalizers(), json!(["a/theirs"]));
    server.set("uid", json!("8"));
    server.set("finalizers", json!(["b/ours"]));
    let (_, called) = call(&server, &object, false);
    assert_eq!(called.unwrap(), Action::back_off());
    assert_eq!(server.finalizers(), json!(["b/ours"]));
    *server.0.lock().unwrap() = Value::Null;
    let (_, called) = call(&server, &object, false);
    assert_eq!(called.unwrap(), Action::back_off());
}

#[test]
fn a_finalizer_comes_off_although_the_cleanup_has_changed_the_object() {
    let deleted = "2026-01-01T00:00:00Z";
    let server = Server::new(json!({"finalizers": ["b/ours"], "deletionTimestamp": deleted}));
    let writes = || server.set("finalizers", json!(["b/ours", "a/theirs"]));
    let (_, called) = call_meanwhile(&server, &server.object(), false, writes);
    assert_eq!(called.unwrap(), Action::back_off());
    assert_eq!(server.finalizers(), json!(["a/theirs"]), "what came meanwhile stays");
}

#[test]
fn finalizers_of_an_object_without_a_version_are_not_written_over() {
    let server = Server::new(json!({"finalizers": ["a/theirs"]}));
    let mut object = ConfigMap::clone(&server.object());
    object.metadata.resource_version = None;
    object.metadata.finalizers = None;
    let (asked, called) = call(&server, &Arc::new(object.clone()), false);
    assert_eq!(asked.as_deref(), Some("apply a/theirs b/ours"));
    assert_eq!(called.unwrap(), Action::back_off());
    // And which one it is has to be known.
    object.metadata.uid = None;
    let (asked, called) = call(&server, &Arc::new(object), false);
    assert!(asked.is_none() && matches!(called, Err(FinalizerError::Unnamed)));
    assert_eq!(server.finalizers(), json!(["a/theirs", "b/ours"]));
}

#[test]
fn an_object_that_has_changed_gets_its_finalizer_if_it_is_still_that_one() {
    let server = Server::new(json!({}));
    let object = server.object();
    server.touch();
    let (asked, called) = call(&server, &object, false);
    assert_eq!(asked.as_deref(), Some("apply b/ours"));
    assert_eq!(called.unwrap(), Action::back_off());
    // One that is to be deleted, or was made anew, is heard of.
    for (field, value) in [("deletionTimestamp", "2026-01-01T00:00:00Z"), ("uid", "8")] {
        let server = Server::new(json!({}));
        let object = server.object();
        server.set(field, json!(value));
        let (asked, called) = call(&server, &object, false);
        assert_eq!((asked, called.unwrap()), (None, Action::await_change()));
        assert_eq!(server.finalizers(), Value::Null);
    }
}
