//! `kubectl` against the server, as a person would type it.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use watchcache_embedded_server::{Config, EmbeddedServer};

struct Kubectl {
    server: String,
    home: PathBuf,
}

impl Kubectl {
    /// `None`, with a line that says so, when it is not installed.
    fn new(server: &EmbeddedServer) -> Option<Kubectl> {
        let installed = Command::new("kubectl").args(["version", "--client"]).output();
        if !installed.is_ok_and(|output| output.status.success()) {
            println!("skipped: kubectl is not installed");
            return None;
        }
        let home = std::env::temp_dir().join(format!(
            "kubectl-{}-{}",
            std::process::id(),
            server.address().port()
        ));
        std::fs::create_dir_all(&home).unwrap();
        Some(Kubectl { server: server.url(), home })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command
            .arg(format!("--server={}", self.server))
            .arg("--kubeconfig=/dev/null")
            .arg(format!("--cache-dir={}", self.home.join("cache").display()))
            .args(arguments)
            .env("HOME", &self.home)
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null());
        command
    }

    /// Runs it with a manifest as its input.
    fn feed(&self, arguments: &[&str], manifest: &str) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Runs it with a manifest, which it must take; what it says.
    fn with(&self, arguments: &[&str], manifest: &str) -> String {
        let output = self.feed(arguments, manifest);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// What it says.
    fn says(&self, arguments: &[&str]) -> String {
        self.lines(arguments).join("\n")
    }

    /// Runs it until it says what is wanted.
    fn until(&self, arguments: &[&str], is_wanted: impl Fn(&str) -> bool) -> String {
        let mut said = String::new();
        for _ in 0..60 {
            said = self.says(arguments);
            if is_wanted(&said) {
                return said;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("{arguments:?}: {said}");
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn lines(&self, arguments: &[&str]) -> Vec<String> {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Drop for Kubectl {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn gets_and_lists() {
    let config = Config { pods: 120, rate: 0, ..Config::default() };
    let server = EmbeddedServer::start(config).await.unwrap();
    let Some(kubectl) = Kubectl::new(&server) else { return };

    let pods = kubectl.lines(&["get", "pods", "-A"]);
    assert_eq!(words(&pods[0]), ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
    let rows = pods.len();
    assert!(rows > 60, "{rows} rows");
    assert_eq!(kubectl.lines(&["get", "pods", "-A", "--chunk-size=7"]), pods);

    let (namespace, name) = (words(&pods[1])[0], words(&pods[1])[1]);
    let json = kubectl.lines(&["get", "pod", name, "-n", namespace, "-o", "json"]).join("\n");
    let pod: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&pod["kind"], &pod["metadata"]["name"]), (&"Pod".into(), &name.into()));
    let one = kubectl.lines(&["get", "pod", name, "-n", namespace]);
    assert_eq!(one.len(), 2);

    let label = "app.kubernetes.io/name";
    let app = format!("{label}={}", pod["metadata"]["labels"][label].as_str().unwrap());
    let selected = kubectl.lines(&["get", "po", "-A", "-l", &app]);
    assert!(selected.len() > 1 && selected.len() < rows, "{} of {rows}", selected.len());

    let nodes = kubectl.lines(&["get", "nodes"]);
    assert_eq!(words(&nodes[0]), ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]);
    for resource in ["svc", "cm", "endpointslices", "ns"] {
        let lines = kubectl.lines(&["get", resource, "-A", "-o", "wide"]);
        assert!(lines.len() > 1, "no {resource}");
    }
    let resources = kubectl.lines(&["api-resources", "-o", "name"]);
    assert!(resources.iter().any(|line| line == "endpointslices.discovery.k8s.io"));

    let missing = kubectl.run(&["get", "pod", "nobody", "-n", namespace]);
    assert!(!missing.status.success());
    assert_eq!(
        String::from_utf8_lossy(&missing.stderr).trim(),
        "Error from server (NotFound): pods \"nobody\" not found"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watches() {
    let config = Config { pods: 60, rate: 200, ..Config::default() };
    let server = EmbeddedServer::start(config).await.unwrap();
    let Some(kubectl) = Kubectl::new(&server) else { return };
    for arguments in [&["get", "pods", "-A", "-w"][..], &["get", "pods", "-A", "-w", "-o", "name"]]
    {
        let child = kubectl.command(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let child = Arc::new(Mutex::new(child));
        let output = child.lock().unwrap().stdout.take().unwrap();
        let (done, watchdog) = std::sync::mpsc::channel::<()>();
        let watched = Arc::clone(&child);
        std::thread::spawn(move || {
            // A watch that shows no changes ends the test instead of holding it up.
            let _ = watchdog.recv_timeout(Duration::from_secs(60));
            let _ = watched.lock().unwrap().kill();
        });
        // The list has about 60 lines: more than that come of changes.
        let lines = BufReader::new(output).lines().take(200).count();
        drop(done);
        let mut child = child.lock().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(lines, 200, "the list alone, or little more");
    }
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

const DEFINITION: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            description: What the widget is to be.
            properties: {size: {type: integer, description: How large it is.}}
";

#[tokio::test(flavor = "multi_thread")]
async fn explains_and_extends() {
    let config = Config { pods: 30, rate: 0, ..Config::default() };
    let server = EmbeddedServer::start(config).await.unwrap();
    let Some(kubectl) = Kubectl::new(&server) else { return };

    let explained = kubectl.says(&["explain", "pod.spec.containers"]);
    for part in ["KIND:       Pod", "image\t<string>", "livenessProbe\t<Probe>", "env\t<[]EnvVar>"]
    {
        assert!(explained.contains(part), "no {part} in {explained}");
    }
    kubectl.with(&["create", "-f", "-"], DEFINITION);
    kubectl.says(&[
        "wait",
        "--for=condition=Established",
        "crd/widgets.example.com",
        "--timeout=30s",
    ]);
    let widget = "{apiVersion: example.com/v1, kind: Widget, metadata: {name: a}, spec: {size: 3}}";
    assert_eq!(kubectl.with(&["apply", "-f", "-"], widget), "widget.example.com/a created");
    let table = kubectl.lines(&["get", "wd"]);
    assert_eq!((words(&table[0]), words(&table[1])), (vec!["NAME", "SIZE"], vec!["a", "3"]));
    kubectl.with(&["apply", "-f", "-"], &widget.replace('3', "4"));
    assert_eq!(kubectl.says(&["get", "wd", "a", "-o", "jsonpath={.spec.size}"]), "4");
    let explained = kubectl.says(&["explain", "widget.spec"]);
    assert!(explained.contains("How large it is."), "{explained}");
    kubectl.says(&["delete", "crd", "widgets.example.com"]);
    assert!(!kubectl.run(&["get", "wd"]).status.success());
    server.stop().await;
}
