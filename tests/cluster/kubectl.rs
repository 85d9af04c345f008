//! `kubectl` as an independent writer and reader of what is mirrored.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ObjectList};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use watchcache::reflector::KubeSource;

use crate::cluster::Cluster;
use crate::mirror::Mirror;

pub(crate) fn missing() -> bool {
    let version = std::process::Command::new("kubectl").args(["version", "--client"]).output();
    let missing = !version.is_ok_and(|output| output.status.success());
    if missing {
        eprintln!("\n*** NOT TESTED with kubectl: it is not installed ***\n");
    }
    missing
}

struct Kubectl<'a> {
    kubeconfig: &'a Path,
    namespace: &'a str,
}

impl Kubectl<'_> {
    /// Runs one command; its text on success, its error's otherwise.
    async fn run(&self, arguments: &str, input: &str) -> Result<String, String> {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kubectl");
        let mut child = Command::new("kubectl")
            .args(["--kubeconfig", self.kubeconfig.to_str().unwrap()])
            .args(["--namespace", self.namespace])
            .arg(format!("--cache-dir={}", home.display()))
            .args(arguments.split_whitespace())
            .env("HOME", &home)
            .env_remove("KUBECONFIG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        let output = child.wait_with_output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().trim().to_owned();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }
}

pub(crate) async fn kubectl_writes_and_reads(cluster: Arc<Cluster>) {
    let namespace = cluster.namespace().await;
    let kubeconfig = &cluster.server().await.ready.kubeconfig;
    let kubectl = Kubectl { kubeconfig, namespace: &namespace };
    let client = cluster.client().await;
    let api = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
    let mirror = Mirror::synced(KubeSource::namespaced(client, &namespace)).await;
    let get = |name: &str| mirror.store.get((namespace.as_str(), name));

    let manifest = |colour: &str| {
        ["apple", "pear", "plum"].map(|name| {
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n\
                 data: {{colour: {colour}}}\n"
            )
        })
    };
    kubectl.run("apply -f -", &manifest("green").join("---\n")).await.unwrap();
    mirror.assert_equals(&api).await;
    assert_eq!(get("plum").unwrap().data.as_ref().unwrap()["colour"], "green");

    kubectl.run("apply --server-side --force-conflicts -f -", &manifest("red")[0]).await.unwrap();
    kubectl.run("label configmap pear kind=fruit", "").await.unwrap();
    kubectl.run("patch configmap pear --type=merge -p {\"immutable\":true}", "").await.unwrap();
    kubectl.run("delete configmap plum", "").await.unwrap();
    let refused = kubectl.run("get configmap plum", "").await.unwrap_err();
    assert_eq!(refused, "Error from server (NotFound): configmaps \"plum\" not found");
    let count = mirror.assert_equals(&api).await;
    assert_eq!(get("apple").unwrap().data.as_ref().unwrap()["colour"], "red");
    assert_eq!(get("pear").unwrap().metadata.labels.as_ref().unwrap()["kind"], "fruit");
    assert_eq!(get("pear").unwrap().immutable, Some(true));

    // What it reads is what the mirror holds, whole and in pages.
    for arguments in ["--chunk-size=500", "--chunk-size=1"] {
        let text = kubectl
            .run(&format!("get configmaps -o json --show-managed-fields {arguments}"), "")
            .await
            .unwrap();
        let read: ObjectList<ConfigMap> = serde_json::from_str(&text).unwrap();
        assert_eq!(read.items.len(), count);
        for map in read.items {
            assert_eq!(get(map.metadata.name.as_deref().unwrap()).as_deref(), Some(&map));
        }
    }
    let selected = kubectl.run("get configmaps -l kind=fruit -o name", "").await.unwrap();
    assert_eq!(selected, "configmap/pear");
    assert_eq!(mirror.progress().relists, 0);
}
