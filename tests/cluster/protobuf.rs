//! Every kind that the real server serves is in protobuf what it is in JSON.

use std::sync::Arc;

use futures_util::AsyncReadExt;
use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResource;
use kube::Client;
use serde_json::{Value, json};
use watchcache::reflector::protobuf;

use crate::cluster::Cluster;

/// What a kind's object is made of, where the server has none by itself.
fn bodies() -> Vec<(&'static str, Value)> {
    let pod = json!({"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}],
        "resources": {"requests": {"cpu": "250m", "memory": "64Mi"}},
        "livenessProbe": {"httpGet": {"port": "http"}}}]});
    let once = json!({"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]});
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": pod});
    let selecting = json!({"selector": {"matchLabels": {"a": "b"}}, "template": template});
    let claims =
        json!({"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c"}}]}});
    let rules = json!({"resourceRules": [
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["bindings"]}]});
    vec![
        ("configmaps", json!({"data": {"a": "b"}, "binaryData": {"c": "AAE="}})),
        (
            "endpoints",
            json!({"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 1}]}]}),
        ),
        (
            "events",
            json!({"involvedObject": {"namespace": "$"}, "type": "Normal", "reason": "a",
            "eventTime": "2026-11-26T23:13:21.000042Z", "reportingComponent": "a.b/c",
            "reportingInstance": "d", "action": "e"}),
        ),
        ("limitranges", json!({"spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}})),
        ("nodes", json!({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}})),
        (
            "persistentvolumeclaims",
            json!({"spec": {"accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}}}}),
        ),
        (
            "persistentvolumes",
            json!({"spec": {"capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/tmp"}}}),
        ),
        ("pods", json!({"spec": pod})),
        ("podtemplates", json!({"template": template})),
        ("replicationcontrollers", json!({"spec": {"selector": {"a": "b"}, "template": template}})),
        ("resourcequotas", json!({"spec": {"hard": {"count/jobs.batch": "9"}}})),
        ("secrets", json!({"stringData": {"a": "b"}})),
        ("serviceaccounts", json!({"secrets": [{"name": "a"}]})),
        ("services", json!({"spec": {"ports": [{"port": 80, "targetPort": "http"}]}})),
        ("controllerrevisions", json!({"revision": 1, "data": {"a": [1, 0.5, null]}})),
        ("daemonsets", json!({"spec": selecting})),
        ("deployments", json!({"spec": selecting})),
        ("replicasets", json!({"spec": selecting})),
        ("statefulsets", json!({"spec": selecting})),
        ("jobs", json!({"spec": {"template": {"spec": once}}})),
        (
            "cronjobs",
            json!({"spec": {"schedule": "1 2 3 4 5",
            "jobTemplate": {"spec": {"template": {"spec": once}}}}}),
        ),
        (
            "horizontalpodautoscalers",
            json!({"spec": {"maxReplicas": 2,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}}}),
        ),
        (
            "leases",
            json!({"spec": {"holderIdentity": "a", "renewTime": "2026-11-26T23:13:21.000042Z"}}),
        ),
        (
            "endpointslices",
            json!({"addressType": "IPv4", "ports": [{"port": 1}],
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": false}}]}),
        ),
        (
            "ingresses",
            json!({"spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 1}}}}}),
        ),
        ("ingressclasses", json!({"spec": {"controller": "a.b/c"}})),
        (
            "networkpolicies",
            json!({"spec": {"podSelector": {}, "ingress": [{"ports": [{"port": "http"}]}]}}),
        ),
        ("runtimeclasses", json!({"handler": "a"})),
        ("poddisruptionbudgets", json!({"spec": {"minAvailable": "50%", "selector": {}}})),
        ("csidrivers", json!({"spec": {"podInfoOnMount": true}})),
        ("csinodes", json!({"spec": {"drivers": [{"name": "a", "nodeID": "b"}]}})),
        ("csistoragecapacities", json!({"storageClassName": "a", "capacity": "1Gi"})),
        ("storageclasses", json!({"provisioner": "a.b/c", "allowVolumeExpansion": false})),
        (
            "volumeattachments",
            json!({"spec": {"attacher": "a.b", "nodeName": "n",
            "source": {"persistentVolumeName": "a"}}}),
        ),
        ("volumeattributesclasses", json!({"driverName": "a.b", "parameters": {"a": "b"}})),
        ("mutatingwebhookconfigurations", json!({"webhooks": []})),
        ("validatingwebhookconfigurations", json!({"webhooks": []})),
        (
            "validatingadmissionpolicies",
            json!({"spec": {"matchConstraints": rules,
            "validations": [{"expression": "true"}]}}),
        ),
        (
            "validatingadmissionpolicybindings",
            json!({"spec": {"policyName": "a", "validationActions": ["Audit"]}}),
        ),
        (
            "mutatingadmissionpolicies",
            json!({"spec": {"matchConstraints": rules, "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {
                "expression": "[JSONPatch{op: 'remove', path: '/a'}]"}}]}}),
        ),
        ("mutatingadmissionpolicybindings", json!({"spec": {"policyName": "a"}})),
        ("deviceclasses", json!({"spec": {"selectors": [{"cel": {"expression": "true"}}]}})),
        ("resourceclaims", json!({"spec": claims})),
        ("resourceclaimtemplates", json!({"spec": {"spec": claims}})),
        (
            "resourceslices",
            json!({"spec": {"driver": "a.b", "nodeName": "n",
            "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}, "devices": [{"name": "d"}]}}),
        ),
        (
            "customresourcedefinitions",
            json!({"metadata": {"name": "widgets.kinds.example.com"},
            "spec": {"group": "kinds.example.com", "scope": "Namespaced",
                "names": {"kind": "Widget", "plural": "widgets"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema":
                    {"type": "object", "properties": {"a": {"type": "integer", "default": 7,
                        "enum": [7, 8]}, "b": {"type": "object",
                        "additionalProperties": {"type": "string"}}}}}}]}}),
        ),
    ]
}

/// A resource in a stable version of the server's own API that can be listed.
struct Served {
    api_version: String,
    resource: APIResource,
}

impl Served {
    /// The path of all its objects, or of those in a namespace.
    fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.api_version.contains('/') { "/apis" } else { "/api" };
        let within = namespace.map(|name| format!("/namespaces/{name}")).unwrap_or_default();
        format!("{root}/{}{within}/{}", self.api_version, self.resource.name)
    }
}

pub(crate) async fn every_kind_as_in_json(cluster: Arc<Cluster>) {
    let (client, namespace) = (cluster.client().await, cluster.namespace().await);
    let bodies = bodies();
    let (mut unseen, mut wrong) = (Vec::new(), Vec::new());
    for served in served(&client).await {
        if let Some((_, body)) = bodies.iter().find(|(name, _)| *name == served.resource.name) {
            wrong.extend(create(&client, &served, body, &namespace).await.err());
        }
        let list = json(&client, &served.path(None)).await.unwrap();
        let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        for item in items.iter().take(30) {
            let metadata = &item["metadata"];
            let path = served.path(metadata["namespace"].as_str());
            let name = metadata["name"].as_str().unwrap();
            wrong.extend(compare(&client, &format!("{path}/{name}")).await.err());
        }
        if items.is_empty() {
            unseen.push(served.path(None));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Their objects have parts that only a signer or a controller can make.
    let hard = [
        "/apis/certificates.k8s.io/v1/certificatesigningrequests",
        "/apis/certificates.k8s.io/v1/clustertrustbundles",
        "/apis/certificates.k8s.io/v1/podcertificaterequests",
        "/apis/resource.k8s.io/v1/devicetaintrules",
        "/apis/storagemigration.k8s.io/v1/storageversionmigrations",
    ];
    unseen.retain(|path| !hard.contains(&path.as_str()));
    assert!(unseen.is_empty(), "{unseen:?} were not compared");
}

async fn served(client: &Client) -> Vec<Served> {
    let mut versions = vec!["v1".to_owned()];
    for group in client.list_api_groups().await.unwrap().groups {
        let is_own = group.name.ends_with(".k8s.io") || !group.name.contains('.');
        let is_stable = |version: &str| version[1..].bytes().all(|byte| byte.is_ascii_digit());
        let stable =
            group.versions.into_iter().filter(|version| is_own && is_stable(&version.version));
        versions.extend(stable.map(|version| version.group_version));
    }
    let mut served = Vec::new();
    for api_version in versions {
        let found = match api_version.contains('/') {
            true => client.list_api_group_resources(&api_version).await,
            false => client.list_core_api_resources(&api_version).await,
        };
        let listed = found.unwrap().resources.into_iter().filter(|resource| {
            !resource.name.contains('/') && resource.verbs.iter().any(|verb| verb == "list")
        });
        served.extend(listed.map(|resource| Served { api_version: api_version.clone(), resource }));
    }
    served
}

/// Makes an object, unless it is there: another version or group of the API may have made it.
async fn create(
    client: &Client,
    served: &Served,
    body: &Value,
    namespace: &str,
) -> Result<(), String> {
    let Served { api_version, resource } = served;
    // An Event is in the namespace of what it is about.
    let mut object: Value = body.to_string().replace('$', namespace).parse().unwrap();
    object["apiVersion"] = api_version.as_str().into();
    object["kind"] = resource.kind.as_str().into();
    let metadata = &mut object["metadata"];
    if metadata["name"].is_null() {
        metadata["name"] = "compared".into();
    }
    metadata["labels"] = json!({"a": "b"});
    let path = served.path(resource.namespaced.then_some(namespace));
    let name = object["metadata"]["name"].as_str().unwrap();
    if json(client, &format!("{path}/{name}")).await.is_ok() {
        return Ok(());
    }
    let request = Request::post(&path).header(CONTENT_TYPE, "application/json");
    let request = request.body(object.to_string().into_bytes()).unwrap();
    let made = client.request::<Value>(request).await;
    made.map(drop).map_err(|error| format!("{path}: {error}"))
}

async fn json(client: &Client, path: &str) -> Result<Value, String> {
    let request = Request::get(path).header(ACCEPT, "application/json");
    let answer = client.request(request.body(Vec::new()).unwrap()).await;
    answer.map_err(|error| format!("{path}: {error}"))
}

/// One object in the one encoding and the other: the same, however empty lists and maps are told.
async fn compare(client: &Client, path: &str) -> Result<(), String> {
    // It may change in between, for some time.
    for _ in 0..20 {
        let request = Request::get(path).header(ACCEPT, protobuf::MEDIA_TYPE);
        let body = client.request_stream(request.body(Vec::new()).unwrap()).await;
        let mut wire = Vec::new();
        let mut body = Box::pin(body.map_err(|error| format!("{path}: {error}"))?);
        body.read_to_end(&mut wire).await.unwrap();
        let found: Value =
            protobuf::from_slice(&wire).map_err(|error| format!("{path}: {error}"))?;
        let json = json(client, path).await?;
        if found["metadata"]["resourceVersion"] == json["metadata"]["resourceVersion"] {
            let [found, json] = [found, json].map(without_empty);
            return if found == json {
                Ok(())
            } else {
                Err(format!("{path}: {found}, not {json}"))
            };
        }
    }
    Err(format!("{path} does not stay the same"))
}

/// Without fields that are null, or an empty list or map.
fn without_empty(value: Value) -> Value {
    let is_empty = |value: &Value| match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        other => other.is_null(),
    };
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, without_empty(value)));
            Value::Object(fields.filter(|(_, value)| !is_empty(value)).collect())
        }
        Value::Array(elements) => elements.into_iter().map(without_empty).collect(),
        other => other,
    }
}
