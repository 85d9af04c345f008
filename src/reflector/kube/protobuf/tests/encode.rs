//! The way back: what Kubernetes' own encoder writes, from the JSON of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Fault, from_slice, to_vec};
use super::{all, field, object, of};

/// Leaves out what is `null`, as whatever is not there.
fn without_nulls(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            for value in fields.values_mut() {
                *value = without_nulls(value.take());
            }
        }
        Value::Array(elements) => {
            elements.iter_mut().for_each(|value| *value = without_nulls(value.take()));
        }
        _ => {}
    }
    value
}

#[test]
fn every_kind_is_written_as_kubernetes_writes_it() {
    for vector in all() {
        let json: Value = serde_json::from_str(vector.json).expect("JSON");
        let path = format!("{} {}", json["apiVersion"], json["kind"]);
        let written = to_vec(&json).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(written, vector.wire, "{path}, from Go's JSON");
        let read: Value = from_slice(&vector.wire).expect("an object");
        let written = to_vec(&read).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(written, vector.wire, "{path}, from what it is decoded to");
    }
}

#[test]
fn the_options_of_a_deletion_are_of_every_group() {
    let mut answers = include_str!("streams.txt").lines();
    let options = answers.find_map(|line| line.strip_prefix("delete ")).expect("there");
    let options = STANDARD.decode(options).expect("base64");
    let read: Value = from_slice(&options).expect("DeleteOptions");
    let expected = json!({
        "apiVersion": "apps/v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0,
        "preconditions": {"uid": "u-a"}, "dryRun": ["All"],
    });
    assert_eq!(read, expected);
    assert_eq!(to_vec(&read), Ok(options));
}

fn pod(spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec})
}

/// A definition of a custom resource of this schema.
fn definition(schema: Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "spec": {"versions": [{"schema": {"openAPIV3Schema": schema}}]},
    })
}

#[test]
fn what_the_schema_does_not_allow_is_named_with_its_place() {
    let schema = "spec.versions.schema.openAPIV3Schema";
    for (object, path, expected) in [
        (json!([]), "", "an object"),
        (json!({"apiVersion": 1, "kind": "Pod"}), "apiVersion", "a text"),
        (pod(json!([])), "spec", "an object"),
        (pod(json!({"nodeName": 1})), "spec.nodeName", "a text"),
        (pod(json!({"priority": "1"})), "spec.priority", "a whole number of 32 bits"),
        (pod(json!({"priority": 1.5})), "spec.priority", "a whole number of 32 bits"),
        (pod(json!({"priority": 1_i64 << 31})), "spec.priority", "a whole number of 32 bits"),
        (
            pod(json!({"activeDeadlineSeconds": "1"})),
            "spec.activeDeadlineSeconds",
            "a whole number of 64 bits",
        ),
        (pod(json!({"hostNetwork": 0})), "spec.hostNetwork", "true or false"),
        (pod(json!({"containers": {}})), "spec.containers", "a list"),
        (pod(json!({"nodeSelector": []})), "spec.nodeSelector", "an object"),
        (pod(json!({"nodeSelector": {"zone": 1}})), "spec.nodeSelector.zone", "a text"),
        (pod(json!({"overhead": {"cpu": true}})), "spec.overhead.cpu", "a quantity"),
        (
            pod(json!({"containers": [{"livenessProbe": {"httpGet": {"port": 1.5}}}]})),
            "spec.containers.livenessProbe.httpGet.port",
            "a whole number of 32 bits or a text",
        ),
        (
            pod(
                json!({"containers": [{"livenessProbe": {"httpGet": {"port": 1_i64 << 32 | 80}}}]}),
            ),
            "spec.containers.livenessProbe.httpGet.port",
            "a whole number of 32 bits or a text",
        ),
        (pod(json!({"overhead": {"cpu": "banana"}})), "spec.overhead.cpu", "a quantity"),
        (pod(json!({"overhead": {"cpu": ""}})), "spec.overhead.cpu", "a quantity"),
        (
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"creationTimestamp": "today"}}),
            "metadata.creationTimestamp",
            "a time as RFC 3339 writes it",
        ),
        (
            json!({"apiVersion": "v1", "kind": "Secret", "data": {"key": "?"}}),
            "data.key",
            "text in base64",
        ),
        (definition(json!({"not": 1})), &format!("{schema}.not"), "an object"),
        (definition(json!({"items": 1})), &format!("{schema}.items"), "an object"),
        (definition(json!({"minimum": "1"})), &format!("{schema}.minimum"), "a number"),
    ] {
        let error = to_vec(&object).expect_err("refused");
        assert_eq!((error.path(), error.fault()), (path, &Fault::Expected(expected)), "{object}");
    }
    for (object, path) in [
        (json!({"apiVersion": "v1", "kind": "Pod", "odd": null}), "odd"),
        (
            pod(json!({"volumes": [{"name": "v", "hostPath": {"paht": "/"}}]})),
            "spec.volumes.hostPath.paht",
        ),
        (pod(json!({"volumes": [{"name": "v", "hostpath": {}}]})), "spec.volumes.hostpath"),
        (pod(json!({"kind": "Pod"})), "spec.kind"),
    ] {
        let error = to_vec(&object).expect_err("refused");
        assert_eq!((error.path(), error.fault()), (path, &Fault::UnknownField), "{object}");
    }
    for object in [json!({}), json!({"apiVersion": "example.com/v1", "kind": "Gadget"})] {
        let error = to_vec(&object).expect_err("refused");
        assert!(matches!(error.fault(), Fault::UnknownKind { .. }), "{error}");
    }
}

#[test]
fn null_is_what_is_not_there() {
    let object = |metadata: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata});
    let written = |metadata| to_vec(&object(metadata)).expect("a Pod");
    let plain = written(json!({"name": "a"}));
    for nothing in
        ["generateName", "creationTimestamp", "deletionTimestamp", "labels", "finalizers"]
    {
        assert_eq!(written(json!({"name": "a", nothing: null})), plain, "{nothing}");
    }
    let read: Value = from_slice(&plain).expect("a Pod");
    assert_eq!(read, object(json!({"name": "a"})));
}

/// A Lease that was renewed then.
fn lease(time: &str) -> Value {
    json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": {"renewTime": time}})
}

/// Go's zero time is one that was not set, however it is said: it writes nothing of it, and `null`.
#[test]
fn the_zero_time_is_one_that_was_not_set() {
    let created = |time: Value| json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"creationTimestamp": time}});
    let zero = to_vec(&created(json!("0001-01-01T00:00:00Z"))).expect("a Pod");
    assert_eq!(to_vec(&created(Value::Null)).as_ref(), Ok(&zero));
    assert_eq!(to_vec(&created(json!("0001-01-01T01:00:00+01:00"))).as_ref(), Ok(&zero));
    let micro = to_vec(&lease("0001-01-01T00:00:00.000000Z")).expect("a Lease");
    // An empty message, in the place of the four fields before it that are absent.
    assert!(micro.ends_with(b"\x12\x02\x22\0\x1a\0\x22\0"), "{micro:x?}");
    for bytes in [zero, micro] {
        let read: Value = from_slice(&bytes).expect("an object");
        let time = read.pointer("/metadata/creationTimestamp").or(read.pointer("/spec/renewTime"));
        assert!(time.is_none_or(Value::is_null), "{read}");
    }
    // As it comes from who writes its seconds.
    let at = |time: &[u8]| object("v1", "Pod", &field(1, &field(8, time)));
    let seconds = b"\x08\x80\x92\xb8\xc3\x98\xfe\xff\xff\xff\x01";
    for time in [&seconds[..], &[&seconds[..], b"\x10\0"].concat()] {
        let bytes = at(time);
        let read: Value = from_slice(&bytes).expect("a Pod");
        assert_eq!(read["metadata"].get("creationTimestamp"), Some(&Value::Null));
        let pod: k8s_openapi::api::core::v1::Pod = from_slice(&bytes).expect("a Pod");
        assert_eq!(pod.metadata.creation_timestamp, None);
    }
    let micro = |nanos: &[u8]| {
        let time = [&seconds[..], nanos].concat();
        let spec = field(2, &field(4, &time));
        from_slice::<Value>(&object("coordination.k8s.io/v1", "Lease", &spec)).expect("a Lease")
    };
    assert_eq!(micro(b"\x10\xe7\x07")["spec"]["renewTime"], Value::Null);
    assert_eq!(micro(b"\x10\xe8\x07")["spec"]["renewTime"], "0001-01-01T00:00:00.000001Z");
}

/// Go's decoder passes over line ends, and over bits behind the last byte.
#[test]
fn base64_is_read_as_go_reads_it() {
    let secret = |text: Value| json!({"apiVersion": "v1", "kind": "Secret", "data": {"key": text}});
    let plain = to_vec(&secret(json!("AAE="))).expect("a Secret");
    for text in ["AA\nE=", "AAE=\r\n", "AAF="] {
        assert_eq!(to_vec(&secret(json!(text))).as_ref(), Ok(&plain), "{text:?}");
    }
    for text in ["AAE", "A AE=", "AAE==", "AA-_"] {
        assert!(to_vec(&secret(json!(text))).is_err(), "{text:?}");
    }
    // Nothing for a value: Go writes none of bytes that are nil.
    let none = to_vec(&secret(Value::Null)).expect("a Secret");
    let entry = field(2, &field(1, b"key"));
    assert!(none.windows(entry.len()).any(|bytes| bytes == entry), "{none:x?}");
}

#[test]
fn numbers_and_zones_are_written_as_what_they_mean() {
    let limits = |cpu: Value| pod(json!({"containers": [{"resources": {"limits": {"cpu": cpu}}}]}));
    assert_eq!(to_vec(&limits(json!(0.5))), to_vec(&limits(json!("0.5"))));
    let lease = |time: &str| to_vec(&lease(time)).expect("a Lease");
    assert_eq!(lease("2026-11-27T00:13:21.1234569+01:00"), lease("2026-11-26T23:13:21.123456Z"));
}

#[test]
fn what_is_nested_too_deep_to_be_read_again_is_not_written() {
    for (levels, deep) in [(1, false), (121, false), (122, true), (1_000, true)] {
        let mut schema = json!({});
        for _ in 0..levels {
            schema = json!({"not": schema});
        }
        let written = to_vec(&definition(schema));
        assert_eq!(
            written.as_ref().err().map(|error| error.fault()),
            deep.then_some(&Fault::TooDeep)
        );
        if let Ok(bytes) = written {
            assert!(from_slice::<Value>(&bytes).is_ok());
        }
    }
}

proptest! {
    /// What can be read can be written, but for texts that are no quantities, and is the same when it is read
    /// again.
    #[test]
    fn what_is_read_is_written_as_the_same(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let kinds = [of("v1", "Pod"), all().collect()];
        let kind = &kinds[which.index(2)];
        let mut bytes = kind[which.index(kind.len())].wire.clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(read) = from_slice::<Value>(&bytes) {
            let written = to_vec(&read);
            match written {
                Ok(written) => {
                    let again: Value = from_slice(&written).expect("it was just written");
                    prop_assert_eq!(without_nulls(again), without_nulls(read));
                }
                // Any text is read as one.
                Err(error) => prop_assert_eq!(error.fault(), &Fault::Expected("a quantity"), "{}", read),
            }
        }
    }
}
