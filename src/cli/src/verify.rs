//! Compares the whole store with a fresh list of the server, object by object.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use kube::Client;
use kube::api::{ApiResource, DynamicObject, ListParams, Request};
use kube::core::{ListMeta, Resource};
use serde::Deserialize;
use watchcache::{Key, Object, ResourceVersion, Snapshot};

use crate::mirrored::Mirrored;
use crate::states::States;
use crate::target::Scope;

/// How many fresh lists are compared before the store counts as different.
const LISTS: usize = 5;
/// How long the store may take to catch up with each.
const PATIENCE: Duration = Duration::from_secs(3);
/// How many differences are reported.
const SHOWN: usize = 10;

/// What came of the comparison.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) verified: bool,
    /// The first differences, each a sentence.
    pub(crate) differences: Vec<String>,
    /// How many there are in all.
    pub(crate) differing: usize,
}

/// A list that shares nothing with the reflector's own: kube's types, decoded here.
pub(crate) struct Fresh {
    client: Client,
    request: Request,
    scope: Scope,
}

type Listed = BTreeMap<Key, Content>;

/// What an object is compared by. Whole objects of a large list would take more memory than all the
/// rest of the program.
#[derive(Debug, PartialEq, Eq)]
struct Content {
    uid: Option<String>,
    resource_version: Option<String>,
    digest: u64,
}

impl Content {
    /// The items of a list may leave out the type, so that is not compared.
    fn of(object: &DynamicObject) -> Self {
        let mut hasher = DefaultHasher::new();
        // Both are trees with sorted keys: equal ones read the same. What came as JSON goes as JSON.
        let metadata = serde_json::to_string(&object.metadata).unwrap_or_default();
        (metadata, object.data.to_string()).hash(&mut hasher);
        Self {
            uid: object.metadata.uid.clone(),
            resource_version: object.metadata.resource_version.clone(),
            digest: hasher.finish(),
        }
    }
}

#[derive(Deserialize)]
struct Page {
    metadata: ListMeta,
    items: Vec<serde_json::Value>,
}

impl Fresh {
    pub(crate) fn new(client: Client, resource: &ApiResource, scope: Scope) -> Self {
        let path = DynamicObject::url_path(resource, scope.namespace.as_deref());
        Self { client, request: Request::new(path), scope }
    }

    /// Compares a fresh list with the store's state of the list's version. A batch may reach
    /// across that version, so that there is no such state; then another list is tried.
    pub(crate) async fn compare(&self, states: &States) -> Verdict {
        let mut verdict = Verdict::default();
        for _ in 0..LISTS {
            states.keep();
            match self.list().await {
                Ok((listed, version)) => verdict = wait_for(states, &listed, &version).await,
                Err(error) => {
                    verdict = Verdict::failed(format!("the fresh list failed: {error}"));
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
            if verdict.verified {
                break;
            }
        }
        states.forget();
        verdict
    }

    async fn list(&self) -> Result<(Listed, ResourceVersion), kube::Error> {
        let mut objects = BTreeMap::new();
        let mut params = ListParams {
            label_selector: self.scope.labels.clone(),
            field_selector: self.scope.fields.clone(),
            limit: Some(200),
            ..ListParams::default()
        };
        loop {
            let request = self.request.list(&params).map_err(kube::Error::BuildRequest)?;
            let page: Page = self.client.request(request).await?;
            for item in page.items {
                // The mirror skips, and counts, what does not decode; so does this.
                let Ok(object) = DynamicObject::deserialize(item) else { continue };
                if let Ok(key) = object.key() {
                    objects.insert(key, Content::of(&object));
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => {
                    let version = page.metadata.resource_version.unwrap_or_default();
                    return Ok((objects, version.into()));
                }
            }
        }
    }
}

/// Waits until the store has caught up with a list, and compares the two.
async fn wait_for(states: &States, listed: &Listed, version: &ResourceVersion) -> Verdict {
    let start = Instant::now();
    loop {
        let (state, is_final) = states.at(version);
        let verdict = Verdict::of(listed, &state);
        if verdict.verified || is_final || start.elapsed() > PATIENCE {
            return verdict;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Verdict {
    fn failed(why: String) -> Self {
        Self { verified: false, differences: vec![why], differing: 0 }
    }

    fn of(listed: &Listed, mirrored: &Snapshot<Mirrored>) -> Self {
        let mut found = BTreeMap::new();
        for (key, fresh) in listed {
            let difference = match mirrored.get(key) {
                Some(object) => difference(object, fresh),
                None => Some("the store lacks it".to_owned()),
            };
            if let Some(difference) = difference {
                found.insert(key.as_ref(), difference);
            }
        }
        let known: HashSet<_> = listed.keys().map(Key::as_ref).collect();
        for key in mirrored.keys().filter(|key| !known.contains(key)) {
            found.insert(key, "the server no longer has it".to_owned());
        }
        Self {
            verified: found.is_empty(),
            differing: found.len(),
            differences: found
                .iter()
                .take(SHOWN)
                .map(|(key, what)| format!("{key}: {what}"))
                .collect(),
        }
    }
}

fn difference(mirrored: &Mirrored, theirs: &Content) -> Option<String> {
    // Decoded for this only: asked for its object, it would keep it.
    let ours = match serde_json::from_str::<DynamicObject>(mirrored.json()) {
        Ok(object) => Content::of(&object),
        Err(error) => return Some(format!("what the store holds cannot be decoded: {error}")),
    };
    if ours.uid != theirs.uid {
        return Some(format!("uid {:?}, on the server {:?}", ours.uid, theirs.uid));
    }
    if ours.resource_version != theirs.resource_version {
        let show = |version: &Option<String>| version.clone().unwrap_or_else(|| "none".to_owned());
        return Some(format!(
            "resourceVersion {}, on the server {}",
            show(&ours.resource_version),
            show(&theirs.resource_version)
        ));
    }
    (ours != *theirs).then(|| "the same version with other content".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use watchcache::reflector::Decode;
    use watchcache::{Batch, Store};

    use super::*;

    fn object(name: &str, version: &str, phase: &str) -> DynamicObject {
        serde_json::from_value(json!({
            "metadata": { "name": name, "uid": name, "resourceVersion": version },
            "status": { "phase": phase },
        }))
        .expect("an object")
    }

    fn verdict(listed: &[DynamicObject], mirrored: &[DynamicObject]) -> Verdict {
        let listed = listed
            .iter()
            .map(|object| (object.key().expect("a key"), Content::of(object)))
            .collect();
        let store = Store::new();
        let mut batch = Batch::new();
        for object in mirrored {
            let json = serde_json::to_string(object).expect("JSON");
            batch.put(Mirrored::decode(&json, None).expect("an object")).expect("a key");
        }
        store.apply(&batch);
        Verdict::of(&listed, &store.snapshot())
    }

    #[test]
    fn equal_is_verified() {
        let objects = [object("a", "1", "Running"), object("b", "2", "Pending")];
        assert!(verdict(&objects, &objects).verified);
    }

    #[test]
    fn every_kind_of_difference_is_named() {
        let listed =
            [object("a", "1", "Running"), object("b", "2", "Pending"), object("c", "3", "")];
        let mirrored =
            [object("b", "1", "Pending"), object("c", "3", "Failed"), object("d", "4", "")];
        let verdict = verdict(&listed, &mirrored);
        assert!(!verdict.verified);
        assert_eq!(
            verdict.differences,
            [
                "a: the store lacks it",
                "b: resourceVersion 1, on the server 2",
                "c: the same version with other content",
                "d: the server no longer has it",
            ]
        );
    }
}
