//! Events: what controllers report about their work.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Controllers;
use crate::object::{name, namespace, text, uid};
use crate::resource::EVENTS;
use crate::time;
use crate::write::{DeleteOptions, Request, Writer};

/// How long an Event is kept, in seconds, as by the real server.
const KEPT: i64 = 3600;

impl Controllers {
    /// Records an Event about an object.
    pub(super) fn record(&self, object: &Value, kind: &str, reason: &str, message: &str, by: &str) {
        let namespace = namespace(object);
        let Ok(request) = self.request_for(EVENTS, Some(namespace)) else { return };
        let now = time::rfc3339(time::now());
        let event = json!({
            "metadata": {"generateName": format!("{}.", name(object))},
            "involvedObject": {
                "apiVersion": object["apiVersion"], "kind": object["kind"], "name": name(object),
                "namespace": namespace, "uid": uid(object),
                "resourceVersion": text(object, "/metadata/resourceVersion"),
            },
            "type": kind, "reason": reason, "message": message, "count": 1,
            "firstTimestamp": now, "lastTimestamp": now,
            "source": {"component": by}, "reportingComponent": by, "reportingInstance": "",
        });
        // An Event is not essential: a namespace that is being deleted gets none.
        let _ = self.writer.create(&request, event);
    }
}

/// When the old Events were last removed.
#[derive(Debug)]
pub(super) struct Expiry(Instant);

impl Default for Expiry {
    fn default() -> Expiry {
        Expiry(Instant::now())
    }
}

impl Expiry {
    /// Removes the expired Events, once a minute.
    pub(super) fn sweep(&mut self, writer: &Writer) {
        if self.0.elapsed() < Duration::from_secs(60) {
            return;
        }
        self.0 = Instant::now();
        let Some(events) = writer.registry.by_id(EVENTS) else { return };
        let (_, entries) = writer.storage.all(EVENTS);
        for entry in entries {
            let event = entry.value(&events);
            let last = ["/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"]
                .iter()
                .find_map(|pointer| time::unix_seconds(text(&event, pointer)));
            if last.is_some_and(|last| time::now() - last > KEPT) {
                let request = Request::new(&events, entry.namespace(), "kube-apiserver");
                // If it has just been written to, it has not expired.
                let _ = writer.delete(&request, entry.name(), &DeleteOptions::default());
            }
        }
    }
}
