//! Frames of a watch: how the body is cut does not matter, and a lazy object says of itself what the
//! typed one does.
#![no_main]

use k8s_openapi::api::core::v1::Pod;
use libfuzzer_sys::fuzz_target;
use watchcache::Object;
use watchcache::reflector::{Lazy, WatchEvent};
use watchcache_fuzz::watch_protobuf;

fuzz_target!(|input: &[u8]| {
    let [piece, body @ ..] = input else { return };
    // An odd byte stands for one frame, so that a length need not be guessed.
    let body = match piece % 2 {
        0 => body.to_vec(),
        _ => [&(body.len() as u32).to_be_bytes()[..], body].concat(),
    };
    let typed = watch_protobuf::<Pod>(&body, usize::MAX);
    let cut = watch_protobuf::<Pod>(&body, usize::from(*piece));
    assert_eq!(format!("{typed:?}"), format!("{cut:?}"));
    let lazy = watch_protobuf::<Lazy<Pod>>(&body, usize::MAX);
    assert_eq!(typed.len(), lazy.len());
    for (typed, lazy) in typed.iter().zip(&lazy) {
        assert_eq!(typed.is_ok(), lazy.is_ok());
        let (Ok(typed), Ok(lazy)) = (typed, lazy) else { continue };
        if let (Some(typed), Some(lazy)) = (object(typed), object(lazy)) {
            same(typed, lazy);
        }
    }
});

fn object<K>(event: &WatchEvent<K>) -> Option<&K> {
    match event {
        WatchEvent::Added(object) | WatchEvent::Modified(object) => Some(object),
        WatchEvent::Deleted(object) => Some(object),
        _ => None,
    }
}

fn same(typed: &Pod, lazy: &Lazy<Pod>) {
    assert_eq!(lazy.key(), typed.key());
    assert_eq!(Object::uid(lazy), Object::uid(typed));
    assert_eq!(Object::resource_version(lazy), Object::resource_version(typed));
    let labels = typed.metadata.labels.iter().flatten();
    let labels: Vec<_> = labels.map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(lazy.labels().collect::<Vec<_>>(), labels);
    assert_eq!(lazy.get().expect("a Pod"), typed);
}
