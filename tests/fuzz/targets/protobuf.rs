//! An object in protobuf: whatever comes is decoded or refused, a type makes of it what it makes of its
//! JSON, and that JSON can be encoded again.
#![no_main]

use k8s_openapi::api::core::v1::Pod;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use watchcache::reflector::protobuf::{from_slice, to_vec};

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = from_slice::<Value>(bytes) else {
        let _ = from_slice::<Pod>(bytes);
        return;
    };
    let written = to_vec(&value).expect("it was just read");
    let again = from_slice::<Value>(&written).expect("it was just written");
    assert_eq!(without_nulls(again), without_nulls(value.clone()));
    let by_json = serde_json::from_value::<Pod>(value);
    match (from_slice::<Pod>(bytes), by_json) {
        (Ok(pod), Ok(by_json)) => assert_eq!(pod, by_json),
        (pod, by_json) => assert_eq!(pod.is_ok(), by_json.is_ok(), "{pod:?} {by_json:?}"),
    }
});

/// Without the fields that are `null`, which is what is not there.
fn without_nulls(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(|value| *value = without_nulls(value.take()));
        }
        Value::Array(elements) => {
            elements.iter_mut().for_each(|value| *value = without_nulls(value.take()));
        }
        _ => {}
    }
    value
}
