//! Compares the whole store with a fresh list of the server, object by object.

mod content;
mod fresh;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use watchcache::reflector::Monitor;
use watchcache::{Key, ResourceVersion};

use crate::states::{Moment, States};
use content::difference;
use fresh::{Listed, Unlisted};

pub(crate) use fresh::Fresh;

/// How many fresh lists are compared before the store counts as different.
const LISTS: usize = 5;
/// How long the store may stand still, short of a list's version, before it counts as different.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(10);
/// How long a state that need not be the last stands before it is compared: while the store catches up,
/// none of those in between is worth it.
const SETTLED: Duration = Duration::from_millis(100);
/// How long the comparison may take, with everything in it.
const LONGEST: Duration = Duration::from_secs(600);
/// How many differences are reported.
const SHOWN: usize = 10;

/// The result of the comparison.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    /// Why there is none.
    pub(crate) not_compared: Option<String>,
    /// The first differences, each a sentence.
    pub(crate) differences: Vec<String>,
    /// How many there are in all.
    pub(crate) differing: usize,
    /// Objects that the mirror reports as undecodable, which cannot be compared.
    pub(crate) left_out: usize,
}

/// Compares a fresh list with the store's state at the list's version. If they differ, another list is
/// tried: versions may have no order.
pub(crate) async fn compare(fresh: Fresh, states: Arc<States>, monitor: Monitor) -> Verdict {
    let verdict = tokio::time::timeout(LONGEST, several(&fresh, &states, &monitor)).await;
    states.forget();
    let late = || format!("no list could be compared within {} s", LONGEST.as_secs());
    verdict.unwrap_or_else(|_| Verdict::not_compared(late()))
}

async fn several(fresh: &Fresh, states: &States, monitor: &Monitor) -> Verdict {
    let mut verdict = Verdict::default();
    for _ in 0..LISTS {
        states.keep();
        match fresh.list().await {
            // From a server that lags: the store's state at that version was dropped.
            Ok((_, version)) if states.are_past(&version) => {
                let what = format!("the fresh list is of version {version}, and the store past it");
                verdict = Verdict::not_compared(what);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Ok((listed, version)) => {
                verdict = with_list(states, monitor, &Arc::new(listed), &version).await;
                if verdict.equal() {
                    break;
                }
            }
            Err(Unlisted { why, is_silence }) => {
                let what = format!("the server could not be listed: {why}");
                verdict = Verdict::not_compared(what);
                if is_silence {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
    verdict
}

/// Waits until the store has caught up with a list, and compares the two: each state once, and while it
/// goes on catching up none.
async fn with_list(
    states: &States,
    monitor: &Monitor,
    listed: &Arc<Listed>,
    version: &ResourceVersion,
) -> Verdict {
    let is_ordered = version.number().is_some();
    let (mut seen, mut still) = (None, Duration::ZERO);
    let mut compared = None;
    loop {
        let moment = states.at(version);
        let is_final = moment.is_final;
        let progress = monitor.progress();
        let reached = (moment.revision(), progress.resource_version, progress.quarantined);
        if seen.as_ref() != Some(&reached) {
            // Whether a state of a version without order is a later one cannot be told.
            still = if is_ordered { Duration::ZERO } else { still };
            compared = None;
            seen = Some(reached);
        }
        let may_be_it = is_final || !is_ordered || still >= SETTLED;
        if may_be_it && compared.is_none() {
            let verdict = Verdict::in_background(listed, moment, monitor).await;
            if verdict.equal() {
                return verdict;
            }
            compared = Some(verdict);
        }
        if (is_final || still > PATIENCE)
            && let Some(verdict) = compared
        {
            return verdict;
        }
        tokio::time::sleep(LOOK).await;
        still += LOOK;
    }
}

impl Verdict {
    pub(crate) fn not_compared(why: String) -> Self {
        Self { not_compared: Some(why), ..Self::default() }
    }

    /// What could be compared is equal.
    pub(crate) fn equal(&self) -> bool {
        self.not_compared.is_none() && self.differing == 0
    }

    /// The store equals the list, and nothing was left out.
    pub(crate) fn verified(&self) -> bool {
        self.equal() && self.left_out == 0
    }

    /// On a thread of its own: all of a large store is decoded.
    async fn in_background(listed: &Arc<Listed>, moment: Moment, monitor: &Monitor) -> Self {
        let listed = Arc::clone(listed);
        let left_out = monitor.quarantined().into_iter().map(|(key, _)| key).collect();
        let compared =
            tokio::task::spawn_blocking(move || Self::of(&listed, &moment, &left_out)).await;
        compared
            .unwrap_or_else(|error| Self::not_compared(format!("the comparison failed: {error}")))
    }

    fn of(listed: &Listed, mirrored: &Moment, left_out: &HashSet<Key>) -> Self {
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
            not_compared: None,
            left_out: left_out.len(),
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
    use watchcache::reflector::{Decode, Encoded, Poll, Reflector};
    use watchcache::{Batch, Object, Sink, Store};

    use super::content::Content;
    use super::*;
    use crate::mirrored::Mirrored;

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
        let states = States::new(Arc::new(store));
        states.keep();
        Verdict::of(&listed, &states.at(&"".into()), &HashSet::from(["q".parse().expect("a key")]))
    }

    #[tokio::test]
    async fn a_store_that_goes_on_catching_up_is_waited_for() {
        let nothing = || async { Ok(Vec::<DynamicObject>::new()) };
        let monitor = Reflector::builder(Poll::new(PATIENCE, nothing)).build().monitor();
        let store = Arc::new(Store::new());
        let states = States::new(Arc::clone(&store));
        states.keep();
        let last = object("a", "70", "Running");
        let listed = [(last.key().to_key().expect("a key"), Content::of(&last))];
        let listed = Arc::new(listed.into_iter().collect());
        // For longer than it may stand still.
        let catching_up = async {
            for version in (1..=70).map(|version: u32| version.to_string()) {
                let json = serde_json::to_string(&object("a", &version, "Running")).expect("JSON");
                let object = Mirrored::decode(Encoded::from_json(&json), None).expect("an object");
                let mut batch = Batch::new();
                batch.add(object).expect("a key");
                batch.set_resource_version((*version).into());
                store.apply(&batch);
                Sink::apply(&states, &batch);
                tokio::time::sleep(PATIENCE / 50).await;
            }
        };
        let version = "70".into();
        let (verdict, ()) =
            tokio::join!(with_list(&states, &monitor, &listed, &version), catching_up);
        assert!(verdict.verified(), "{verdict:?}");
    }

    #[test]
    fn what_the_mirror_says_it_could_not_decode_is_left_out() {
        let (new, old) = (object("q", "2", "Running"), object("q", "1", "Pending"));
        for mirrored in [&[old][..], &[]] {
            let verdict = verdict(std::slice::from_ref(&new), mirrored);
            assert!(verdict.equal() && !verdict.verified() && verdict.left_out == 1);
        }
    }

    #[test]
    fn equal_is_verified() {
        let objects = [object("a", "1", "Running"), object("b", "2", "Pending")];
        assert!(verdict(&objects, &objects).equal());
    }

    #[test]
    fn every_kind_of_difference_is_named() {
        let listed =
            [object("a", "1", "Running"), object("b", "2", "Pending"), object("c", "3", "")];
        let mirrored =
            [object("b", "1", "Pending"), object("c", "3", "Failed"), object("d", "4", "")];
        let verdict = verdict(&listed, &mirrored);
        assert!(!verdict.equal());
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
