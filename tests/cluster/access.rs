//! Requests that are refused, and by whom: authorisation, certificates, admission.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Client;
use kube::api::{Api, DeleteParams, PostParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use watchcache::reflector::{KubeSource, Phase, Reflector, SourceError};
use watchcache::status::{CauseType, StatusReason};
use watchcache::{Status, Store};

use crate::cluster::{Cluster, load};
use crate::mirror::Mirror;
use crate::objects::{config_map, create};

/// A client that the server takes for somebody without rights of their own.
async fn as_user(cluster: &Cluster, user: &'static str) -> Client {
    let mut config = cluster.config().await;
    let header = HeaderName::from_static("impersonate-user");
    config.headers.push((header, HeaderValue::from_static(user)));
    Client::try_from(config).unwrap()
}

/// Runs a reflector that is expected to end by itself.
async fn refusal(client: Client) -> SourceError {
    let source = KubeSource::<ConfigMap>::namespaced(client, "default");
    let reflector = Reflector::builder(source).sink(Arc::new(Store::new())).build();
    let monitor = reflector.monitor();
    let error = reflector.run(std::future::pending()).await.unwrap_err();
    assert_eq!(monitor.progress().phase, Phase::Stopped);
    assert!(error.is_permanent(), "{error}");
    error
}

fn status(error: SourceError) -> Status {
    match error {
        SourceError::Status(status) => *status,
        other => panic!("not the server's answer: {other:?}"),
    }
}

pub(crate) async fn a_denied_list_is_final(cluster: Arc<Cluster>) {
    let status = status(refusal(as_user(&cluster, "mallory").await).await);
    assert_eq!((status.reason(), status.code()), (&StatusReason::Forbidden, 403));
    assert_eq!(
        status.message(),
        "configmaps is forbidden: User \"mallory\" cannot list resource \"configmaps\" in API \
         group \"\" in the namespace \"default\"",
    );
    assert_eq!(status.details().unwrap().kind(), "configmaps");
}

/// Rights that go away in mid-watch are noticed with the next request, and may come back.
pub(crate) async fn rights_taken_and_given_back(cluster: Arc<Cluster>) {
    let namespace = cluster.namespace().await;
    let client = cluster.client().await;
    let api = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
    let roles = Api::<Role>::namespaced(client.clone(), &namespace);
    let bindings = Api::<RoleBinding>::namespaced(client, &namespace);
    let role = from(json!({
        "metadata": { "name": "reader" },
        "rules": [{ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "watch"] }],
    }));
    let binding = from(json!({
        "metadata": { "name": "reader" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader" },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice" }],
    }));
    roles.create(&PostParams::default(), &role).await.unwrap();
    bindings.create(&PostParams::default(), &binding).await.unwrap();

    let mut config = cluster.config().await;
    let proxy = crate::proxy::Proxy::start(config.cluster_url.authority().unwrap().as_str()).await;
    config.cluster_url = format!("https://{}", proxy.address()).parse().unwrap();
    let header = HeaderName::from_static("impersonate-user");
    config.headers.push((header, HeaderValue::from_static("alice")));
    let alice = Client::try_from(config).unwrap();
    // The server's own mirror of the rights takes a moment.
    let probe = Api::<ConfigMap>::namespaced(alice.clone(), &namespace);
    while probe.list(&Default::default()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mirror = Mirror::synced(KubeSource::<ConfigMap>::namespaced(alice, &namespace)).await;
    create(&api, 0..10).await;
    let before = mirror.assert_equals(&api).await;

    bindings.delete("reader", &DeleteParams::default()).await.unwrap();
    while probe.list(&Default::default()).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    proxy.cut();
    mirror
        .until("refused", |progress| {
            progress.last_error.as_deref().is_some_and(|error| error.contains("forbidden"))
        })
        .await;
    create(&api, 10..20).await;
    assert_eq!(mirror.store.len(), before, "what was there stays readable");

    bindings.create(&PostParams::default(), &binding).await.unwrap();
    mirror.assert_equals(&api).await;
    assert_eq!(mirror.progress().relists, 0);
}

/// Not the server that the kubeconfig means, perhaps: no list, and a sentence that says why.
pub(crate) async fn an_untrusted_server(cluster: Arc<Cluster>) {
    let config = load(&cluster.server().await.ready.distrusting).await;
    let source = KubeSource::<ConfigMap>::all(Client::try_from(config).unwrap());
    let mirror = Mirror::start(source);
    mirror.until("tried again", |progress| progress.failures >= 2).await;
    let progress = mirror.progress();
    assert!(mirror.store.is_empty() && progress.resource_version.is_none());
    let error = progress.last_error.unwrap();
    assert!(error.contains("certificate"), "{error}");
}

pub(crate) async fn an_untrusted_client(cluster: Arc<Cluster>) {
    assert_unauthorized(&cluster.server().await.ready.distrusted).await;
}

pub(crate) async fn an_expired_client(cluster: Arc<Cluster>) {
    assert_unauthorized(&cluster.server().await.ready.expired).await;
}

async fn assert_unauthorized(kubeconfig: &Path) {
    let client = Client::try_from(load(kubeconfig).await).unwrap();
    let status = status(refusal(client).await);
    assert_eq!((status.reason(), status.code()), (&StatusReason::Unauthorized, 401));
}

pub(crate) async fn an_admission_failure_as_status(cluster: Arc<Cluster>) {
    let namespace = cluster.namespace().await;
    let client = cluster.client().await;
    let policies = Api::<ValidatingAdmissionPolicy>::all(client.clone());
    let policy = from(json!({
        "metadata": { "name": namespace },
        "spec": {
            "matchConstraints": { "resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                "resources": ["configmaps"],
            }] },
            "validations": [{
                "expression": "object.metadata.name != 'unwanted'",
                "message": "that name is not wanted",
            }],
        },
    }));
    policies.create(&PostParams::default(), &policy).await.unwrap();
    let bindings = Api::<ValidatingAdmissionPolicyBinding>::all(client.clone());
    let binding = from(json!({
        "metadata": { "name": namespace },
        "spec": {
            "policyName": namespace,
            "validationActions": ["Deny"],
            "matchResources": { "namespaceSelector": { "matchLabels": {
                "kubernetes.io/metadata.name": namespace,
            } } },
        },
    }));
    bindings.create(&PostParams::default(), &binding).await.unwrap();
    let api = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
    let mirror = Mirror::synced(KubeSource::<ConfigMap>::namespaced(client, &namespace)).await;
    create(&api, 0..3).await;

    // The server takes a moment to know its policies.
    let rehearsal = PostParams { dry_run: true, ..PostParams::default() };
    while api.create(&rehearsal, &config_map("unwanted", "")).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let denied = api.create(&PostParams::default(), &config_map("unwanted", "")).await;
    let status = Status::from(&denied.unwrap_err());
    assert_eq!((status.reason(), status.code()), (&StatusReason::Invalid, 422), "{status:?}");
    assert_eq!(
        status.message(),
        format!(
            "configmaps \"unwanted\" is forbidden: ValidatingAdmissionPolicy '{namespace}' with \
             binding '{namespace}' denied request: that name is not wanted"
        ),
    );
    assert_eq!(status.details().unwrap().name(), "unwanted");

    // Validation, which comes before: each cause names its field.
    let invalid = api.create(&PostParams::default(), &config_map("Not_A_Name", "")).await;
    let status = Status::from(&invalid.unwrap_err());
    assert_eq!((status.reason(), status.code()), (&StatusReason::Invalid, 422), "{status:?}");
    assert!(status.has_cause(&CauseType::FieldValueInvalid), "{status:?}");
    assert_eq!(status.causes()[0].field(), "metadata.name");

    mirror.assert_equals(&api).await;
    assert!(mirror.store.get((namespace.as_str(), "unwanted")).is_none());
    policies.delete(&namespace, &DeleteParams::default()).await.unwrap();
    bindings.delete(&namespace, &DeleteParams::default()).await.unwrap();
}

fn from<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}
