//! `kubectl` against the server, as a person would type it.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
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
        let mut child = kubectl
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_secs(3)).await;
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let lines = String::from_utf8_lossy(&output.stdout).lines().count();
        assert!(errors.is_empty(), "{errors}");
        assert!(lines > 120, "{lines} lines: the list alone, without changes");
    }
    server.stop().await;
}
