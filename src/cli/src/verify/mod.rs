//! Compares the whole store with a fresh list of the server, object by object.

mod content;
mod fresh;

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use watchcache::reflector::Monitor;
use watchcache::{Key, ResourceVersion, Snapshot};

use crate::mirrored::Mirrored;
use crate::states::States;
use content::difference;
use fresh::Listed;

pub(crate) use fresh::Fresh;

/// How many fresh lists are compared before the store counts as different.
const LISTS: usize = 5;
/// How long the store may take to catch up with each.
const PATIENCE: Duration = Duration::from_secs(3);
/// How many differences are reported.
const SHOWN: usize = 10;

/// The result of the comparison.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) verified: bool,
    /// The first differences, each a sentence.
    pub(crate) differences: Vec<String>,
    /// How many there are in all.
    pub(crate) differing: usize,
}

/// Compares a fresh list with the store's state at the list's version. A batch may span that version, so
/// that there is no such state; then another list is tried.
///
/// Objects that the mirror reports as undecodable are left out.
pub(crate) async fn compare(fresh: &Fresh, states: &States, monitor: &Monitor) -> Verdict {
    let mut verdict = Verdict::default();
    for _ in 0..LISTS {
        states.keep();
        match fresh.list().await {
            // From a server that lags: the store's state at that version was dropped.
            Ok((_, version)) if states.are_past(&version) => {
                let what = format!("the fresh list is of version {version}, and the store past it");
                verdict = Verdict::failed(what);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Ok((listed, version)) => {
                verdict = wait_for(states, monitor, &listed, &version).await;
            }
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

/// Waits until the store has caught up with a list, and compares the two.
async fn wait_for(
    states: &States,
    monitor: &Monitor,
    listed: &Listed,
    version: &ResourceVersion,
) -> Verdict {
    let start = Instant::now();
    loop {
        let (state, is_final) = states.at(version);
        let left_out = monitor.quarantined().into_iter().map(|(key, _)| key).collect();
        let verdict = Verdict::of(listed, &state, &left_out);
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

    fn of(listed: &Listed, mirrored: &Snapshot<Mirrored>, left_out: &HashSet<Key>) -> Self {
        let mut found = BTreeMap::new();
        for (key, fresh) in listed.iter().filter(|(key, _)| !left_out.contains(*key)) {
            let difference = match mirrored.get(key) {
                Some(object) => difference(&object, fresh),
                None => Some("the store lacks it".to_owned()),
            };
            if let Some(difference) = difference {
                found.insert(key.as_ref(), difference);
            }
        }
        let known: HashSet<_> = listed.keys().chain(left_out).map(Key::as_ref).collect();
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

#[cfg(test)]
mod tests {
    use kube::api::DynamicObject;
    use serde_json::json;
    use watchcache::reflector::{Decode, Encoded};
    use watchcache::{Batch, Object, Store};

    use super::content::Content;
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
            .map(|object| (object.key().to_key().expect("a key"), Content::of(object)))
            .collect();
        let store = Store::new();
        let mut batch = Batch::new();
        for object in mirrored {
            let json = serde_json::to_string(object).expect("JSON");
            batch
                .add(Mirrored::decode(Encoded::from_json(&json), None).expect("an object"))
                .expect("a key");
        }
        store.apply(&batch);
        Verdict::of(&listed, &store.snapshot(), &HashSet::from(["q".parse().expect("a key")]))
    }

    #[test]
    fn what_the_mirror_says_it_could_not_decode_is_left_out() {
        let (new, old) = (object("q", "2", "Running"), object("q", "1", "Pending"));
        assert!(verdict(std::slice::from_ref(&new), &[old]).verified);
        assert!(verdict(&[new], &[]).verified);
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
