//! Types of a user's own.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::DynamicObject;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::{Fault, from_slice};
use super::{field, object, of};
use crate::reflector::kube::protobuf::de::Object;
use crate::reflector::kube::protobuf::envelope::Envelope;

#[derive(Debug, Deserialize, PartialEq)]
enum Phase {
    Pending,
    Running,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Slim<'a> {
    kind: &'a str,
    #[serde(borrow)]
    metadata: SlimMetadata<'a>,
    status: Option<SlimStatus>,
    spec: Option<SlimSpec<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SlimMetadata<'a> {
    name: &'a str,
    creation_timestamp: Option<Time>,
    #[serde(default)]
    labels: BTreeMap<&'a str, &'a str>,
}

#[derive(Debug, Deserialize)]
struct SlimStatus {
    phase: Option<Phase>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SlimSpec<'a> {
    #[serde(borrow)]
    containers: Vec<Named<'a>>,
    host_network: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Named<'a> {
    name: &'a str,
    image: Option<&'a str>,
}

fn pod() -> Vec<u8> {
    let labels = [field(1, b"app"), field(2, b"web")].concat();
    let metadata = [field(1, b"a"), field(8, b""), field(11, &labels)].concat();
    let container = [field(1, b"c"), field(2, b"")].concat();
    // A host network of false, which JSON would leave out.
    let spec = [field(2, &container), field(2, &container), vec![11 << 3, 0]].concat();
    let message = [field(1, &metadata), field(2, &spec), field(3, &field(1, b"Running"))].concat();
    object("v1", "Pod", &message)
}

#[test]
fn a_type_names_what_it_reads_and_borrows_it() {
    let bytes = pod();
    let pod: Slim<'_> = from_slice(&bytes).expect("a Pod");
    assert_eq!((pod.kind, pod.metadata.name), ("Pod", "a"));
    assert_eq!(pod.metadata.creation_timestamp, None, "a time that was never set");
    assert_eq!(pod.metadata.labels, BTreeMap::from([("app", "web")]));
    assert_eq!(pod.status.and_then(|status| status.phase), Some(Phase::Running));
    let spec = pod.spec.expect("there");
    assert_eq!(spec.host_network, None, "JSON leaves it out, too");
    let containers: Vec<_> = spec.containers.iter().map(|c| (c.name, c.image)).collect();
    assert_eq!(containers, [("c", None), ("c", None)]);
    assert_eq!(spec.containers.capacity(), 2, "no more than there are");
}

#[test]
fn an_error_says_where() {
    let bytes = object("v1", "Pod", &field(1, &field(1, b"a\xff")));
    let error = from_slice::<Slim<'_>>(&bytes).expect_err("not UTF-8");
    assert_eq!((error.path(), error.fault()), ("metadata.name", &Fault::Utf8));
    assert_eq!(error.to_string(), "metadata.name: a text is not UTF-8");
    let bytes =
        object("v1", "Pod", &[field(1, &field(1, b"a")), field(3, &field(1, b"Odd"))].concat());
    let error = from_slice::<Slim<'_>>(&bytes).expect_err("no such phase");
    assert_eq!(error.path(), "status.phase");
    assert!(matches!(error.fault(), Fault::Type(text) if text.contains("Odd")), "{error}");
}

#[test]
fn json_within_an_object_is_what_it_is() {
    #[derive(Deserialize)]
    struct Revision<'a> {
        #[serde(borrow)]
        data: Option<&'a RawValue>,
    }
    let revision =
        |data: &[u8]| object("apps/v1", "ControllerRevision", &field(2, &field(1, data)));
    let bytes = revision(br#"{"a": [1]}"#);
    let read: Revision<'_> = from_slice(&bytes).expect("a revision");
    assert_eq!(read.data.map(RawValue::get), Some(r#"{"a": [1]}"#));
    for nothing in [&b"null"[..], b""] {
        let bytes = revision(nothing);
        assert!(from_slice::<Revision<'_>>(&bytes).expect("a revision").data.is_none());
    }
    for bad in [&b"{"[..], b"1 2", b"\xff"] {
        let bytes = revision(bad);
        let error = from_slice::<serde_json::Value>(&bytes).expect_err("no JSON");
        assert!(matches!(error.fault(), Fault::Json(_)) && error.path() == "data", "{error}");
    }
}

#[test]
fn a_dynamic_object_is_what_json_makes_of_it() {
    for vector in of("v1", "Pod") {
        let found: DynamicObject = from_slice(&vector.wire).expect("a Pod");
        let json: DynamicObject = serde_json::from_str(vector.json).expect("a Pod");
        assert_eq!((&found.metadata, &found.types), (&json.metadata, &json.types));
        assert_eq!(found.data["status"]["phase"], json.data["status"]["phase"]);
    }
}

#[test]
fn managed_fields_are_passed_over_where_nobody_reads_them() {
    let [full, _] = &of("v1", "Pod")[..] else { panic!("two vectors") };
    let Envelope { of, message } = Envelope::open(&full.wire).expect("an object");
    let schema = of.schema().expect("known");
    let decode = |managed_fields| -> k8s_openapi::api::core::v1::Pod {
        Object { of: Some(of), schema, message, managed_fields }.decode().expect("a Pod")
    };
    let (mut kept, passed) = (decode(true), decode(false));
    assert!(kept.metadata.managed_fields.take().is_some_and(|fields| !fields.is_empty()));
    assert_eq!(kept, passed);
}
