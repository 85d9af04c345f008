//! Answers that are cut, too large, or something else.

use super::*;

/// A Pod whose metadata read as far as its version, and then break off.
fn damaged(name: &str, version: u64) -> Vec<u8> {
    let version = version.to_string();
    let metadata = [field(1, name.as_bytes()), field(6, version.as_bytes()), vec![0x0a, 99]];
    field(1, &metadata.concat())
}

#[tokio::test]
async fn an_object_that_does_not_decode_costs_itself_and_no_other() {
    let no_text = field(1, &[field(1, b"bad"), field(6, b"7"), field(2, b"\xff")].concat());
    let other_type = field(1, &[field(1, b"bad"), field(6, b"7"), vec![0x38, 0x80]].concat());
    for bad in [damaged("bad", 7), no_text, other_type] {
        let body = pods(&[message("good", 6), bad.clone(), message("after", 8)]);
        let items = list(&speaking::<Pod>(body)).await.expect("a list");
        assert_eq!(items.iter().map(item).collect::<Vec<_>>(), ["good", "bad bad", "after"]);
        let Some(Item::Undecodable(found)) = items.get(1) else { panic!("{items:?}") };
        assert_eq!(found.resource_version.as_ref().map(|v| v.as_str()), Some("7"));

        let bad = object("v1", "Pod", &bad);
        let body = [
            pod_event("ADDED", "good", 6),
            event("MODIFIED", &bad),
            event("DELETED", &bad),
            pod_event("MODIFIED", "after", 8),
        ];
        let events = watch(&speaking::<Pod>(body.concat())).await;
        let words: Vec<_> = events.iter().map(told).collect();
        assert_eq!(words, ["good", "bad bad", "bad bad", "after"]);
        assert!(matches!(&events[2], Ok(WatchEvent::Undecodable(bad)) if bad.deleted));
    }
}

#[tokio::test]
async fn an_object_of_another_kind_is_quarantined_as_such() {
    let service = object("v1", "Service", &field(1, &field(1, b"x")));
    let body = [pod_event("ADDED", "a", 6), event("ADDED", &service), pod_event("ADDED", "b", 8)];
    let events = watch(&speaking::<Pod>(body.concat())).await;
    assert_eq!(events.iter().map(told).collect::<Vec<_>>(), ["a", "bad x", "b"]);
    let Ok(WatchEvent::Undecodable(bad)) = &events[1] else { panic!("{events:?}") };
    assert_eq!(bad.error, "expected v1 Pod, found v1 Service");
    assert_eq!(
        bad.raw.as_deref(),
        Some(r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"x"}}"#)
    );
}

#[tokio::test]
async fn what_is_no_list_of_the_kind_is_a_failure() {
    let services = object("v1", "ServiceList", b"");
    let cut = pods(&[message("a", 5)]);
    let cut = cut[..cut.len() - 1].to_vec();
    let broken = object("v1", "PodList", &field(1, &[0x12, 9]));
    for (body, words) in [
        (services, "expected a PodList, found a ServiceList of v1"),
        (object("v1", "Pod", b""), "found a Pod of v1"),
        (object("v2", "PodList", b""), "found a PodList of v2"),
        (cut, "found protobuf that does not read: it ends within a value"),
        (broken, "found protobuf that does not read: it ends within a value"),
        (Vec::new(), "found nothing"),
        (b"<html><title>Sign in</title>".to_vec(), "an HTML page with the title \"Sign in\""),
        (br#"{"kind":"Table","apiVersion":"v1"}"#.to_vec(), "found a Table of v1"),
        (object("v1", "PodList", b""), "found a PodList without content"),
    ] {
        let typed = list(&speaking::<Pod>(body.clone())).await.expect_err("no list");
        assert!(typed.to_string().contains(words), "{typed}");
        let lazy = list(&speaking::<Lazy<Pod>>(body)).await.expect_err("no list");
        assert_eq!(lazy.to_string(), typed.to_string());
    }
    let other = list(&speaking::<Service>(pods(&[]))).await.expect_err("no list");
    assert!(other.to_string().contains("expected a ServiceList"), "{other}");
}

#[tokio::test]
async fn what_is_no_event_is_a_failure_after_what_came_before() {
    let good = pod_event("ADDED", "a", 6);
    let framed = |frame: &[u8]| [&(frame.len() as u32).to_be_bytes()[..], frame].concat();
    let status = r#"{"kind":"Status","status":"Failure","message":"too busy","code":500}"#;
    for (rest, words) in [
        (good[..good.len() - 1].to_vec(), "ends within a frame"),
        (vec![0, 0], "ends within a frame"),
        (framed(b""), "expected an event, found nothing"),
        (framed(&[0x0a, 9]), "found protobuf that does not read: it ends within a value"),
        (framed(&[0x08, 1]), "found protobuf that does not read"),
        (event("ADDED", b""), "expected an object in an event, found nothing"),
        (event("ADDED", b"k8s\0\x0a\x09"), "found protobuf that does not read"),
        (event("ADDED", &pod("b", 7).into_bytes()), "expected an object in an event, found a Pod"),
        (event("ERROR", &object("v1", "Pod", b"")), "expected a Status in an error event"),
        (event("ERROR", status.as_bytes()), "too busy"),
        (event("BOOKMARK", b""), "bad bookmark"),
    ] {
        let events = watch(&speaking::<Pod>([&good[..], &rest].concat())).await;
        let told: Vec<_> = events.iter().map(told).collect();
        assert_eq!((told.len(), &*told[0]), (2, "a"), "{rest:?}: {told:?}");
        assert!(told[1].starts_with("error: ") && told[1].contains(words), "{words}: {told:?}");
    }
    let odd = [event("PROGRESS", b""), pod_event("ADDED", "a", 6)].concat();
    let events = watch(&speaking::<Pod>(odd)).await;
    assert_eq!(events.iter().map(told).collect::<Vec<_>>(), ["unknown PROGRESS", "a"]);
    let silent = event("BOOKMARK", &object("v1", "Pod", b""));
    let events = watch(&speaking::<Pod>(silent)).await;
    assert_eq!(
        events.iter().map(told).collect::<Vec<_>>(),
        ["unknown BOOKMARK without a resource version"]
    );
}

#[tokio::test]
async fn frames_and_pages_have_limits() {
    let frame = pod_event("ADDED", "a", 6);
    let length = frame.len() - 4;
    let body = [&frame[..], &frame].concat();
    let events = watch(&speaking::<Pod>(body.clone()).line_limit(length)).await;
    assert_eq!(events.iter().map(told).collect::<Vec<_>>(), ["a", "a"]);
    let events = watch(&speaking::<Pod>(body).line_limit(length - 1)).await;
    assert!(
        matches!(&events[..], [Err(error)] if error.to_string().contains("limit")),
        "{events:?}"
    );
    let body = pods(&[message("a", 5)]);
    assert!(list(&speaking::<Pod>(body.clone()).page_limit(body.len() - 1)).await.is_err());
}

#[tokio::test]
async fn a_panic_in_a_decoder_costs_one_object_and_no_other() {
    let body = pods(&[message("a", 5), message("bad", 6), message("b", 7)]);
    let items = list(&speaking::<Picky>(body)).await.expect("a list");
    assert_eq!(items.iter().map(item).collect::<Vec<_>>(), ["a", "bad bad", "b"]);
}

/// A Pod in which one text is not UTF-8.
fn no_text(place: &str) -> Vec<u8> {
    let text =
        |here: &str| if place == here { b"bad\xff".to_vec() } else { here.as_bytes().to_vec() };
    let entry = |name: &str, value: &str| [field(1, &text(name)), field(2, &text(value))].concat();
    let metadata = [
        field(1, &text("name")),
        field(3, &text("namespace")),
        field(5, &text("uid")),
        field(6, b"7"),
        field(11, &entry("label", "labelled")),
        field(12, &entry("note", "noted")),
        field(14, &text("finalizer")),
    ];
    let spec = field(10, &text("node"));
    [field(1, &metadata.concat()), field(2, &spec), field(3, &field(1, &text("phase")))].concat()
}

#[tokio::test]
async fn text_that_is_not_utf8_costs_the_object_that_holds_it_and_no_other() {
    let header = ["name", "namespace", "uid", "label", "labelled"];
    let others = ["note", "noted", "finalizer", "node", "phase"];
    for place in header.into_iter().chain(others) {
        let bad = no_text(place);
        // The key is told if all of it is text.
        let name = if ["name", "namespace"].contains(&place) { "bad ?" } else { "bad name" };
        let page = pods(&[message("good", 6), bad.clone(), message("after", 8)]);
        let items = list(&speaking::<Pod>(page.clone())).await.expect("a list");
        assert_eq!(items.iter().map(item).collect::<Vec<_>>(), ["good", name, "after"], "{place}");
        let Some(Item::Undecodable(found)) = items.get(1) else { panic!("{items:?}") };
        assert!(found.error.contains("a text is not UTF-8"), "{place}: {}", found.error);

        let events = [
            pod_event("ADDED", "good", 6),
            event("MODIFIED", &object("v1", "Pod", &bad)),
            pod_event("ADDED", "after", 8),
        ];
        let events = watch(&speaking::<Pod>(events.concat())).await;
        assert_eq!(events.iter().map(told).collect::<Vec<_>>(), ["good", name, "after"], "{place}");

        let lazy = list(&speaking::<Lazy<Pod>>(page)).await.expect("a list");
        match &lazy[1] {
            Item::Undecodable(_) => assert!(header.contains(&place), "{place}"),
            Item::Object(pod) => {
                assert!(others.contains(&place), "{place}");
                let error = pod.get().expect_err("no text");
                assert!(error.to_string().contains("a text is not UTF-8"), "{place}: {error}");
            }
            Item::Held(_) => panic!("nothing is held"),
        }
        assert_eq!((item(&lazy[0]), item(&lazy[2])), ("good".to_owned(), "after".to_owned()));
    }
}

#[tokio::test]
async fn a_name_that_has_lost_its_namespace_is_not_taken_for_a_key() {
    // It breaks off before it says the namespace.
    let lost = field(1, &[field(1, b"bad"), vec![0x1a, 99]].concat());
    let items = list(&speaking::<Pod>(pods(std::slice::from_ref(&lost)))).await.expect("a list");
    assert_eq!(items.iter().map(item).collect::<Vec<_>>(), ["bad ?"]);
    let events = watch(&speaking::<Pod>(event("ADDED", &object("v1", "Pod", &lost)))).await;
    assert_eq!(events.iter().map(told).collect::<Vec<_>>(), ["bad ?"]);
}

#[tokio::test]
async fn what_comes_without_frames_is_named() {
    let status = r#"{"kind":"Status","status":"Failure","message":"too busy","code":500}"#;
    let long = [b"<html><title>Sign in</title>".to_vec(), vec![b'x'; 3 << 20]].concat();
    for (body, words) in [
        (answer("status"), "too old resource version: 1 (9)"),
        (pods(&[message("a", 5)]), "expected an event, found a PodList of v1"),
        (object("v1", "Pod", &message("a", 5)), "expected an event, found a Pod of v1"),
        (b"<html><title>Sign in</title>".to_vec(), "an HTML page with the title \"Sign in\""),
        (long, "an HTML page with the title \"Sign in\""),
        (b"\xef\xbb\xbf<html></html>".to_vec(), "an HTML or XML page"),
        (status.as_bytes().to_vec(), "too busy"),
        (added(&pod("a", 5)).into_bytes(), "found an object without a kind"),
        (b"upstream connect error".to_vec(), "\"upstream connect error\""),
        (b"no".to_vec(), "found \"no\""),
        // A length that is one.
        (vec![0x10, 0, 0, 0], "longer than the limit"),
        (vec![0, 0], "ends within a frame"),
    ] {
        // At once, or after an event.
        for before in [Vec::new(), pod_event("ADDED", "good", 6)] {
            let events = watch(&speaking::<Pod>([&before[..], &body].concat())).await;
            let told: Vec<_> = events.iter().map(told).collect();
            let (error, before) = told.split_last().expect("an error");
            assert!(before.iter().all(|name| name == "good") && before.len() == events.len() - 1);
            assert!(error.starts_with("error: ") && error.contains(words), "{words}: {error}");
        }
    }
}

#[tokio::test]
async fn a_type_that_is_empty_says_nothing() {
    for (api_version, kind) in [("", ""), ("v1", ""), ("", "Pod")] {
        let untyped = object(api_version, kind, &message("a", 6));
        let events = watch(&speaking::<Pod>(event("ADDED", &untyped))).await;
        assert_eq!(events.iter().map(told).collect::<Vec<_>>(), ["a"], "{api_version} {kind}");
        let lazy = watch(&speaking::<Lazy<Pod>>(event("ADDED", &untyped))).await;
        let [Ok(WatchEvent::Added(pod))] = &lazy[..] else { panic!("{lazy:?}") };
        assert!(pod.get().is_ok());
    }
}

#[tokio::test]
async fn a_page_of_empty_items_is_taken_item_by_item() {
    let items = [0x12, 0].repeat(100_000);
    let body = object("v1", "PodList", &[field(1, &field(2, b"10")), items].concat());
    let page = speaking::<Lazy<Pod>>(body).list(ListRequest::default()).await.expect("a list");
    assert_eq!(page.count, 100_000);
    let bad = page.items.filter(|item| std::future::ready(matches!(item, Item::Undecodable(_))));
    assert_eq!(bad.count().await, 100_000);
    // One without items says at least that.
    let empty = object("v1", "PodList", &field(1, b""));
    assert_eq!(list(&speaking::<Pod>(empty)).await.expect("a list").len(), 0);
    // One that was cut off behind its type is not empty: everything would be deleted.
    let cut = [b"k8s\0".to_vec(), field(1, &[field(1, b"v1"), field(2, b"PodList")].concat())];
    let error = list(&speaking::<Pod>(cut.concat())).await.expect_err("no list");
    assert!(error.to_string().contains("a PodList without content"), "{error}");
}

#[tokio::test]
async fn of_an_object_of_a_kind_without_a_schema_the_metadata_is_told() {
    let other = object("x.io/v1", "Thing", &message("x", 7));
    let events = watch(&speaking::<Pod>(event("ADDED", &other))).await;
    let [Ok(WatchEvent::Undecodable(bad))] = &events[..] else { panic!("{events:?}") };
    assert_eq!(bad.key.as_ref().map(Key::name), Some("x"));
    let raw = bad.raw.as_deref().expect("its metadata");
    assert!(raw.starts_with(r#"{"apiVersion":"x.io/v1","kind":"Thing","metadata":{"#), "{raw}");
    assert!(!raw.contains("status"), "as a Pod's schema would have it: {raw}");
}

/// A proxy, say, that changes the content and not what it says about it.
#[tokio::test]
async fn json_that_says_it_is_protobuf_is_read_as_json() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let source = || {
        let asked = Arc::clone(&asked);
        KubeSource::<Pod>::all(negotiating(move |accept, uri| {
            asked.lock().expect("no panic").push(accept.contains(MEDIA_TYPE));
            let watch = uri.query().unwrap_or_default().contains("watch");
            let body = if watch { added(&pod("a", 6)) } else { pod_list(&pod("a", 5)) };
            let says = if accept.contains(MEDIA_TYPE) { MEDIA_TYPE } else { "application/json" };
            (200, says, body.into_bytes())
        }))
    };
    let listing = source();
    assert_eq!(list(&listing).await.expect("a list").len(), 1);
    assert_eq!(watch(&listing).await.iter().map(told).collect::<Vec<_>>(), ["a"]);
    assert_eq!(*asked.lock().expect("no panic"), [true, false]);
    asked.lock().expect("no panic").clear();
    // Of a watch only the next one is understood.
    let watching = source();
    assert!(watch(&watching).await[0].is_err());
    assert_eq!(watch(&watching).await.iter().map(told).collect::<Vec<_>>(), ["a"]);
    assert_eq!(*asked.lock().expect("no panic"), [true, false]);
}

#[tokio::test]
async fn of_a_large_object_that_does_not_decode_no_json_is_made() {
    for (size, told_as_json) in [(1 << 20, true), (3 << 20, false)] {
        let note = [field(1, b"note"), field(2, &vec![b'x'; size])].concat();
        let service = field(1, &[field(1, b"x"), field(12, &note)].concat());
        let events =
            watch(&speaking::<Pod>(event("ADDED", &object("v1", "Service", &service)))).await;
        let [Ok(WatchEvent::Undecodable(bad))] = &events[..] else { panic!("it is another kind") };
        assert_eq!(bad.key.as_ref().map(Key::name), Some("x"));
        assert_eq!(bad.raw.is_some(), told_as_json, "{size}");
    }
}
