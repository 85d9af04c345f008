//! Types of a user's own.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::DynamicObject;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::{Fault, Header, Type, from_slice};
use super::{field, object, of};
use crate::reflector::kube::protobuf::de::Object;
use crate::reflector::kube::protobuf::envelope::Envelope;
use crate::reflector::kube::protobuf::wire::write_varint;
use crate::reflector::kube::typed;

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
fn a_map_says_how_many_entries_are_left() {
    struct Hints;
    impl<'de> Visitor<'de> for Hints {
        type Value = Vec<Option<usize>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map")
        }

        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
            let mut hints = vec![map.size_hint()];
            while map.next_entry::<&str, &str>()?.is_some() {
                hints.push(map.size_hint());
            }
            Ok(hints)
        }
    }

    #[derive(Deserialize)]
    struct Labels {
        #[serde(deserialize_with = "hints")]
        labels: Vec<Option<usize>>,
    }

    fn hints<'de, D: Deserializer<'de>>(labels: D) -> Result<Vec<Option<usize>>, D::Error> {
        labels.deserialize_map(Hints)
    }

    #[derive(Deserialize)]
    struct Labelled {
        metadata: Labels,
    }

    let label = field(11, &[field(1, b"app"), field(2, b"web")].concat());
    let bytes = object("v1", "Pod", &field(1, &label.repeat(2)));
    let labelled: Labelled = from_slice(&bytes).expect("a Pod");
    assert_eq!(labelled.metadata.labels, [Some(2), Some(1), Some(0)]);
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
    let decode = |managed_fields| -> Pod {
        Object { of: Some(of), schema, message, managed_fields }.decode().expect("a Pod")
    };
    let (mut kept, passed) = (decode(true), decode(false));
    assert!(kept.metadata.managed_fields.take().is_some_and(|fields| !fields.is_empty()));
    assert_eq!(kept, passed);
}

#[test]
fn raw_json_is_made_of_what_is_none() {
    #[derive(Deserialize)]
    struct Raw {
        metadata: Box<RawValue>,
        spec: RawSpec,
        status: Option<Box<RawValue>>,
        other: Option<Box<RawValue>>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct RawSpec {
        containers: Box<RawValue>,
    }

    #[derive(Deserialize)]
    struct Labelled {
        metadata: RawMetadata,
    }

    #[derive(Deserialize)]
    struct RawMetadata {
        name: Box<RawValue>,
        labels: Box<RawValue>,
    }

    let bytes = pod();
    let raw: Raw = from_slice(&bytes).expect("a Pod");
    assert_eq!(raw.spec.containers.get(), r#"[{"name":"c"},{"name":"c"}]"#);
    assert_eq!(raw.status.as_deref().map(RawValue::get), Some(r#"{"phase":"Running"}"#));
    assert!(raw.metadata.get().contains(r#""name":"a""#) && raw.other.is_none());
    let Labelled { metadata } = from_slice(&bytes).expect("a Pod");
    assert_eq!((metadata.name.get(), metadata.labels.get()), (r#""a""#, r#"{"app":"web"}"#));
    let whole: Box<RawValue> = from_slice(&bytes).expect("a Pod");
    let value: serde_json::Value = from_slice(&bytes).expect("a Pod");
    assert_eq!(serde_json::from_str::<serde_json::Value>(whole.get()).expect("JSON"), value);
    // There is no text to lend.
    #[derive(Debug, Deserialize)]
    struct Lent<'a> {
        #[serde(borrow, rename = "status")]
        _status: &'a RawValue,
    }
    let error = from_slice::<Lent<'_>>(&bytes).expect_err("it is made");
    assert_eq!(error.path(), "status");
}

/// As `field`, of any number.
fn far_field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let rest = field(0, bytes).split_off(1);
    [&[(number & 15) << 3 | 2 | 0x80, number >> 4][..], &rest].concat()
}

#[test]
fn managed_fields_of_a_template_are_its_own() {
    let managed = far_field(17, &field(1, b"me"));
    let metadata = field(1, &[field(1, b"a"), managed].concat());
    let deployment = [&metadata[..], &field(2, &field(3, &metadata))].concat();
    let template = [&metadata[..], &field(2, &metadata)].concat();
    let kinds = [("apps/v1", "Deployment", deployment), ("v1", "PodTemplate", template)];
    for (api_version, kind, message) in kinds {
        let of = Type { api_version, kind };
        let schema = of.schema().expect("known");
        let decode = |managed_fields| -> serde_json::Value {
            let of = Some(of);
            Object { of, schema, message: &message, managed_fields }.decode().expect("an object")
        };
        let kept = decode(true);
        assert!(kept.pointer("/metadata/managedFields").is_some());
        // From JSON it would be the same.
        let by_json: serde_json::Value =
            typed::from_str(&kept.to_string(), false).expect("an object");
        let passed = decode(false);
        assert_eq!(passed, by_json);
        assert!(passed.pointer("/metadata/managedFields").is_none());
        assert!(passed.to_string().contains(r#""managedFields":[{"manager":"me"}]"#), "{passed}");
        let pruned = Header::of(&message).expect("an object").without_managed_fields(&message);
        let of = Some(of);
        let pruned = Object { of, schema, message: &pruned, managed_fields: true };
        assert_eq!(pruned.decode::<serde_json::Value>().expect("an object"), passed);
    }
}

#[test]
fn numbers_may_be_packed() {
    let groups = |fields: &[&[u8]]| {
        let context = field(14, &fields.concat());
        let pod: Pod = from_slice(&object("v1", "Pod", &field(2, &context))).expect("a Pod");
        pod.spec.and_then(|spec| spec.security_context?.supplemental_groups)
    };
    let negative = [&[0xff; 9][..], &[1]].concat();
    assert_eq!(groups(&[&[0x20, 1], &[0x20, 0x80, 1]]), Some(vec![1, 128]));
    assert_eq!(groups(&[&field(4, &[1, 0x80, 1])]), Some(vec![1, 128]));
    assert_eq!(groups(&[&field(4, &negative), &[0x20, 7], &field(4, &[])]), Some(vec![-1, 7]));
    let cut = field(2, &field(14, &field(4, &[1, 0x80])));
    let error = from_slice::<Pod>(&object("v1", "Pod", &cut)).expect_err("cut");
    assert_eq!(error.fault(), &Fault::Cut);
    assert_eq!(error.path(), "spec.securityContext.supplementalGroups");
}

#[test]
fn a_time_carries_what_is_less_than_a_second_as_go_does() {
    for (nanos, expected) in [
        (0, "1970-01-01T00:00:01.000000Z"),
        (1_999, "1970-01-01T00:00:01.000001Z"),
        (-999, "1970-01-01T00:00:01.000000Z"),
        (-1_000, "1970-01-01T00:00:00.999999Z"),
        (-2_000_000_000, "1969-12-31T23:59:59.000000Z"),
        (1_500_000_000, "1970-01-01T00:00:02.500000Z"),
    ] {
        let mut time = vec![0x08, 1, 0x10];
        write_varint(i64::cast_unsigned(nanos), &mut time);
        let lease = object("coordination.k8s.io/v1", "Lease", &field(2, &field(4, &time)));
        let lease: serde_json::Value = from_slice(&lease).expect("a Lease");
        assert_eq!(lease["spec"]["renewTime"], expected, "{nanos}");
    }
}

#[test]
fn a_quantity_that_says_nothing_is_zero() {
    let limit = |value: &[u8]| {
        let entry = [&field(1, b"cpu")[..], value].concat();
        let container = field(8, &field(1, &entry));
        let pod = object("v1", "Pod", &field(2, &field(2, &container)));
        let pod: serde_json::Value = from_slice(&pod).expect("a Pod");
        pod["spec"]["containers"][0]["resources"]["limits"]["cpu"].clone()
    };
    assert_eq!(limit(&field(2, &field(1, b"2"))), "2");
    for zero in [vec![], field(2, b""), field(2, &field(1, b""))] {
        assert_eq!(limit(&zero), "0");
    }
}

#[test]
fn a_number_of_32_bits_has_no_more() {
    // -1, in five bytes instead of ten.
    let short = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let number = |field: u8| [&[field << 3][..], &short].concat();
    let deployment = object("apps/v1", "Deployment", &field(2, &number(1)));
    let deployment: serde_json::Value = from_slice(&deployment).expect("a Deployment");
    assert_eq!(deployment["spec"]["replicas"], -1);
    let port = [field(1, b"a"), field(4, &number(2))].concat();
    let service = object("v1", "Service", &field(2, &field(1, &port)));
    let service: serde_json::Value = from_slice(&service).expect("a Service");
    assert_eq!(service["spec"]["ports"][0]["targetPort"], -1);
    let pod = object("v1", "Pod", &field(2, &number(4)));
    let pod: serde_json::Value = from_slice(&pod).expect("a Pod");
    assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], u32::MAX, "it has 64");
}
