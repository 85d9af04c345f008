//! Deployments: one ReplicaSet for each template, and a rollout from the old ones to the new one.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use super::replica_set::{number, owner};
use super::{Controllers, Work};
use crate::object::{array, is_deleting, name, namespace, section, text, uid};
use crate::resource::REPLICA_SETS;
use crate::status::Failure;
use crate::time;
use crate::write::{DeleteOptions, Part, Request};

/// The label that distinguishes the ReplicaSets of a Deployment.
const HASH: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";

impl Controllers {
    pub(super) fn deployment(
        &mut self,
        request: &Request,
        deployment: &Value,
    ) -> Result<(), Failure> {
        if is_deleting(deployment) {
            return Ok(());
        }
        self.adopt(REPLICA_SETS, "Deployment", deployment, |_| true)?;
        let hash = template_hash(deployment);
        let (mut new, old): (Vec<_>, Vec<_>) = self
            .sets_of(deployment)
            .into_iter()
            .partition(|set| is_of_template(set, deployment, &hash));
        if deployment["spec"]["paused"] != true {
            if new.is_empty() {
                new.push(self.create_set(deployment, &hash, &old)?);
            }
            self.roll(deployment, &new[0], &old)?;
            self.forget_old(deployment, &old)?;
        }
        let sets = self.sets_of(deployment);
        self.report(request, deployment, &sets, &hash)
    }

    /// The ReplicaSets of a Deployment.
    fn sets_of(&self, deployment: &Value) -> Vec<Value> {
        let Some(definition) = self.writer.registry.by_id(REPLICA_SETS) else { return Vec::new() };
        let mut works: Vec<_> = self
            .graph
            .owned_by(uid(deployment))
            .filter(|work| work.resource == REPLICA_SETS)
            .collect();
        works.sort_by(|one, other| one.key.cmp(&other.key));
        let read = |work: &Work| {
            Some(self.writer.storage.get(work.resource, &work.key)?.value(&definition))
        };
        works.into_iter().filter_map(read).filter(|set| !is_deleting(set)).collect()
    }

    fn create_set(
        &mut self,
        deployment: &Value,
        hash: &str,
        old: &[Value],
    ) -> Result<Value, Failure> {
        let request = self.request_for(REPLICA_SETS, Some(namespace(deployment)))?;
        let mut template = deployment["spec"]["template"].clone();
        section(&mut template["metadata"], "labels").insert(HASH.to_owned(), hash.into());
        let mut selector = deployment["spec"]["selector"].clone();
        section(&mut selector, "matchLabels").insert(HASH.to_owned(), hash.into());
        let labels = template["metadata"]["labels"].clone();
        let revision = old.iter().map(revision).max().unwrap_or(0) + 1;
        let set = json!({
            "metadata": {
                "name": format!("{}-{hash}", name(deployment)),
                "labels": labels,
                "annotations": {REVISION: revision.to_string()},
                "ownerReferences": [owner("apps/v1", "Deployment", deployment)],
            },
            "spec": {"replicas": 0, "selector": selector, "template": template},
        });
        let created = self.writer.create(&request, set)?.value();
        let key = format!("{}/{}", namespace(deployment), name(&created));
        self.graph.put(&Work { resource: REPLICA_SETS, key }, &created);
        let deployments =
            self.request_for(crate::resource::DEPLOYMENTS, Some(namespace(deployment)))?;
        self.writer.change(&deployments, name(deployment), Part::All, |deployment| {
            let mut deployment = deployment.clone();
            section(&mut deployment["metadata"], "annotations")
                .insert(REVISION.to_owned(), revision.to_string().into());
            Ok(deployment)
        })?;
        Ok(created)
    }

    /// One step from the old ReplicaSets to the new one, within the strategy's bounds.
    fn roll(&mut self, deployment: &Value, new: &Value, old: &[Value]) -> Result<(), Failure> {
        let wanted = number(deployment, "/spec/replicas");
        let of_old: i64 = old.iter().map(|set| number(set, "/spec/replicas")).sum();
        let present = number(new, "/spec/replicas");
        if text(deployment, "/spec/strategy/type") == "Recreate" {
            for set in old {
                self.scale_set(deployment, set, 0)?;
            }
            let running: i64 = old.iter().map(|set| number(set, "/status/replicas")).sum();
            return if running == 0 { self.scale_set(deployment, new, wanted) } else { Ok(()) };
        }
        let bound = |field: &str, up: bool| {
            let value = deployment.pointer(&format!("/spec/strategy/rollingUpdate/{field}"));
            share(value, wanted, up)
        };
        let (surge, unavailable) = (bound("maxSurge", true), bound("maxUnavailable", false));
        // If both bounds were zero, the rollout would stand still.
        let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable };
        let room = (wanted + surge - of_old - present).max(0);
        let target = if present > wanted { wanted } else { (present + room).min(wanted) };
        self.scale_set(deployment, new, target)?;
        let ready: i64 =
            old.iter().chain([new]).map(|set| number(set, "/status/readyReplicas")).sum();
        let mut spare = ready - (wanted - unavailable);
        for set in old {
            let replicas = number(set, "/spec/replicas");
            // Removing a Pod that is not ready loses nothing.
            let unready = (replicas - number(set, "/status/readyReplicas")).max(0);
            let down = (unready + spare.max(0)).min(replicas);
            if down > 0 {
                spare -= (down - unready).max(0);
                self.scale_set(deployment, set, replicas - down)?;
            }
        }
        Ok(())
    }

    fn scale_set(&mut self, deployment: &Value, set: &Value, replicas: i64) -> Result<(), Failure> {
        let before = number(set, "/spec/replicas");
        if before == replicas {
            return Ok(());
        }
        let request = self.request_for(REPLICA_SETS, Some(namespace(set)))?;
        self.writer.change(&request, name(set), Part::Main, |set| {
            let mut set = set.clone();
            set["spec"]["replicas"] = replicas.into();
            Ok(set)
        })?;
        let way = if replicas > before { "up" } else { "down" };
        let message = format!("Scaled {way} replica set {} from {before} to {replicas}", name(set));
        self.record(deployment, "Normal", "ScalingReplicaSet", &message, "deployment-controller");
        Ok(())
    }

    /// Deletes the oldest of the empty ReplicaSets, down to the number to keep.
    fn forget_old(&mut self, deployment: &Value, old: &[Value]) -> Result<(), Failure> {
        let kept = usize::try_from(number(deployment, "/spec/revisionHistoryLimit")).unwrap_or(0);
        let mut empty: Vec<&Value> = old
            .iter()
            .filter(|set| {
                number(set, "/spec/replicas") == 0 && number(set, "/status/replicas") == 0
            })
            .collect();
        empty.sort_by_key(|set| revision(set));
        let request = self.request_for(REPLICA_SETS, Some(namespace(deployment)))?;
        for set in empty.iter().take(empty.len().saturating_sub(kept)) {
            match self.writer.delete(&request, name(set), &DeleteOptions::default()) {
                Err(failure) if !failure.status().is_not_found() => return Err(failure),
                _ => {}
            }
        }
        Ok(())
    }

    fn report(
        &self,
        request: &Request,
        deployment: &Value,
        sets: &[Value],
        hash: &str,
    ) -> Result<(), Failure> {
        let sum = |field: &str| -> i64 {
            sets.iter().map(|set| number(set, &format!("/status/{field}"))).sum()
        };
        let is_new = |set: &&Value| is_of_template(set, deployment, hash);
        let updated: i64 =
            sets.iter().filter(is_new).map(|set| number(set, "/status/replicas")).sum();
        let wanted = number(deployment, "/spec/replicas");
        let available = sum("availableReplicas");
        let is_available = available >= wanted;
        let is_complete = updated == wanted && is_available && sum("replicas") == wanted;
        let condition = |kind: &str, holds: bool, reason: &str, message: &str| {
            let status = if holds { "True" } else { "False" };
            let before =
                array(deployment, "/status/conditions").iter().find(|one| one["type"] == kind);
            let is_same =
                before.is_some_and(|one| one["status"] == status && one["reason"] == reason);
            match before {
                Some(before) if is_same => before.clone(),
                _ => {
                    let now = time::rfc3339(time::now());
                    json!({
                        "type": kind, "status": status, "reason": reason, "message": message,
                        "lastUpdateTime": now, "lastTransitionTime": now,
                    })
                }
            }
        };
        let conditions = [
            if is_available {
                condition(
                    "Available",
                    true,
                    "MinimumReplicasAvailable",
                    "Deployment has minimum availability.",
                )
            } else {
                condition(
                    "Available",
                    false,
                    "MinimumReplicasUnavailable",
                    "Deployment does not have minimum availability.",
                )
            },
            if is_complete {
                condition(
                    "Progressing",
                    true,
                    "NewReplicaSetAvailable",
                    "The new ReplicaSet has successfully progressed.",
                )
            } else {
                condition(
                    "Progressing",
                    true,
                    "ReplicaSetUpdated",
                    "The ReplicaSets are progressing.",
                )
            },
        ];
        let mut status = json!({
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": sum("replicas"), "updatedReplicas": updated,
            "readyReplicas": sum("readyReplicas"), "availableReplicas": available,
            "conditions": conditions,
        });
        if available < wanted {
            status["unavailableReplicas"] = (wanted - available).into();
        }
        self.set_status(request, deployment, &status)
    }
}

/// A number, or a percentage of the replicas: rounded up, or down.
fn share(value: Option<&Value>, of: i64, up: bool) -> i64 {
    match value {
        Some(Value::String(text)) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            (percent * of + if up { 99 } else { 0 }) / 100
        }
        Some(number) => number.as_i64().unwrap_or(0),
        None => 0,
    }
}

/// A short name for the template: the same as long as the template is.
fn template_hash(deployment: &Value) -> String {
    let mut hasher = DefaultHasher::new();
    deployment["spec"]["template"].to_string().hash(&mut hasher);
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut rest = hasher.finish();
    let mut name = String::new();
    for _ in 0..10 {
        name.push(char::from(ALPHABET[(rest % ALPHABET.len() as u64) as usize]));
        rest /= ALPHABET.len() as u64;
    }
    name
}

/// Returns whether a ReplicaSet has the Deployment's current template. One that was adopted need not have
/// the label of those that are made here.
fn is_of_template(set: &Value, deployment: &Value, hash: &str) -> bool {
    if text(set, &format!("/metadata/labels/{HASH}")) == hash {
        return true;
    }
    let mut template = set["spec"]["template"].clone();
    section(&mut template["metadata"], "labels").remove(HASH);
    template == deployment["spec"]["template"]
}

fn revision(set: &Value) -> u64 {
    set["metadata"]["annotations"][REVISION]
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}
