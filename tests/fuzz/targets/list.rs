//! A list's answer: every item is delivered or told to be undecodable, in order.
#![no_main]

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use watchcache::reflector::{Item, Lazy};
use watchcache_fuzz::{block_on, list};

fuzz_target!(|body: &[u8]| {
    let (typed, lazy) = (list::<Pod>(body), list::<Lazy<Pod>>(body));
    assert_eq!(typed.is_ok(), lazy.is_ok());
    let (Ok(typed), Ok(lazy)) = (typed, lazy) else { return };
    let text = |version: &Option<watchcache::ResourceVersion>| {
        version.as_ref().map(|version| version.as_str().to_owned())
    };
    let (version, token) = (text(&typed.resource_version), typed.continue_token.clone());
    let typed: Vec<Item<Pod>> = block_on(typed.items.collect());
    let lazy: Vec<Item<Lazy<Pod>>> = block_on(lazy.items.collect());
    assert_eq!(typed.len(), lazy.len());
    // A field that is there twice is an error to the list, and the last one to a `Value`.
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return };
    let items = value["items"].as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(typed.len(), items.len());
    assert_eq!(version.as_deref(), value["metadata"]["resourceVersion"].as_str());
    assert_eq!(token.as_deref(), value["metadata"]["continue"].as_str());
    for (item, found) in typed.iter().zip(items) {
        if let Item::Object(pod) = item {
            assert_eq!(pod.metadata.name.as_deref(), found["metadata"]["name"].as_str());
        }
    }
});
