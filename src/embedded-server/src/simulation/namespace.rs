//! Namespaces, which once made never change here.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::names;
use crate::time::rfc3339;

#[derive(Debug)]
pub(super) struct Namespace {
    pub(super) name: String,
    uid: u128,
    created: i64,
}

impl Namespace {
    pub(super) fn new(rng: &mut ChaCha8Rng, name: String, created: i64) -> Self {
        Namespace { name, uid: rng.random(), created }
    }

    /// The complete Namespace.
    pub(super) fn object(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": self.name,
                "uid": names::uid(self.uid),
                "creationTimestamp": rfc3339(self.created),
                "labels": {"kubernetes.io/metadata.name": self.name},
            },
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        })
    }
}
