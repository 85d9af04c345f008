//! Events: one storage, two groups.

use super::*;

const OF_CORE: &str = "/api/v1/namespaces/default/events";
const OF_EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/default/events";

fn new_event(name: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "regarding": {"kind": "Pod", "name": "a", "namespace": "default"},
        "note": "it was tried", "reason": "Tried", "type": "Warning", "action": "Trying",
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "example.com/tests", "reportingInstance": "tests-0",
    })
}

fn old_event(name: &str) -> Value {
    json!({
        "metadata": {"name": name}, "message": "as ever", "reason": "Started", "count": 3,
        "involvedObject": {"kind": "Pod", "name": "b", "namespace": "default"},
        "source": {"component": "kubelet", "host": "n1"},
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:01:00Z",
    })
}

#[tokio::test]
async fn each_group_has_what_the_other_wrote() {
    let server = server().await;
    let (code, new) = send(&server, "POST", OF_EVENTS, &new_event("new")).await;
    assert_eq!((code, &new["apiVersion"]), (201, &json!("events.k8s.io/v1")), "{new}");
    assert_eq!((&new["note"], &new["message"]), (&json!("it was tried"), &Value::Null));
    let (code, old) = send(&server, "POST", OF_CORE, &old_event("old")).await;
    assert_eq!(code, 201, "{old}");

    let (_, new_in_core) = http::get(&server, &format!("{OF_CORE}/new")).await;
    assert_eq!(new_in_core["apiVersion"], "v1");
    assert_eq!(new_in_core["involvedObject"], new["regarding"]);
    assert_eq!(new_in_core["message"], "it was tried");
    assert_eq!(new_in_core["reportingComponent"], "example.com/tests");
    assert_eq!(new_in_core["metadata"], new["metadata"]);
    let (_, old_in_events) = http::get(&server, &format!("{OF_EVENTS}/old")).await;
    assert_eq!(old_in_events["note"], "as ever");
    assert_eq!(old_in_events["deprecatedSource"], old["source"]);
    assert_eq!(old_in_events["deprecatedCount"], 3);
    assert_eq!(old_in_events["deprecatedLastTimestamp"], old["lastTimestamp"]);

    for (path, selector) in [
        (OF_CORE, "involvedObject.name=a,reportingComponent=example.com/tests"),
        (OF_EVENTS, "regarding.name=a,reportingController=example.com/tests"),
    ] {
        let (_, list) = http::get(&server, &format!("{path}?fieldSelector={selector}")).await;
        let items = list["items"].as_array().unwrap();
        assert_eq!(items.len(), 1, "{list}");
        assert_eq!(items[0]["metadata"]["name"], "new");
    }
    let (_, list) = http::get(&server, &format!("{OF_EVENTS}?fieldSelector=reason=Started")).await;
    assert_eq!(list["items"][0]["note"], "as ever");
    server.stop().await;
}

#[tokio::test]
async fn what_has_happened_does_not_change_but_for_its_series() {
    let server = server().await;
    let (_, created) = send(&server, "POST", OF_EVENTS, &new_event("a")).await;
    let path = format!("{OF_EVENTS}/a");
    let series = json!({"count": 2, "lastObservedTime": "2026-01-01T00:02:00.000000Z"});
    let patch = json!({"series": series});
    let (code, counted) = send_as(&server, "PATCH", &path, STRATEGIC, &patch).await;
    assert_eq!((code, &counted["series"]["count"]), (200, &json!(2)), "{counted}");
    let (_, seen) = http::get(&server, &format!("{OF_CORE}/a")).await;
    assert_eq!(seen["series"], counted["series"]);
    // The same again is no change, whichever group it comes by.
    for path in [&path, &format!("{OF_CORE}/a")] {
        let at = server.resource_version();
        let (code, _) = send_as(&server, "PATCH", path, MERGE, &json!({"reason": "Tried"})).await;
        assert_eq!((code, server.resource_version()), (200, at));
    }

    let changed = send_as(&server, "PATCH", &path, MERGE, &json!({"note": "other"})).await;
    assert_status(&changed, 422, "Invalid");
    assert_eq!(fields(&changed.1), ["message"]);
    let bad = json!({"series": {"count": 1}});
    let bad = send_as(&server, "PATCH", &path, MERGE, &bad).await;
    assert_eq!(fields(&bad.1), ["series.count"]);
    // The core group asks for less.
    let path = format!("{OF_CORE}/a");
    let (code, _) = send_as(&server, "PATCH", &path, MERGE, &json!({"message": "other"})).await;
    assert_eq!(code, 200);
    let (_, seen) = http::get(&server, &format!("{OF_EVENTS}/a")).await;
    assert_eq!(
        (&seen["note"], &seen["metadata"]["uid"]),
        (&json!("other"), &created["metadata"]["uid"])
    );
    server.stop().await;
}

#[tokio::test]
async fn an_event_of_the_new_kind_says_all() {
    let server = server().await;
    let without = |field: &str| {
        let mut event = new_event("a");
        event.as_object_mut().unwrap().remove(field);
        event
    };
    for (field, named) in [
        ("action", "action"),
        ("reason", "reason"),
        ("reportingInstance", "reportingInstance"),
        ("type", "type"),
        ("eventTime", "eventTime"),
    ] {
        let refused = send(&server, "POST", OF_EVENTS, &without(field)).await;
        assert_status(&refused, 422, "Invalid");
        assert_eq!(fields(&refused.1), [named]);
    }
    let mut old = new_event("a");
    old["deprecatedCount"] = json!(2);
    old["deprecatedSource"] = json!({"component": "x"});
    let refused = send(&server, "POST", OF_EVENTS, &old).await;
    assert_eq!(fields(&refused.1), ["count", "source"]);
    server.stop().await;
}
