//! The source against servers that answer as scripted.

use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;
use http::{Response, Uri};
use http_body_util::{BodyExt, Full};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DynamicObject, PartialObjectMeta};
use kube::client::Body;

use super::*;
use crate::reflector::{Item, Reflector, Undecodable};
use crate::{Key, KeyRef, LabelSelector, Store};

mod protobuf;
mod shards;

/// A client of a server that answers so.
fn client(answer: impl Fn(&Uri) -> Vec<u8> + Send + Sync + 'static) -> Client {
    let answer = Arc::new(answer);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let body = answer(request.uri());
        async move { Ok::<_, Infallible>(Response::new(Body::from(body))) }
    });
    Client::new(service, "default")
}

fn source<K: Decode>(body: impl Into<Vec<u8>>) -> KubeSource<K>
where
    DynamicType<K>: Default,
{
    let body = body.into();
    KubeSource::all(client(move |_| body.clone()))
}

fn things<K: Decode<Resource = DynamicObject>>(body: impl Into<Vec<u8>>) -> KubeSource<K> {
    let body = body.into();
    KubeSource::all_with(client(move |_| body.clone()), &thing())
}

fn thing() -> kube::api::ApiResource {
    let kind = kube::api::GroupVersionKind::gvk("x.io", "v1", "Thing");
    kube::api::ApiResource::from_gvk(&kind)
}

async fn list<K: Decode>(source: &KubeSource<K>) -> Result<Vec<Item<K>>, SourceError> {
    Ok(source.list(ListRequest::default()).await?.items.collect().await)
}

async fn watch<K: Decode>(source: &KubeSource<K>) -> Vec<Result<WatchEvent<K>, SourceError>> {
    let request =
        WatchRequest { start: WatchStart::After("1".into()), timeout: Duration::from_secs(60) };
    source.watch(request).await.expect("it is granted").collect().await
}

fn pod(name: &str, version: u64) -> String {
    format!(
        r#"{{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"{name}","namespace":"default",
             "uid":"u-{name}","resourceVersion":"{version}","labels":{{"app":"web"}}}}}}"#
    )
}

fn pod_list(items: &str) -> String {
    format!(
        r#"{{"kind":"PodList","apiVersion":"v1","metadata":{{"resourceVersion":"10"}},"items":[{items}]}}"#
    )
}

fn added(object: &str) -> String {
    format!(r#"{{"type":"ADDED","object":{object}}}"#)
}

/// What came, each in a word: a name, a name with what is wrong, or a failure.
fn told<K: Object>(event: &Result<WatchEvent<K>, SourceError>) -> String {
    let name = |object: &K| object.key().name().to_owned();
    match event {
        Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => name(object),
        Ok(WatchEvent::Deleted(object)) => format!("-{}", name(object)),
        Ok(WatchEvent::Undecodable(bad)) => bad_name(bad),
        Ok(WatchEvent::Unknown { event_type }) => format!("unknown {event_type}"),
        Ok(other) => format!("{other:?}", other = std::mem::discriminant(other)),
        Err(error) => format!("error: {error}"),
    }
}

fn bad_name(bad: &Undecodable) -> String {
    format!("bad {}", bad.key.as_ref().map_or("?", Key::name))
}

fn item<K: Object>(item: &Item<K>) -> String {
    match item {
        Item::Object(object) | Item::Held(object) => object.key().name().to_owned(),
        Item::Undecodable(bad) => bad_name(bad),
    }
}

#[tokio::test]
async fn an_answer_that_is_no_list_of_the_kind_is_a_failure() {
    for (body, words) in [
        (
            r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","rows":[]}"#.to_owned(),
            "a Table of meta",
        ),
        (r#"{"metadata":{"resourceVersion":"5"}}"#.to_owned(), "an object without a kind"),
        (r#"{"metadata":{},"items":[]}"#.to_owned(), "an object without a kind"),
        (pod("a", 5), "a Pod of v1"),
        (
            r#"{"kind":"ServiceList","apiVersion":"v1","metadata":{},"items":[]}"#.to_owned(),
            "a ServiceList of v1",
        ),
        (
            r#"{"kind":"PodList","apiVersion":"v2","metadata":{},"items":[]}"#.to_owned(),
            "a PodList of v2",
        ),
        (
            r#"{"kind":"Status","status":"Failure","message":"conversion failed","code":500}"#
                .to_owned(),
            "conversion failed",
        ),
        (
            "<html><title>Sign in</title></html>".to_owned(),
            "an HTML page with the title \"Sign in\"",
        ),
        (String::new(), "found nothing"),
        ("[]".to_owned(), "found \"[]\""),
        (pod_list("{") + "}", "JSON that does not read"),
    ] {
        let typed = list(&source::<Pod>(body.clone())).await.expect_err("no list");
        let lazy = list(&source::<Lazy<Pod>>(body.clone())).await.expect_err("no list");
        assert!(typed.to_string().contains(words), "{body}: {typed}");
        assert_eq!(typed.to_string(), lazy.to_string());
    }
    // Another list than the one of metadata that was asked for.
    let error = list(&source::<PartialObjectMeta<Pod>>(pod_list(&pod("a", 5)))).await;
    assert!(error.expect_err("no metadata").to_string().contains("a PodList of v1"));
}

#[tokio::test]
async fn a_failed_list_takes_nothing_from_the_store() {
    let asked = AtomicUsize::new(0);
    let client = client(move |uri| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => pod_list(&pod("a", 5)).into(),
        _ if uri.query().is_some_and(|query| query.contains("watch=true")) => {
            let gone = r#"{"kind":"Status","status":"Failure","reason":"Expired","code":410}"#;
            format!(r#"{{"type":"ERROR","object":{gone}}}"#).into_bytes()
        }
        _ => br#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","rows":[]}"#.to_vec(),
    });
    let store = Arc::new(Store::<Pod>::new());
    let reflector = Reflector::builder(KubeSource::all(client)).sink(store.clone()).build();
    let monitor = reflector.monitor();
    let run = reflector.run(async {
        while !monitor.progress().last_error.is_some_and(|error| error.contains("a Table")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    tokio::time::timeout(Duration::from_secs(60), run).await.expect("in time").expect("stopped");
    assert!(store.contains("default/a"));
}

/// A mirror of a list of which a piece comes each second of virtual time, all of them or so many,
/// after ten minutes and a half: whether it has come, and what the last failure was.
async fn mirror_of_slow(pieces: usize, come: usize) -> (bool, Option<String>) {
    let service = tower::service_fn(move |_: http::Request<Body>| async move {
        let blanks = std::iter::repeat_n(Bytes::from(" "), pieces);
        let texts = blanks.chain([Bytes::from(pod_list(&pod("a", 5)))]);
        let body = futures_util::stream::iter(texts.take(come)).then(|text| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Full::new(text).frame().await.expect("it holds a piece")
        });
        let never = futures_util::stream::pending();
        let all = come > pieces;
        let body = body.chain(never.take(if all { 0 } else { 1 }));
        let body = http_body_util::StreamBody::new(body.boxed());
        Ok::<_, Infallible>(Response::new(body))
    });
    let source = KubeSource::<Pod>::all(Client::new(service, "default"));
    let reflector = Reflector::builder(source).sink(Store::new()).build();
    let monitor = reflector.monitor();
    reflector.run(tokio::time::sleep(Duration::from_secs(630))).await.expect("stopped");
    let progress = monitor.progress();
    (progress.synced, progress.last_error)
}

#[tokio::test(start_paused = true)]
async fn a_page_may_be_slow_as_long_as_it_comes() {
    assert!(
        mirror_of_slow(75, usize::MAX).await.0,
        "no answer is complete within the limit of 60 s"
    );
    let (synced, error) = mirror_of_slow(75, 70).await;
    assert!(!synced && error.is_some_and(|error| error == "no answer within 60s"));
    let (synced, error) = mirror_of_slow(usize::MAX - 1, usize::MAX).await;
    assert!(!synced && error.is_some_and(|error| error == "no answer within 600s"));
}

#[tokio::test]
async fn lists_as_odd_servers_write_them() {
    let open = |rest: &str| format!(r#"{{"kind":"PodList","apiVersion":"v1"{rest}}}"#);
    for (body, version, count) in [
        (open(r#","metadata":{"resourceVersion":"529"}"#), Some("529"), 0),
        (open(r#","metadata":{"resourceVersion":"529"},"items":null"#), Some("529"), 0),
        (open(r#","metadata":null,"items":[{"metadata":{"name":"a"}}]"#), None, 1),
        (open(r#","items":[{"metadata":{"name":"a"}}]"#), None, 1),
        (open(r#","metadata":{"resourceVersion":"","continue":""},"items":[]"#), None, 0),
        // A watch from "0" may begin anywhere.
        (open(r#","metadata":{"resourceVersion":"0"},"items":[]"#), None, 0),
        (open(r#","metadata":{"resourceVersion":"7","remainingItemCount":-1}"#), Some("7"), 0),
        (r#"{"kind":"PodList","items":[{"metadata":{"name":"a"}}]}"#.to_owned(), None, 1),
        // Of a kind of its own, or of none: the items say what they are.
        (format!(r#"{{"kind":"List","apiVersion":"v1","items":[{}]}}"#, pod("a", 5)), None, 1),
        (format!(r#"{{"items":[{}]}}"#, pod("a", 5)), None, 1),
    ] {
        let page = source::<Pod>(body.clone()).list(ListRequest::default()).await;
        let page = page.unwrap_or_else(|error| panic!("{body}: {error}"));
        assert_eq!(page.resource_version.as_ref().map(|v| v.as_str()), version, "{body}");
        assert_eq!((page.continue_token.as_deref(), page.remaining), (None, None), "{body}");
        assert_eq!(page.items.count().await, count, "{body}");
    }
    let named = r#"{"kind":"ThingCollection","apiVersion":"x.io/v1","metadata":{},"items":[]}"#;
    assert!(list(&things::<DynamicObject>(named)).await.is_err());
    let source = things::<DynamicObject>(named).list_kind("ThingCollection");
    assert!(list(&source).await.is_ok_and(|items| items.is_empty()));
}

/// Pods `good`, `bad` and `after`; the second holds these bytes in an annotation.
fn damaged(bytes: &[u8]) -> [Vec<u8>; 3] {
    let bad = pod("bad", 7).replace(r#""labels""#, r#""annotations":{"x":"HERE"},"labels""#);
    let (before, after) = bad.split_once("HERE").expect("there");
    let bad = [before.as_bytes(), bytes, after.as_bytes()].concat();
    [pod("good", 6).into(), bad, pod("after", 8).into()]
}

#[tokio::test]
async fn bytes_that_are_no_text_cost_one_object_and_no_other() {
    for bytes in [b"caf\xe9".as_slice(), b"\xff", b"\xed\xa0\x80", b"a\x01b", b"tab\there"] {
        let pods = damaged(bytes);
        let body = pod_list("ITEMS").into_bytes();
        let start = body.windows(5).position(|part| part == b"ITEMS").expect("there");
        let body = [&body[..start], &pods.join(&b","[..]), &body[start + 5..]].concat();
        let items = list(&source::<Pod>(body.clone())).await.expect("a list");
        assert_eq!(items.iter().map(item).collect::<Vec<_>>(), ["good", "bad bad", "after"]);
        let Some(Item::Undecodable(bad)) = items.get(1) else { panic!("{items:?}") };
        assert_eq!(bad.resource_version.as_ref().map(|v| v.as_str()), Some("7"));
        assert!(bad.error.contains("not UTF-8"), "{}", bad.error);
        let lazy = list(&source::<Lazy<Pod>>(body)).await.expect("a list");
        assert_eq!(lazy.iter().map(item).collect::<Vec<_>>(), ["good", "bad bad", "after"]);

        let line = |kind: &str, pod: &[u8]| {
            let pod: Vec<u8> = pod.iter().filter(|byte| **byte != b'\n').copied().collect();
            [br#"{"type":""#, kind.as_bytes(), br#"","object":"#, &pod, b"}\n"].concat()
        };
        let [good, bad, after] = &pods;
        let body = [
            line("ADDED", good),
            line("ADDED", bad),
            line("DELETED", bad),
            line("MODIFIED", after),
        ];
        let events = watch(&source::<Pod>(body.concat())).await;
        let words: Vec<_> = events.iter().map(told).collect();
        assert_eq!(words, ["good", "bad bad", "bad bad", "after"]);
        assert!(matches!(&events[2], Ok(WatchEvent::Undecodable(bad)) if bad.deleted));
    }
    // Damage in the list itself may hide what comes next.
    let body = pod_list(&pod("a", 5)).replace(r#""10""#, r#""10X""#).into_bytes();
    let body: Vec<u8> =
        body.into_iter().map(|byte| if byte == b'X' { 0xff } else { byte }).collect();
    let error = list(&source::<Pod>(body)).await.expect_err("damaged");
    assert!(error.to_string().contains("outside of its items"), "{error}");
}

fn deep(name: &str, levels: usize) -> String {
    let nest = "[".repeat(levels) + &"]".repeat(levels);
    format!(
        r#"{{"apiVersion":"x.io/v1","kind":"Thing","metadata":{{"name":"{name}","resourceVersion":"6"}},"spec":{nest}}}"#
    )
}

#[tokio::test]
async fn an_object_that_is_nested_too_deep_costs_itself_and_no_other() {
    let levels = [4_000, 9_000, 100_000];
    for levels in levels {
        let objects = [deep("flat", 1), deep("deep", levels), deep("level", 100)];
        let body = format!(
            r#"{{"apiVersion":"x.io/v1","kind":"ThingList","metadata":{{"resourceVersion":"10"}},"items":[{}]}}"#,
            objects.join(",")
        );
        let items = list(&things::<DynamicObject>(body)).await.expect("a list");
        assert_eq!(items.iter().map(item).collect::<Vec<_>>(), ["flat", "bad deep", "level"]);
        let body = objects.map(|object| added(&object) + "\n").concat();
        let events = watch(&things::<DynamicObject>(body)).await;
        assert_eq!(events.iter().map(told).collect::<Vec<_>>(), ["flat", "bad deep", "level"]);
    }
}

#[tokio::test]
async fn managed_fields_that_are_nested_too_deep_cost_their_object_where_they_are_kept() {
    let nest = r#"{"f:a":"#.repeat(4_000) + "{}" + &"}".repeat(4_000);
    let fields = format!(r#""managedFields":[{{"manager":"x","fieldsV1":{nest}}}],"labels""#);
    let bad = pod("deep", 6).replace(r#""labels""#, &fields);
    let body = pod_list(&[pod("a", 5), bad].join(","));
    let kept = source::<Pod>(body.clone()).keep_managed_fields();
    let items = list(&kept).await.expect("a list");
    assert_eq!(items.iter().map(item).collect::<Vec<_>>(), ["a", "bad deep"]);
    // Where they are not kept nothing is wrong with it.
    let items = list(&source::<Pod>(body.clone())).await.expect("a list");
    assert_eq!(items.iter().map(item).collect::<Vec<_>>(), ["a", "deep"]);
    let lazy = list(&source::<Lazy<Pod>>(body)).await.expect("a list");
    assert_eq!(lazy.iter().map(item).collect::<Vec<_>>(), ["a", "deep"]);
    let Some(Item::Object(pruned)) = lazy.get(1) else { panic!("{lazy:?}") };
    assert!(pruned.get().is_ok());
}

/// An object whose type has code of its own, which panics for one name.
struct Picky(Key);

impl Object for Picky {
    fn key(&self) -> KeyRef<'_> {
        (&self.0).into()
    }
}

impl Decode for Picky {
    type Resource = Pod;

    fn decode(encoded: Encoded<'_>, _: Option<&Report>) -> Result<Self, DecodeError> {
        let pod: Pod = encoded.decode()?;
        let key = Object::key(&pod).to_key().expect("a key");
        assert_ne!(key.name(), "bad", "not this one");
        Ok(Self(key))
    }
}

#[tokio::test]
async fn a_panic_in_a_decoder_costs_one_object_and_no_other() {
    let pods = [pod("a", 5), pod("bad", 6), pod("b", 7)];
    let items = list(&source::<Picky>(pod_list(&pods.join(",")))).await.expect("a list");
    assert_eq!(items.iter().map(item).collect::<Vec<_>>(), ["a", "bad bad", "b"]);
    assert!(matches!(&items[1], Item::Undecodable(bad) if bad.error.contains("not this one")));
    let body = pods.map(|pod| added(&pod).replace('\n', "") + "\n").concat();
    let events = watch(&source::<Picky>(body)).await;
    assert_eq!(events.iter().map(told).collect::<Vec<_>>(), ["a", "bad bad", "b"]);
}

#[tokio::test]
async fn events_need_no_line_end_and_what_is_left_is_not_lost() {
    let one = |name: &str| added(&pod(name, 11)).replace('\n', "");
    for (body, expected) in [
        (one("a") + &one("b"), &["a", "b"][..]),
        (one("a") + &one("b") + "\n" + &one("c"), &["a", "b", "c"]),
        (one("a") + "\n" + &one("b"), &["a", "b"]),
        (one("a") + "\n\r\n \n", &["a"]),
        (String::new(), &[]),
    ] {
        let events = watch(&source::<Pod>(body.clone())).await;
        assert_eq!(events.iter().map(told).collect::<Vec<_>>(), expected, "{body}");
    }
    let cut = one("a") + "\n" + &one("b")[..40];
    for (body, words) in [
        (cut, "found JSON that does not read: EOF"),
        (
            one("a") + &pod_list(&pod("b", 5)).replace('\n', ""),
            "expected an event, found a PodList of v1",
        ),
        (one("a") + "<html><title>Sign in</title>", "an HTML page with the title \"Sign in\""),
        (
            one("a") + r#"{"kind":"Status","status":"Failure","message":"too busy","code":500}"#,
            "too busy",
        ),
        (one("a") + r#"{"type":"ADDED"}"#, "expected an event, found an object without a kind"),
        (
            one("a") + r#"{"type":"ERROR","object":{"message":"gone"}}"#,
            "a Status in an error event",
        ),
        (
            one("a")
                + r#"{"type":"ERROR","object":{"kind":"Status","status":"Failure","message":"401: outdated"}}"#,
            "401: outdated",
        ),
    ] {
        let events = watch(&source::<Pod>(body.clone())).await;
        let words_told: Vec<_> = events.iter().map(told).collect();
        assert_eq!((words_told.len(), &*words_told[0]), (2, "a"), "{body}: {words_told:?}");
        assert!(words_told[1].starts_with("error: "), "{body}: {words_told:?}");
        assert!(words_told[1].contains(words), "{body}: {words_told:?}");
    }
}

#[tokio::test]
async fn a_bookmark_without_a_version_is_counted_and_otherwise_nothing() {
    let bookmark =
        |metadata: &str| format!(r#"{{"type":"BOOKMARK","object":{{"metadata":{metadata}}}}}"#);
    for metadata in ["null", "{}", r#"{"resourceVersion":null}"#, r#"{"resourceVersion":""}"#] {
        let events = watch(&source::<Pod>(bookmark(metadata) + "\n")).await;
        let words: Vec<_> = events.iter().map(told).collect();
        assert_eq!(words, ["unknown BOOKMARK without a resource version"], "{metadata}");
    }
    for version in ["", r#","resourceVersion":"0""#] {
        let notes = r#"{"annotations":{"k8s.io/initial-events-end":"true"}"#;
        let end = bookmark(&format!("{notes}{version}}}"));
        let events = watch(&source::<Pod>(end)).await;
        assert!(matches!(&events[..], [Err(SourceError::Protocol(_))]), "{events:?}");
    }
}

#[tokio::test]
async fn lines_and_pages_have_limits() {
    let body = pod_list(&pod("a", 5));
    let size = body.len();
    assert!(list(&source::<Pod>(body.clone()).page_limit(size)).await.is_ok());
    let error = list(&source::<Pod>(body).page_limit(size - 1)).await.expect_err("too large");
    assert!(error.to_string().contains("limit"), "{error}");
    let line = added(&pod("a", 5)).replace('\n', "");
    let body = format!("{line}\n{line}\n");
    assert_eq!(watch(&source::<Pod>(body.clone()).line_limit(line.len())).await.len(), 2);
    let events = watch(&source::<Pod>(body).line_limit(line.len() - 1)).await;
    assert!(
        matches!(&events[..], [Err(error)] if error.to_string().contains("limit")),
        "{events:?}"
    );
}

#[tokio::test]
async fn a_watch_may_be_longer_than_the_client_would_ask_for() {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let client = client({
        let asked = Arc::clone(&asked);
        move |uri| {
            asked.lock().expect("no panic").push(uri.query().unwrap_or_default().to_owned());
            Vec::new()
        }
    });
    let source = KubeSource::<Pod>::all(client).labels("app=timeoutSeconds");
    for timeout in [Duration::ZERO, Duration::from_secs(200), Duration::from_secs(3_601)] {
        let request = WatchRequest { start: WatchStart::After("7".into()), timeout };
        source.watch(request).await.expect("granted").collect::<Vec<_>>().await;
    }
    let asked = asked.lock().expect("no panic");
    for (query, seconds) in asked.iter().zip([1, 200, 3_601]) {
        assert!(query.contains(&format!("timeoutSeconds={seconds}&")), "{query}");
        assert_eq!(query.matches("timeoutSeconds=").count(), 1, "{query}");
        assert!(query.ends_with("resourceVersion=7"), "{query}");
    }
}

/// Mirrors a Pod with a label, and asks the store for it by that.
async fn found_by_label<K: Decode>(source: KubeSource<K>) {
    let store = Arc::new(Store::<K>::builder().label_index("app").build());
    let reflector = Reflector::builder(source).sink(store.clone()).build();
    let monitor = reflector.monitor();
    reflector
        .run(async {
            let _ = monitor.synced().await;
        })
        .await
        .expect("it stops");
    let snapshot = store.snapshot();
    for selector in ["app=web", "app in (web),!tier", "app"] {
        let selector: LabelSelector = selector.parse().expect("valid");
        assert_eq!(snapshot.select(&selector).count(), 1, "{selector}");
    }
    let none: LabelSelector = "app!=web".parse().expect("valid");
    assert_eq!(snapshot.select(&none).count(), 0);
    let object = store.get("default/a").expect("there");
    assert_eq!((object.uid(), object.resource_version()), (Some("u-a"), Some("5")));
    assert!(object.size() > size_of::<K>(), "what lies behind its pointers counts");
}

#[tokio::test]
async fn every_form_of_an_object_has_labels_identity_and_a_size() {
    let asked = |body: String| {
        move |uri: &Uri| match uri.query() {
            Some(query) if query.contains("watch=true") => Vec::new(),
            _ => body.clone().into_bytes(),
        }
    };
    let pods = || client(asked(pod_list(&pod("a", 5))));
    found_by_label(KubeSource::<Pod>::all(pods())).await;
    found_by_label(KubeSource::<Lazy<Pod>>::all(pods())).await;
    let resource = kube::api::ApiResource::erase::<Pod>(&());
    found_by_label(KubeSource::<DynamicObject>::all_with(pods(), &resource)).await;
    let metadata = pod_list(&pod("a", 5))
        .replace(
            r#""PodList","apiVersion":"v1""#,
            r#""PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1""#,
        )
        .replace(
            r#""Pod","apiVersion":"v1""#,
            r#""PartialObjectMetadata","apiVersion":"meta.k8s.io/v1""#,
        );
    found_by_label(KubeSource::<PartialObjectMeta<Pod>>::all(client(asked(metadata)))).await;
}

#[test]
fn the_size_of_a_dynamic_object_follows_its_content() {
    let object = |text: &str| -> DynamicObject {
        let json = format!(r#"{{"metadata":{{"name":"a"}},"data":{{"k":[{{"v":"{text}"}}]}}}}"#);
        serde_json::from_str(&json).expect("valid")
    };
    assert!(object(&"x".repeat(10_000)).size() >= object("x").size() + 9_999);
}

/// What is odd about one field of an object's metadata does not hide which object it is.
#[tokio::test]
async fn a_deletion_with_an_odd_field_is_one() {
    for odd in [r#""resourceVersion":12,"uid":"u""#, r#""resourceVersion":"12","uid":{}"#] {
        let object = format!(
            r#"{{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"a","namespace":"b",{odd}}}}}"#
        );
        let event = format!(r#"{{"type":"DELETED","object":{object}}}"#);
        let events = watch(&source::<Pod>(event)).await;
        let [Ok(WatchEvent::Undecodable(bad))] = &events[..] else { panic!("{events:?}") };
        assert!(bad.deleted);
        assert_eq!(bad.key.as_ref().map(Key::as_str), Some("b/a"));
        assert_eq!(bad.resource_version.as_ref().map(|version| version.as_str()), Some("12"));
    }
}

/// As a server writes it that is asked to by a proxy, or a mock.
#[tokio::test]
async fn events_may_span_lines() {
    let pretty = |json: &str| {
        let value: serde_json::Value = serde_json::from_str(json).expect("JSON");
        serde_json::to_string_pretty(&value).expect("JSON") + "\n"
    };
    let body =
        pretty(&added(&pod("a", 5))) + &added(&pod("b", 6)) + "\n" + &pretty(&added(&pod("c", 7)));
    let events = watch(&source::<Pod>(body)).await;
    assert_eq!(events.iter().map(told).collect::<Vec<_>>(), ["a", "b", "c"]);
    // A failure keeps its code.
    let gone =
        r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}"#;
    let failed = format!(r#"{{"type":"ERROR","object":{gone}}}"#);
    for body in [pretty(gone), pretty(&failed)] {
        let events = watch(&source::<Pod>(body)).await;
        assert!(matches!(&events[..], [Err(error)] if error.is_expired()), "{events:?}");
    }
}
