//! `get`, lists, and watches.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use watchcache_embedded_server::{Config, EmbeddedServer};

use super::{Kubectl, words};

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
