//! Compares the whole store with a fresh list of the server, object by object.

use std::collections::{BTreeMap, HashSet};
use std::error::Error;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::stream::{Stream, StreamExt};
use http_body_util::BodyExt;
use kube::Client;
use kube::api::{ApiResource, DynamicObject, ListParams, Request};
use kube::client::Body;
use kube::core::Resource;
use serde::Deserialize;
use serde_json::value::RawValue;
use watchcache::reflector::Monitor;
use watchcache::{Key, Object, ResourceVersion, Snapshot, Status};

use crate::connect::chain;
use crate::mirrored::Mirrored;
use crate::states::States;
use crate::target::Scope;

/// How many fresh lists are compared before the store counts as different.
const LISTS: usize = 5;
/// How long the store may take to catch up with each.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long nothing of a page may come, and how long all of it may take: as it is for the mirror, a
/// large page over a slow line is no server that is dead.
const SILENCE: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(600);
/// How many pages in a row may bring nothing new. One is not unusual: the last.
const IDLE_PAGES: usize = 1_000;
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

/// A list that shares nothing with the reflector's own: decoded here, by another parser.
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

/// What names an object and its state.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    name: String,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
}

impl Content {
    /// Of an object's text, unless it names none.
    fn read(json: &str) -> Option<(Key, Self)> {
        match serde_json::from_str::<DynamicObject>(json) {
            Ok(object) => Some((object.key().to_key().ok()?, Self::of(&object))),
            Err(_) => Self::as_written(json),
        }
    }

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

    /// Of an object of which no tree can be made, as of one that is nested too deep: its fields, too,
    /// are compared, but as the server writes them.
    fn as_written(json: &str) -> Option<(Key, Self)> {
        let mut fields: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
        fields.retain(|name, _| name != "kind" && name != "apiVersion");
        let identity: Identity = serde_json::from_str(fields.get("metadata")?.get()).ok()?;
        let mut hasher = DefaultHasher::new();
        fields.iter().for_each(|(name, value)| (name, value.get()).hash(&mut hasher));
        let Identity { name, namespace, uid, resource_version } = identity;
        let key = Key::new(namespace.as_deref(), &name).ok()?;
        Some((key, Self { uid, resource_version, digest: hasher.finish() }))
    }
}

/// As odd servers write it: any of these may be null or absent.
#[derive(Deserialize)]
struct Page<'a> {
    metadata: Option<ListMeta>,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

/// A part of the metadata; what remains may be any number.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ListMeta {
    resource_version: Option<String>,
    r#continue: Option<String>,
}

impl Fresh {
    pub(crate) fn new(client: Client, resource: &ApiResource, scope: Scope) -> Self {
        let path = DynamicObject::url_path(resource, scope.namespace.as_deref());
        Self { client, request: Request::new(path), scope }
    }

    /// Compares a fresh list with the store's state of the list's version. A batch may reach
    /// across that version, so that there is no such state; then another list is tried.
    ///
    /// What the mirror could not decode, and says so, is left out.
    pub(crate) async fn compare(&self, states: &States, monitor: &Monitor) -> Verdict {
        let mut verdict = Verdict::default();
        for _ in 0..LISTS {
            states.keep();
            match self.list().await {
                // Of a server that lags: the store's state of that version is gone.
                Ok((_, version)) if states.are_past(&version) => {
                    let what =
                        format!("the fresh list is of version {version}, and the store past it");
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

    async fn list(&self) -> Result<(Listed, ResourceVersion), String> {
        let mut objects = BTreeMap::new();
        let (mut named, mut idle) = (HashSet::new(), 0);
        let mut params = ListParams {
            label_selector: self.scope.labels.clone(),
            field_selector: self.scope.fields.clone(),
            limit: Some(200),
            ..ListParams::default()
        };
        loop {
            let page = tokio::time::timeout(LONGEST, self.page(&params)).await;
            let text = page.map_err(|_| format!("a page took longer than {LONGEST:?}"))??;
            let page: Page<'_> = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            let before = objects.len();
            for item in page.items.iter().flatten() {
                // The mirror skips, and counts, what has no name; so does this.
                objects.extend(Content::read(item.get()));
            }
            idle = if objects.len() == before { idle + 1 } else { 0 };
            let metadata = page.metadata.unwrap_or_default();
            match metadata.r#continue.filter(|token| !token.is_empty()) {
                Some(token) if !named.insert(token.clone()) => {
                    return Err("the server names the same next page again".to_owned());
                }
                Some(_) if idle == IDLE_PAGES => {
                    return Err(format!("{idle} pages in a row bring nothing new"));
                }
                Some(token) => params.continue_token = Some(token),
                None => {
                    let version = metadata.resource_version.unwrap_or_default();
                    return Ok((objects, version.into()));
                }
            }
        }
    }

    /// A page as text; what is no text of JSON in it is replaced, and the object that holds it is
    /// one that the mirror has not decoded.
    async fn page(&self, params: &ListParams) -> Result<String, String> {
        let request = self.request.list(params).map_err(|error| error.to_string())?;
        let answer = in_time(SILENCE, self.client.send(request.map(Body::from))).await?;
        let answer = answer.map_err(|error| chain(&error))?;
        let status = answer.status();
        let body = whole(answer.into_body().into_data_stream(), SILENCE).await?;
        if !status.is_success() {
            let failure = Status::from_json(&body).map(|status| status.to_string());
            return Err(failure.unwrap_or_else(|_| format!("the server answered {status}")));
        }
        Ok(String::from_utf8_lossy(&body).replace(|c: char| c.is_ascii_control(), " "))
    }
}

/// All pieces of a body, unless none comes for too long.
async fn whole<P: AsRef<[u8]>, E: Error>(
    pieces: impl Stream<Item = Result<P, E>>,
    silence: Duration,
) -> Result<Vec<u8>, String> {
    let mut pieces = pin!(pieces);
    let mut bytes = Vec::new();
    while let Some(piece) = in_time(silence, pieces.next()).await? {
        bytes.extend_from_slice(piece.map_err(|error| chain(&error))?.as_ref());
    }
    Ok(bytes)
}

async fn in_time<T>(limit: Duration, answer: impl Future<Output = T>) -> Result<T, String> {
    let answer = tokio::time::timeout(limit, answer).await;
    answer.map_err(|_| format!("nothing came for {limit:?}"))
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
                Some(object) => difference(object, fresh),
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

fn difference(mirrored: &Mirrored, theirs: &Content) -> Option<String> {
    // Decoded for this only: asked for its object, it would keep it.
    let Some((_, ours)) = mirrored.json().ok().and_then(|json| Content::read(&json)) else {
        return Some("what the store holds cannot be decoded".to_owned());
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
    use watchcache::reflector::{Decode, Encoded};
    use watchcache::{Batch, Store};

    use super::*;

    fn object(name: &str, version: &str, phase: &str) -> DynamicObject {
        serde_json::from_value(json!({
            "metadata": { "name": name, "uid": name, "resourceVersion": version },
            "status": { "phase": phase },
        }))
        .expect("an object")
    }

    fn mirrored(json: &str) -> Mirrored {
        Mirrored::decode(Encoded::from_json(json), None).expect("an object")
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
            batch.add(mirrored(&json)).expect("a key");
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
    fn what_is_nested_too_deep_is_compared_as_it_is_written() {
        let deep = |version: u32, levels: usize| {
            let nest = "[".repeat(levels) + &"]".repeat(levels);
            format!(r#"{{"metadata":{{"name":"a","resourceVersion":"{version}"}},"spec":{nest}}}"#)
        };
        let read = |json: &str| Content::read(json).expect("it has a name").1;
        let held = mirrored(&deep(1, 9_000));
        assert_eq!(difference(&held, &read(&deep(1, 9_000))), None);
        let typed = deep(1, 9_000).replacen('{', r#"{"kind":"Thing","apiVersion":"x.io/v1","#, 1);
        assert_eq!(difference(&held, &read(&typed)), None);
        let other = difference(&held, &read(&deep(1, 8_999)));
        assert_eq!(other.as_deref(), Some("the same version with other content"));
        let newer = difference(&held, &read(&deep(2, 9_000)));
        assert_eq!(newer.as_deref(), Some("resourceVersion 1, on the server 2"));
    }

    #[tokio::test]
    async fn a_page_that_goes_on_coming_is_waited_for_and_silence_is_not() {
        let silence = Duration::from_secs(2);
        let slow = futures_util::stream::unfold(0, |piece| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            (piece < 30).then_some((Ok::<_, kube::Error>("x"), piece + 1))
        });
        assert_eq!(whole(slow, silence).await.map(|bytes| bytes.len()), Ok(30));
        let none = futures_util::stream::pending::<Result<&str, kube::Error>>();
        let silent = whole(none, Duration::from_millis(50)).await;
        assert_eq!(silent, Err("nothing came for 50ms".to_owned()));
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
