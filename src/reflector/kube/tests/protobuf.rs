//! Answers in protobuf.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, CONTENT_TYPE};
use k8s_openapi::api::core::v1::Service;

use super::super::protobuf::MEDIA_TYPE;
use super::super::protobuf::tests::{field, object};
use super::*;
use crate::reflector::Shard;

mod damage;

/// What an API server answers: `list`, `watch` or `status`; by `schema/generate`.
fn answer(name: &str) -> Vec<u8> {
    let mut lines = include_str!("../protobuf/tests/streams.txt").lines();
    let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).expect("there");
    STANDARD.decode(line).expect("base64")
}

/// A client of a server that answers so, given the request's Accept header and URI.
fn negotiating(
    answer: impl Fn(&str, &Uri) -> (u16, &'static str, Vec<u8>) + Send + Sync + 'static,
) -> Client {
    let answer = Arc::new(answer);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let accept = request.headers().get(ACCEPT).map_or("", |it| it.to_str().expect("text"));
        let (code, content_type, body) = answer(accept, request.uri());
        let response = Response::builder().status(code).header(CONTENT_TYPE, content_type);
        let response = response.body(Body::from(body)).expect("valid");
        async move { Ok::<_, Infallible>(response) }
    });
    Client::new(service, "default")
}

/// A source whose server answers so in protobuf.
fn speaking<K: Decode>(body: impl Into<Vec<u8>>) -> KubeSource<K>
where
    DynamicType<K>: Default,
{
    let body = body.into();
    KubeSource::all(negotiating(move |_, _| (200, MEDIA_TYPE, body.clone())))
}

/// A Pod's message.
fn message(name: &str, version: u64) -> Vec<u8> {
    let label = [field(1, b"app"), field(2, b"web")].concat();
    let metadata = [
        field(1, name.as_bytes()),
        field(3, b"default"),
        field(5, format!("u-{name}").as_bytes()),
        field(6, version.to_string().as_bytes()),
        field(11, &label),
    ];
    [field(1, &metadata.concat()), field(3, &field(1, b"Running"))].concat()
}

fn pods(messages: &[Vec<u8>]) -> Vec<u8> {
    let items: Vec<_> = messages.iter().map(|message| field(2, message)).collect();
    object("v1", "PodList", &[field(1, &field(2, b"10")), items.concat()].concat())
}

fn event(kind: &str, object: &[u8]) -> Vec<u8> {
    let event = [field(1, kind.as_bytes()), field(2, &field(1, object))].concat();
    [&u32::try_from(event.len()).expect("short").to_be_bytes()[..], &event].concat()
}

fn pod_event(kind: &str, name: &str, version: u64) -> Vec<u8> {
    event(kind, &object("v1", "Pod", &message(name, version)))
}

#[tokio::test]
async fn a_list_is_read() {
    let page = speaking::<Pod>(answer("list")).list(ListRequest::default()).await.expect("a list");
    assert_eq!(page.resource_version.as_ref().map(|v| v.as_str()), Some("10"));
    assert_eq!((page.continue_token.as_deref(), page.remaining), (Some("next"), Some(7)));
    let items: Vec<_> = page.items.collect().await;
    assert_eq!(items.iter().map(item).collect::<Vec<_>>(), ["a", "b"]);
    let Some(Item::Object(pod)) = items.first() else { panic!("{items:?}") };
    assert_eq!(pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()), Some("node-1"));
    assert_eq!(pod.metadata.managed_fields, None);
    let kept = list(&speaking::<Pod>(answer("list")).keep_managed_fields()).await.expect("a list");
    let Some(Item::Object(pod)) = kept.first() else { panic!("{kept:?}") };
    assert_eq!(pod.metadata.managed_fields.as_ref().map(Vec::len), Some(1));
    assert!(list(&speaking::<Pod>(pods(&[]))).await.is_ok_and(|items| items.is_empty()));
}

#[tokio::test]
async fn a_watch_is_read_to_its_end() {
    let events = watch(&speaking::<Pod>(answer("watch"))).await;
    let [added, modified, deleted, end, bookmark, expired] = &events[..] else {
        panic!("{events:?}")
    };
    let version = |pod: &Pod| pod.metadata.resource_version.clone().expect("there");
    assert!(matches!(added, Ok(WatchEvent::Added(pod)) if version(pod) == "11"));
    assert!(matches!(modified, Ok(WatchEvent::Modified(pod)) if version(pod) == "12"));
    assert!(matches!(deleted, Ok(WatchEvent::Deleted(pod)) if version(pod) == "13"));
    assert!(matches!(end, Ok(WatchEvent::InitialEventsEnd(v)) if v.as_str() == "14"));
    assert!(matches!(bookmark, Ok(WatchEvent::Bookmark(v)) if v.as_str() == "15"));
    assert!(matches!(expired, Err(error) if error.is_expired()), "{expired:?}");
}

#[tokio::test]
async fn a_lazy_object_keeps_the_bytes_and_is_the_typed_one() {
    let typed = list(&speaking::<Pod>(answer("list"))).await.expect("a list");
    for keep in [false, true] {
        let source = speaking::<Lazy<Pod>>(answer("list"));
        let source = if keep { source.keep_managed_fields() } else { source };
        let lazy = list(&source).await.expect("a list");
        for (lazy, typed) in lazy.iter().zip(&typed) {
            let (Item::Object(lazy), Item::Object(typed)) = (lazy, typed) else { panic!() };
            assert!(!lazy.is_decoded());
            assert_eq!(lazy.key(), typed.key());
            assert_eq!(
                (lazy.uid(), lazy.resource_version()),
                (typed.uid(), typed.resource_version())
            );
            assert_eq!(lazy.labels().collect::<Vec<_>>(), [("app", "web")]);
            let mut pod = lazy.get().expect("a Pod").clone();
            assert_eq!(pod.metadata.managed_fields.take().is_some(), keep);
            assert_eq!(pod, **typed);
            let json: Pod = serde_json::from_str(&lazy.json().expect("JSON")).expect("a Pod");
            assert_eq!(&json, lazy.get().expect("a Pod"));
        }
    }
}

/// By kube's macro; to the server it is a Pod.
#[derive(kube::Resource, serde::Deserialize)]
#[resource(inherit = Pod)]
struct Placed {
    metadata: kube::api::ObjectMeta,
    #[serde(default)]
    status: Phase,
}

#[derive(Default, serde::Deserialize)]
struct Phase {
    phase: Option<String>,
}

#[tokio::test]
async fn a_type_that_inherits_from_a_kind_is_read_from_either_form() {
    let in_json =
        pod("a", 5).replace("\"metadata\"", "\"status\":{\"phase\":\"Running\"},\"metadata\"");
    let listed = [
        list(&source::<Placed>(pod_list(&in_json))).await.expect("a list"),
        list(&speaking::<Placed>(pods(&[message("a", 5)]))).await.expect("a list"),
    ];
    let line = added(&in_json).replace('\n', "");
    let watched =
        [watch(&source::<Placed>(line)).await, watch(&speaking(pod_event("ADDED", "a", 5))).await];
    for (listed, watched) in listed.iter().zip(&watched) {
        let ([Item::Object(listed)], [Ok(WatchEvent::Added(watched))]) =
            (&listed[..], &watched[..])
        else {
            panic!("one Pod each")
        };
        for pod in [listed, watched] {
            assert_eq!((pod.key().name(), pod.resource_version()), ("a", Some("5")));
            assert_eq!(pod.status.phase.as_deref(), Some("Running"));
        }
    }
}

/// The type of a lazy object, by its JSON.
fn type_of(pod: &Lazy<Pod>) -> [Option<String>; 2] {
    let json: serde_json::Value = serde_json::from_str(&pod.json().expect("JSON")).expect("JSON");
    ["apiVersion", "kind"].map(|name| json[name].as_str().map(str::to_owned))
}

#[tokio::test]
async fn a_lazy_object_says_its_type_where_the_server_did() {
    let said = [Some("v1".to_owned()), Some("Pod".to_owned())];
    let line = added(&pod("a", 5)).replace('\n', "");
    let in_json = watch(&source::<Lazy<Pod>>(line)).await;
    let in_protobuf = watch(&speaking::<Lazy<Pod>>(pod_event("ADDED", "a", 5))).await;
    for events in [in_json, in_protobuf] {
        let [Ok(WatchEvent::Added(pod))] = &events[..] else { panic!("{events:?}") };
        assert_eq!(type_of(pod), said);
    }
    let untyped = pod("a", 5).replace(r#""kind":"Pod","apiVersion":"v1","#, "");
    let in_json = list(&source::<Lazy<Pod>>(pod_list(&untyped))).await.expect("a list");
    let in_protobuf = list(&speaking::<Lazy<Pod>>(pods(&[message("a", 5)]))).await;
    for items in [in_json, in_protobuf.expect("a list")] {
        let [Item::Object(pod)] = &items[..] else { panic!("{items:?}") };
        assert_eq!(type_of(pod), [None, None]);
    }
}

#[tokio::test]
async fn labels_are_in_order_and_may_be_empty() {
    let label = |parts: &[&[u8]]| {
        let parts: Vec<_> = parts.iter().zip(1..).map(|(part, at)| field(at, part)).collect();
        field(11, &parts.concat())
    };
    let labels = [label(&[b"tier", b""]), label(&[b"app", b"x"]), label(&[b"role"])];
    let message = field(1, &[field(1, b"a"), labels.concat()].concat());
    let items = list(&speaking::<Lazy<Pod>>(pods(&[message]))).await.expect("a list");
    let [Item::Object(pod)] = &items[..] else { panic!("{items:?}") };
    assert_eq!(pod.labels().collect::<Vec<_>>(), [("app", "x"), ("role", ""), ("tier", "")]);
    assert_eq!((pod.uid(), pod.resource_version()), (None, None));
}

#[tokio::test]
async fn every_form_has_labels_identity_and_a_size() {
    let server = || {
        negotiating(|_, uri| match uri.query() {
            Some(query) if query.contains("watch=true") => (200, MEDIA_TYPE, Vec::new()),
            _ => (200, MEDIA_TYPE, pods(&[message("a", 5)])),
        })
    };
    found_by_label(KubeSource::<Pod>::all(server())).await;
    found_by_label(KubeSource::<Lazy<Pod>>::all(server())).await;
    let resource = kube::api::ApiResource::erase::<Pod>(&());
    found_by_label(KubeSource::<DynamicObject>::all_with(server(), &resource)).await;
    let metadata = negotiating(|accept, uri| {
        assert!(accept.starts_with("application/vnd.kubernetes.protobuf;as=PartialObjectMetadata"));
        assert!(accept.contains(", application/json;as=PartialObjectMetadata"), "{accept}");
        let items = field(2, &message("a", 5));
        let list = [field(1, &field(2, b"10")), items].concat();
        match uri.query().is_some_and(|query| query.contains("watch=true")) {
            true => (200, MEDIA_TYPE, Vec::new()),
            false => {
                (200, MEDIA_TYPE, object("meta.k8s.io/v1", "PartialObjectMetadataList", &list))
            }
        }
    });
    found_by_label(KubeSource::<PartialObjectMeta<Pod>>::all(metadata)).await;
}

#[tokio::test]
async fn what_the_server_answers_in_counts_and_what_it_refuses_is_not_asked_for_again() {
    let asked: Arc<Mutex<Vec<bool>>> = Arc::default();
    let server = |refuse: bool| {
        let asked = Arc::clone(&asked);
        negotiating(move |accept, _| {
            let protobuf = accept.contains(MEDIA_TYPE);
            asked.lock().expect("no panic").push(protobuf);
            match protobuf && refuse {
                true => (406, "text/plain", Vec::new()),
                false => (200, "application/json", pod_list(&pod("a", 5)).into_bytes()),
            }
        })
    };
    let told = || std::mem::take(&mut *asked.lock().expect("no panic"));
    let willing = KubeSource::<Pod>::all(server(false));
    assert_eq!(list(&willing).await.expect("a list").len(), 1);
    assert_eq!(told(), [true], "in JSON all the same");
    let refusing = KubeSource::<Pod>::all(server(true));
    for _ in 0..2 {
        assert_eq!(list(&refusing).await.expect("a list").len(), 1);
    }
    watch(&refusing).await;
    assert_eq!(told(), [true, false, false, false]);
    list(&KubeSource::<Pod>::all(server(true)).json_only()).await.expect("a list");
    // Of a custom resource no schema is known.
    let _ = list(&KubeSource::<DynamicObject>::all_with(server(true), &thing())).await;
    assert_eq!(told(), [false, false]);
    let unasked = negotiating(|_, _| (200, MEDIA_TYPE, pods(&[])));
    let error = list(&KubeSource::<DynamicObject>::all_with(unasked, &thing())).await;
    assert!(error.expect_err("unknown").to_string().contains("not asked for"));
}

#[tokio::test]
async fn protobuf_is_given_up_only_where_json_is_granted() {
    let asked: Arc<Mutex<Vec<bool>>> = Arc::default();
    let noted = Arc::clone(&asked);
    // At first it refuses whatever it is asked for; then protobuf alone.
    let source = KubeSource::<Pod>::all(negotiating(move |accept, _| {
        let mut asked = noted.lock().expect("no panic");
        asked.push(accept.contains(MEDIA_TYPE));
        match (asked.len(), asked.last()) {
            (1, _) => (406, "text/plain", Vec::new()),
            (2, _) => (503, "text/plain", Vec::new()),
            (_, Some(true)) => (415, "text/plain", Vec::new()),
            _ => (200, "application/json", pod_list(&pod("a", 5)).into_bytes()),
        }
    }));
    let error = list(&source).await.expect_err("busy");
    assert!(matches!(error, SourceError::Status(status) if status.code() == 503));
    for _ in 0..2 {
        assert_eq!(list(&source).await.expect("a list").len(), 1);
    }
    assert_eq!(*asked.lock().expect("no panic"), [true, false, true, false, false]);
}

#[tokio::test]
async fn whoever_keeps_what_no_schema_knows_asks_for_json() {
    let asked: Arc<Mutex<Vec<bool>>> = Arc::default();
    let server = || {
        let asked = Arc::clone(&asked);
        negotiating(move |accept, _| {
            asked.lock().expect("no panic").push(accept.contains(MEDIA_TYPE));
            let newer = r#""newerThanAll":1,"metadata""#;
            let pod = pod("a", 5).replace(r#""metadata""#, newer);
            (200, "application/json", pod_list(&pod).into_bytes())
        })
    };
    let resource = kube::api::ApiResource::erase::<Pod>(&());
    let items = list(&KubeSource::<DynamicObject>::all_with(server(), &resource)).await;
    let [Item::Object(pod)] = &items.expect("a list")[..] else { panic!("one Pod") };
    assert_eq!(pod.data["newerThanAll"], 1);
    let items = list(&KubeSource::<Lazy<DynamicObject>>::all_with(server(), &resource)).await;
    let [Item::Object(pod)] = &items.expect("a list")[..] else { panic!("one Pod") };
    assert_eq!(pod.get().expect("a Pod").data["newerThanAll"], 1);
    assert_eq!(std::mem::take(&mut *asked.lock().expect("no panic")), [false, false]);
    // Metadata are of one type, whatever they are of.
    type Metadata = PartialObjectMeta<DynamicObject>;
    let _ = list(&KubeSource::<Metadata>::all_with(server(), &resource)).await;
    let _ = list(&KubeSource::<Metadata>::all_with(server(), &thing())).await;
    assert_eq!(*asked.lock().expect("no panic"), [true, true]);
}

#[tokio::test]
async fn an_answer_that_does_not_say_what_it_is_is_what_it_begins_as() {
    let silent = |body: Vec<u8>| source::<Pod>(body);
    let items = list(&silent(pods(&[message("a", 5)]))).await.expect("a list");
    assert_eq!(items.iter().map(item).collect::<Vec<_>>(), ["a"]);
    let items = list(&silent(pod_list(&pod("a", 5)).into_bytes())).await.expect("a list");
    assert_eq!(items.iter().map(item).collect::<Vec<_>>(), ["a"]);
    let error = list(&silent(answer("status"))).await.expect_err("expired");
    assert!(error.is_expired(), "{error}");
}

#[tokio::test]
async fn a_failure_is_what_it_is_in_json() {
    let refused = |code, body: Vec<u8>| negotiating(move |_, _| (code, MEDIA_TYPE, body.clone()));
    let source = KubeSource::<Pod>::all(refused(410, answer("status")));
    let error = list(&source).await.expect_err("expired");
    assert!(error.is_expired() && error.to_string().contains("(9)"), "{error}");
    let source = KubeSource::<Pod>::all(refused(503, b"busy".to_vec()));
    let error = list(&source).await.expect_err("busy");
    assert!(matches!(error, SourceError::Status(status) if status.code() == 503));
    // In an answer that says it is a success.
    let error = list(&speaking::<Pod>(answer("status"))).await.expect_err("expired");
    assert!(error.is_expired(), "{error}");
}

#[tokio::test]
async fn a_reflector_mirrors_and_takes_what_it_holds_for_what_it_is() {
    let listed = Arc::new(AtomicUsize::new(0));
    let client = negotiating({
        let listed = Arc::clone(&listed);
        move |_, uri| {
            if uri.query().is_some_and(|query| query.contains("watch=true")) {
                let gone = event("ERROR", &answer("status"));
                return (200, MEDIA_TYPE, [pod_event("ADDED", "b", 11), gone].concat());
            }
            listed.fetch_add(1, Ordering::Relaxed);
            (200, MEDIA_TYPE, pods(&[message("a", 5), message("b", 11)]))
        }
    });
    let store = Arc::new(Store::<Pod>::new());
    let reflector = Reflector::builder(KubeSource::all(client)).sink(store.clone()).build();
    let monitor = reflector.monitor();
    let mut first = None;
    let run = reflector.run(async {
        let _ = monitor.synced().await;
        first = store.get("default/a");
        while listed.load(Ordering::Relaxed) < 2 || monitor.progress().relists < 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    tokio::time::timeout(Duration::from_secs(60), run).await.expect("in time").expect("stopped");
    let (first, now) = (first.expect("there"), store.get("default/a").expect("there"));
    assert!(Arc::ptr_eq(&first, &now), "it was not decoded anew");
    assert!(store.contains("default/b"));
}

#[tokio::test]
async fn an_object_of_another_shard_is_not_decoded_but_its_version_is_told() {
    let shard = Shard::by_key(0, 2).expect("one of two");
    let names: Vec<_> = (0..20).map(|n| format!("p{n}")).collect();
    let owned = names.iter().filter(|name| shard.owns(("default", name.as_str()))).count();
    let client = negotiating({
        let names = names.clone();
        move |_, uri| {
            if !uri.query().is_some_and(|query| query.contains("watch=true")) {
                return (200, MEDIA_TYPE, pods(&[]));
            }
            let events = names.iter().zip(11..).map(|(name, v)| pod_event("ADDED", name, v));
            (200, MEDIA_TYPE, events.flatten().collect())
        }
    });
    let store = Arc::new(Store::<Pod>::new());
    let builder = Reflector::builder(KubeSource::all(client)).sink(store.clone()).shard(shard);
    let reflector = builder.build();
    let monitor = reflector.monitor();
    let run = reflector.run(async {
        assert!(monitor.wait_for(&"30".into()).await.is_ok());
    });
    tokio::time::timeout(Duration::from_secs(60), run).await.expect("in time").expect("stopped");
    assert_eq!(store.len(), owned);
}
