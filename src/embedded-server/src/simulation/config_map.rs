//! Namespaces' and workloads' ConfigMaps, and the edits these get.

use std::fmt::Write as _;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::names;
use crate::time::rfc3339;

/// What is kept of a ConfigMap; its text is computed from the seed and the number of edits.
#[derive(Debug)]
pub(super) struct ConfigMap {
    pub(super) name: String,
    /// Index of its namespace.
    pub(super) namespace: usize,
    uid: u128,
    created: i64,
    seed: u64,
    lines: u64,
    edits: u64,
    root_ca: bool,
}

impl ConfigMap {
    /// The configuration of a workload.
    pub(super) fn of_workload(
        rng: &mut ChaCha8Rng,
        workload: &str,
        namespace: usize,
        created: i64,
    ) -> Self {
        let lines = rng.random_range(8..80);
        Self::new(rng, format!("{workload}-config"), namespace, created, lines, false)
    }

    /// The certificate authority that every namespace has.
    pub(super) fn root_ca(rng: &mut ChaCha8Rng, namespace: usize, created: i64) -> Self {
        Self::new(rng, "kube-root-ca.crt".to_owned(), namespace, created, 17, true)
    }

    fn new(
        rng: &mut ChaCha8Rng,
        name: String,
        namespace: usize,
        created: i64,
        lines: u64,
        root_ca: bool,
    ) -> Self {
        ConfigMap {
            name,
            namespace,
            uid: rng.random(),
            created,
            // There is one authority in a cluster, so each copy of it reads the same.
            seed: if root_ca { 0 } else { rng.random() },
            lines,
            edits: 0,
            root_ca,
        }
    }

    /// Changes one line.
    pub(super) fn edit(&mut self) {
        self.edits += 1;
    }

    /// The complete ConfigMap.
    pub(super) fn object(&self, namespace: &str) -> Value {
        let (data, annotations) = if self.root_ca {
            let note = "Contains a CA bundle that can be used to verify the kube-apiserver \
                        when using internal endpoints such as the internal service IP or \
                        kubernetes.default.svc.";
            (json!({"ca.crt": self.certificate()}), json!({"kubernetes.io/description": note}))
        } else {
            (
                json!({"application.properties": self.properties(), "log.level": "info"}),
                json!({"config.example.com/edits": self.edits.to_string()}),
            )
        };
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self.name,
                "namespace": namespace,
                "uid": names::uid(self.uid),
                "creationTimestamp": rfc3339(self.created),
                "annotations": annotations,
            },
            "data": data,
        })
    }

    fn properties(&self) -> String {
        let mut text = String::new();
        for line in 0..self.lines {
            // Edits take the lines in turn, so this is how many this one has had.
            let edits = (self.edits + self.lines - 1 - line) / self.lines;
            let value = names::mix(names::mix(self.seed, line), edits);
            let section = ["http", "database", "cache", "queue", "tracing"][(line % 5) as usize];
            let key =
                ["timeout.ms", "pool.max", "retry.limit", "batch.size"][(line / 5 % 4) as usize];
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{section}.{line}.{key}={}", value % 100_000);
        }
        text
    }

    fn certificate(&self) -> String {
        let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
        for line in 0..self.lines {
            text.push_str(&names::digest(self.seed, line));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
        text
    }
}
