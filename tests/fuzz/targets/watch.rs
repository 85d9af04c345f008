//! The line splitter and the decoder of events: how the body is cut never matters, no line is lost
//! silently, and typed objects are what `serde_json` makes of them, if it makes any.
#![no_main]

use k8s_openapi::api::core::v1::Pod;
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use watchcache::Object;
use watchcache::reflector::{Lazy, SourceError, WatchEvent};
use watchcache_fuzz::watch;

fuzz_target!(|input: &[u8]| {
    let [piece, body @ ..] = input else { return };
    let whole = watch::<Pod>(body, usize::MAX);
    let cut = watch::<Pod>(body, usize::from(*piece));
    assert_eq!(summary(&whole), summary(&cut));
    let lazy = watch::<Lazy<Pod>>(body, usize::from(*piece));

    let ended = body.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    let lines = body[..ended].split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    assert_eq!((whole.len(), lazy.len()), (lines.len(), lines.len()));
    for ((line, typed), lazy) in lines.into_iter().zip(&whole).zip(&lazy) {
        if let Some(pod) = object(typed) {
            serde_json::from_slice::<IgnoredAny>(line).expect("an object of what is no JSON");
            // Not each: `-0` is no integer to `serde_json`, for one.
            if let Some(expected) = expected(line) {
                assert_eq!(expected, *pod);
            }
            if let Some(lazy) = object(lazy) {
                assert_eq!(lazy.key(), pod.key());
                assert_eq!(Object::uid(lazy), Object::uid(pod));
                assert_eq!(Object::resource_version(lazy), Object::resource_version(pod));
            }
        }
    }
});

/// What `serde_json` makes of the object in a line.
fn expected(line: &[u8]) -> Option<Pod> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow)]
        object: &'a RawValue,
    }
    let event: Event<'_> = serde_json::from_slice(line).ok()?;
    serde_json::from_str(event.object.get()).ok()
}

fn object<K>(event: &Result<WatchEvent<K>, SourceError>) -> Option<&K> {
    match event {
        Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => Some(object),
        Ok(WatchEvent::Deleted(object)) => Some(object),
        _ => None,
    }
}

fn summary(events: &[Result<WatchEvent<Pod>, SourceError>]) -> Vec<String> {
    events.iter().map(|event| format!("{event:?}")).collect()
}
