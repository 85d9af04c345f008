//! Protobuf gives what JSON gives.

use k8s_openapi::api::{
    apps::v1 as apps, coordination::v1 as coordination, core::v1 as core,
    discovery::v1 as discovery,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::from_slice;
use super::{all, of};

/// Whether these are the same, but for what is `null` in JSON because it is empty.
fn assert_same(found: &Value, json: &Value, path: &str) {
    match (found, json) {
        (Value::Object(found), Value::Object(json)) => {
            for name in found.keys() {
                assert!(json.contains_key(name), "{path}.{name} is too much");
            }
            for (name, json) in json {
                match found.get(name) {
                    Some(found) => assert_same(found, json, &format!("{path}.{name}")),
                    None => assert!(json.is_null(), "{path}.{name} is missing: {json}"),
                }
            }
        }
        (Value::Array(found), Value::Array(json)) => {
            assert_eq!(found.len(), json.len(), "{path}");
            for (at, (found, json)) in found.iter().zip(json).enumerate() {
                assert_same(found, json, &format!("{path}[{at}]"));
            }
        }
        _ => assert_eq!(found, json, "{path}"),
    }
}

#[test]
fn every_field_of_every_kind_is_what_it_is_in_json() {
    let mut kinds = 0;
    for vector in all() {
        let json: Value = serde_json::from_str(vector.json).expect("JSON");
        let path = format!("{} {}", json["apiVersion"], json["kind"]);
        let found: Value = from_slice(&vector.wire).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert_same(&found, &json, &path);
        kinds += 1;
    }
    assert!(kinds > 140, "{kinds} are not all");
}

fn assert_decodes_as_json<K>(api_version: &str, kind: &str)
where
    K: DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let vectors = of(api_version, kind);
    assert_eq!(vectors.len(), 2, "{kind}");
    for vector in vectors {
        let found: K = from_slice(&vector.wire).unwrap_or_else(|e| panic!("{kind}: {e}"));
        let json: K = serde_json::from_str(vector.json).unwrap_or_else(|e| panic!("{kind}: {e}"));
        assert_eq!(found, json, "{kind}");
    }
}

#[test]
fn the_types_of_k8s_openapi_decode_as_from_json() {
    assert_decodes_as_json::<core::Pod>("v1", "Pod");
    assert_decodes_as_json::<core::Node>("v1", "Node");
    assert_decodes_as_json::<core::Service>("v1", "Service");
    assert_decodes_as_json::<core::ConfigMap>("v1", "ConfigMap");
    assert_decodes_as_json::<core::Secret>("v1", "Secret");
    assert_decodes_as_json::<core::Namespace>("v1", "Namespace");
    assert_decodes_as_json::<core::Event>("v1", "Event");
    assert_decodes_as_json::<discovery::EndpointSlice>("discovery.k8s.io/v1", "EndpointSlice");
    assert_decodes_as_json::<coordination::Lease>("coordination.k8s.io/v1", "Lease");
    assert_decodes_as_json::<apps::Deployment>("apps/v1", "Deployment");
    assert_decodes_as_json::<apps::ReplicaSet>("apps/v1", "ReplicaSet");
    assert_decodes_as_json::<apiextensions::CustomResourceDefinition>(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
    );
}
