//! An object in protobuf: whatever comes is decoded or refused, and a type makes of it what it makes of
//! its JSON.
#![no_main]

use k8s_openapi::api::core::v1::Pod;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use watchcache::reflector::protobuf::from_slice;

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = from_slice::<Value>(bytes) else {
        let _ = from_slice::<Pod>(bytes);
        return;
    };
    let by_json = serde_json::from_value::<Pod>(value);
    match (from_slice::<Pod>(bytes), by_json) {
        (Ok(pod), Ok(by_json)) => assert_eq!(pod, by_json),
        (pod, by_json) => assert_eq!(pod.is_ok(), by_json.is_ok(), "{pod:?} {by_json:?}"),
    }
});
