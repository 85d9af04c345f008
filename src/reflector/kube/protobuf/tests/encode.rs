//! The way back: what Kubernetes' own encoder writes, from the JSON of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Fault, from_slice, to_vec};
use super::{all, of};

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

#[test]
fn numbers_and_zones_are_written_as_what_they_mean() {
    let limits = |cpu: Value| pod(json!({"containers": [{"resources": {"limits": {"cpu": cpu}}}]}));
    assert_eq!(to_vec(&limits(json!(0.5))), to_vec(&limits(json!("0.5"))));
    let lease = |time: &str| {
        let kind = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"});
        let mut lease = kind;
        lease["spec"] = json!({"renewTime": time});
        to_vec(&lease).expect("a Lease")
    };
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
