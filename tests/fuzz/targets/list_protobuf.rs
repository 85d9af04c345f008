//! A list's answer in protobuf: every item is delivered or told to be undecodable, in order.
#![no_main]

use futures_util::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use libfuzzer_sys::fuzz_target;
use watchcache::Object;
use watchcache::reflector::{Item, Lazy};
use watchcache_fuzz::{block_on, list_protobuf};

fuzz_target!(|body: &[u8]| {
    let (typed, lazy) = (list_protobuf::<Pod>(body), list_protobuf::<Lazy<Pod>>(body));
    assert_eq!(typed.is_ok(), lazy.is_ok());
    let (Ok(typed), Ok(lazy)) = (typed, lazy) else { return };
    let typed: Vec<Item<Pod>> = block_on(typed.items.collect());
    let lazy: Vec<Item<Lazy<Pod>>> = block_on(lazy.items.collect());
    assert_eq!(typed.len(), lazy.len());
    for (typed, lazy) in typed.iter().zip(&lazy) {
        if let (Item::Object(typed), Item::Object(lazy)) = (typed, lazy) {
            assert_eq!(lazy.key(), typed.key());
            assert_eq!(lazy.get().expect("a Pod"), &**typed);
        }
    }
});
