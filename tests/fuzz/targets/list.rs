//! A list's answer: every item is delivered or told to be undecodable, in order, and a relist takes
//! what is held for what it is.
#![no_main]

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use watchcache::Object;
use watchcache::reflector::{Item, Lazy};
use watchcache_fuzz::{PARALLEL, block_on, deepened, list, relist};

fuzz_target!(|body: &[u8]| {
    let body = deepened(body);
    let (typed, lazy) = (list::<Pod>(&body), list::<Lazy<Pod>>(&body));
    assert_eq!(typed.is_ok(), lazy.is_ok());
    let (Ok(typed), Ok(lazy)) = (typed, lazy) else { return };
    let text = |version: &Option<watchcache::ResourceVersion>| {
        version.as_ref().map(|version| version.as_str().to_owned())
    };
    let (version, token) = (text(&typed.resource_version), typed.continue_token.clone());
    let typed: Vec<Item<Pod>> = block_on(typed.items.collect());
    let lazy: Vec<Item<Lazy<Pod>>> = block_on(lazy.items.collect());
    assert_eq!(typed.len(), lazy.len());
    held_again(&body, &typed);
    decoded_by_several(&body, &typed);
    let Ok(value) = serde_json::from_slice::<Value>(&body) else { return };
    let items = value["items"].as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(typed.len(), items.len());
    let non_empty =
        |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    assert_eq!(version, non_empty(&value["metadata"]["resourceVersion"]));
    assert_eq!(token, non_empty(&value["metadata"]["continue"]));
    for (item, found) in typed.iter().zip(items) {
        if let Item::Object(pod) = item {
            assert_eq!(pod.metadata.name.as_deref(), found["metadata"]["name"].as_str());
        }
    }
});

fn shown<K: Object>(items: &[Item<K>]) -> Vec<String> {
    let one = |item: &Item<K>| match item {
        Item::Object(object) | Item::Held(object) => {
            format!("{:?} {:?}", object.key(), object.resource_version())
        }
        Item::Undecodable(bad) => format!("{:?} {:?}", bad.key, bad.error),
        _ => panic!("no such item is known here"),
    };
    items.iter().map(one).collect()
}

fn held_again(body: &[u8], typed: &[Item<Pod>]) {
    let Ok(again) = relist::<Pod>(body) else { panic!("a list that was one before") };
    assert_eq!(again.len(), typed.len());
    // What is held was decoded once; what could not be decoded may be held in a version that was
    // good, where a list has a key twice.
    for (again, typed) in again.iter().zip(typed) {
        if let (Item::Object(_), Item::Object(_)) = (again, typed) {
            assert_eq!(shown(std::slice::from_ref(again)), shown(std::slice::from_ref(typed)));
        }
    }
}

/// The same items, so many times that several tasks decode them.
fn decoded_by_several(body: &[u8], typed: &[Item<Pod>]) {
    let Ok(text) = std::str::from_utf8(body) else { return };
    let Some((start, rest)) = text.split_once(r#""items":["#) else { return };
    let Some((items, end)) = rest.rsplit_once(']') else { return };
    if items.len() < 64 || items.len() > PARALLEL {
        return;
    }
    let copies = PARALLEL / items.len() + 2;
    let many = format!(r#"{start}"items":[{}]{end}"#, vec![items; copies].join(","));
    let Ok(many) = list::<Pod>(many.as_bytes()) else { return };
    let many: Vec<Item<Pod>> = block_on(many.items.collect());
    if many.len() == typed.len() * copies {
        let once = shown(typed);
        assert_eq!(shown(&many), once.iter().cycle().take(many.len()).cloned().collect::<Vec<_>>());
    }
}
