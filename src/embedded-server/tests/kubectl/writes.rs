//! `create`, `label`, `edit`, `patch`, `delete`; `apply` on either side, `scale`, `rollout`.

use watchcache_embedded_server::{Config, EmbeddedServer};

use super::Kubectl;

#[tokio::test(flavor = "multi_thread")]
async fn writes() {
    let config = Config { pods: 30, rate: 0, ..Config::default() };
    let server = EmbeddedServer::start(config).await.unwrap();
    let Some(kubectl) = Kubectl::new(&server) else { return };

    let team = "{apiVersion: v1, kind: Namespace, metadata: {name: team}}";
    assert_eq!(kubectl.with(&["create", "-f", "-"], team), "namespace/team created");
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: nginx}]}}";
    assert_eq!(kubectl.with(&["create", "-n", "team", "-f", "-"], pod), "pod/a created");
    kubectl.until(&["get", "pod", "a", "-n", "team"], |said| said.contains("Running"));
    kubectl.says(&["label", "pod", "a", "-n", "team", "tier=front"]);
    kubectl.says(&["annotate", "pod", "a", "-n", "team", "example.com/note=x"]);
    let shown = kubectl.says(&["get", "pod", "-n", "team", "-l", "tier=front", "-o", "name"]);
    assert_eq!(shown, "pod/a");
    let described = kubectl.says(&["describe", "pod", "a", "-n", "team"]);
    for part in
        ["Status:           Running", "tier=front", "Scheduled", "Successfully assigned team/a"]
    {
        assert!(described.contains(part), "no {part} in {described}");
    }
    let events = kubectl.says(&["get", "events", "-n", "team"]);
    assert!(events.contains("pod/a") && events.contains("Started container a"), "{events}");
    let deleted = kubectl.says(&["delete", "pod", "a", "-n", "team"]);
    assert!(deleted.starts_with("pod \"a\" deleted"), "{deleted}");
    assert!(!kubectl.run(&["get", "pod", "a", "-n", "team"]).status.success());

    let config_map = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: '1'}}";
    kubectl.with(&["create", "-n", "team", "-f", "-"], config_map);
    let patch = ["patch", "configmap", "c", "-n", "team", "--type=json"];
    kubectl.says(&[&patch[..], &["-p", r#"[{"op":"add","path":"/data/b","value":"2"}]"#]].concat());
    // An editor that edits by itself.
    let mut edit = kubectl.command(&["edit", "configmap", "c", "-n", "team"]);
    let edited = edit.env("KUBE_EDITOR", r#"sed -i s/\"2\"/\"3\"/"#).output().unwrap();
    assert!(edited.status.success(), "{}", String::from_utf8_lossy(&edited.stderr));
    let data = kubectl.says(&["get", "configmap", "c", "-n", "team", "-o", "jsonpath={.data}"]);
    assert_eq!(data, r#"{"a":"1","b":"3"}"#);
    server.stop().await;
}

/// What is not read from a file is written by typed clients, which speak protobuf.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_named_on_the_command_line() {
    let config = Config { pods: 30, rate: 0, ..Config::default() };
    let server = EmbeddedServer::start(config).await.unwrap();
    let Some(kubectl) = Kubectl::new(&server) else { return };
    for (what, said) in [
        ("namespace team", "namespace/team created"),
        ("configmap c --from-literal=a=1 -n team", "configmap/c created"),
        ("service clusterip web --tcp=80 -n team", "service/web created"),
        ("deployment web --image=nginx:1 --replicas=2 -n team", "deployment.apps/web created"),
    ] {
        let arguments: Vec<_> = std::iter::once("create").chain(what.split(' ')).collect();
        assert_eq!(kubectl.says(&arguments), said);
    }
    let deployment = ["get", "deployment", "web", "-n", "team"];
    kubectl.until(&deployment, |said| said.contains("2/2"));
    kubectl.says(&["scale", "deployment", "web", "-n", "team", "--replicas=1"]);
    kubectl.until(&deployment, |said| said.contains("1/1"));
    let data = kubectl.says(&["get", "configmap", "c", "-n", "team", "-o", "jsonpath={.data}"]);
    assert_eq!(data, r#"{"a":"1"}"#);
    server.stop().await;
}

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: 'nginx:1', resources: {requests: {cpu: 500m}}}
      - {name: sidecar, image: 'envoy:1'}
";

#[tokio::test(flavor = "multi_thread")]
async fn applies() {
    let config = Config { pods: 30, rate: 0, ..Config::default() };
    let server = EmbeddedServer::start(config).await.unwrap();
    let Some(kubectl) = Kubectl::new(&server) else { return };

    assert_eq!(kubectl.with(&["apply", "-f", "-"], DEPLOYMENT), "deployment.apps/web created");
    let rolled = kubectl.says(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    assert!(rolled.contains("successfully rolled out"), "{rolled}");
    assert_eq!(kubectl.with(&["apply", "-f", "-"], DEPLOYMENT), "deployment.apps/web unchanged");
    let smaller = DEPLOYMENT
        .replace("nginx:1", "nginx:2")
        .replace("      - {name: sidecar, image: 'envoy:1'}\n", "");
    assert_eq!(kubectl.with(&["apply", "-f", "-"], &smaller), "deployment.apps/web configured");
    let images = "jsonpath={.spec.template.spec.containers[*].image}";
    assert_eq!(kubectl.says(&["get", "deployment", "web", "-o", images]), "nginx:2");
    kubectl.says(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    kubectl.says(&["scale", "deployment", "web", "--replicas=3"]);
    kubectl.until(&["get", "deployment", "web"], |said| said.contains("3/3"));
    kubectl.says(&["set", "image", "deployment/web", "web=nginx:3"]);
    kubectl.says(&["rollout", "status", "deployment/web", "--timeout=60s"]);
    let sets = kubectl.lines(&["get", "replicasets", "-l", "app=web"]);
    assert_eq!(sets.len(), 4, "{sets:?}");

    let server_side = ["apply", "--server-side", "--field-manager=me", "-f", "-"];
    let config_map =
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: '1', b: '2'}}";
    assert_eq!(kubectl.with(&server_side, config_map), "configmap/c serverside-applied");
    kubectl.with(&server_side, &config_map.replace(", b: '2'", ""));
    assert_eq!(kubectl.says(&["get", "configmap", "c", "-o", "jsonpath={.data}"]), r#"{"a":"1"}"#);
    let other = ["apply", "--server-side", "--field-manager=you", "-f", "-"];
    let refused = kubectl.feed(&other, &config_map.replace("'1'", "'9'"));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("conflict with \"me\""));

    let typo = kubectl.feed(&["create", "-f", "-"], &config_map.replace("data", "date"));
    let errors = String::from_utf8_lossy(&typo.stderr);
    assert!(errors.contains("unknown field \"date\""), "{errors}");
    let invalid = kubectl.feed(&["create", "-f", "-"], &config_map.replace("name: c", "name: C"));
    let errors = String::from_utf8_lossy(&invalid.stderr);
    assert!(errors.contains("is invalid: metadata.name"), "{errors}");

    kubectl.says(&["delete", "deployment", "web"]);
    kubectl.until(&["get", "pods", "-l", "app=web", "-o", "name"], str::is_empty);
    server.stop().await;
}
