//! The line splitter and the decoder of events: how the body is cut, how many tasks decode it and
//! who wants which part of it never matters, no line is lost silently, and typed objects are what
//! `serde_json` makes of them, if it makes any.
#![no_main]

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use watchcache::reflector::{Lazy, SourceError, WatchEvent};
use watchcache::{Key, Object};
use watchcache_fuzz::{PARALLEL, deepened, watch, watch_share};

type Events<K> = Vec<Result<WatchEvent<K>, SourceError>>;

fuzz_target!(|input: &[u8]| {
    let [piece, body @ ..] = input else { return };
    let body = deepened(body);
    let whole = watch::<Pod>(&body, usize::MAX);
    let cut = watch::<Pod>(&body, usize::from(*piece));
    assert_eq!(summary(&whole), summary(&cut));
    let lazy = watch::<Lazy<Pod>>(&body, usize::MAX);
    assert_eq!(kinds(&whole), kinds(&lazy));
    compare(&body, &whole, &lazy);
    decoded_by_several(&body);
    shared(&body);
});

fn compare(body: &[u8], typed: &Events<Pod>, lazy: &Events<Lazy<Pod>>) {
    let lines = body.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    let values = lines.flat_map(|line| {
        serde_json::Deserializer::from_str(line).into_iter::<BTreeMap<String, &RawValue>>()
    });
    if std::str::from_utf8(body).is_err() {
        return;
    }
    for ((value, typed), lazy) in values.zip(typed).zip(lazy) {
        let Some(pod) = object(typed) else {
            if typed.is_err() {
                return;
            }
            continue;
        };
        let value = value.expect("an object of what is no JSON");
        let raw = value["object"].get();
        serde_json::from_str::<IgnoredAny>(raw).expect("an object of what is no JSON");
        // Not each: `-0` is no integer to `serde_json`, for one.
        if let Ok(expected) = serde_json::from_str::<Pod>(raw) {
            assert_eq!(expected, *pod);
        }
        let Some(lazy) = object(lazy) else { continue };
        assert_eq!(lazy.json().expect("JSON"), raw);
        assert_eq!(lazy.key(), pod.key());
        assert_eq!(Object::uid(lazy), Object::uid(pod));
        assert_eq!(Object::resource_version(lazy), Object::resource_version(pod));
        let labels = pod.metadata.labels.iter().flatten();
        let labels: Vec<_> = labels.map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(lazy.labels().collect::<Vec<_>>(), labels);
        for (name, value) in labels {
            assert_eq!(Object::label(lazy, name), Some(value));
            assert_eq!(Object::label(pod, name), Some(value));
        }
        assert!(lazy.get().is_ok_and(|typed| typed == pod));
    }
}

/// As many copies as several tasks share give as many times the same.
fn decoded_by_several(body: &[u8]) {
    if body.is_empty() || body.len() > PARALLEL {
        return;
    }
    let line = [body, b"\n"].concat();
    let once = watch::<Pod>(&line, usize::MAX);
    let copies = PARALLEL / line.len() + 1;
    let many = watch::<Pod>(&line.repeat(copies), usize::MAX);
    let shown = |events: &[Result<WatchEvent<Pod>, SourceError>]| -> Vec<String> {
        events.iter().map(|event| format!("{event:?}")).collect()
    };
    let once = shown(&once);
    assert_eq!(
        shown(&many),
        once.iter().cycle().take(once.len() * copies).cloned().collect::<Vec<_>>()
    );
}

/// Of two shares each object is in one.
fn shared(body: &[u8]) {
    let keys = |events: &Events<Pod>| -> Vec<Key> {
        let before_failure = events.iter().take_while(|event| event.is_ok());
        let mut keys: Vec<_> =
            before_failure.filter_map(object).filter_map(|pod| pod.key().to_key().ok()).collect();
        keys.sort();
        keys
    };
    let all = keys(&watch(body, usize::MAX));
    // A share reads no more of what is another's than its metadata, so each may hold more.
    let [one, other] = [0, 1].map(|index| keys(&watch_share(body, index)));
    for key in &all {
        assert!(one.contains(key) || other.contains(key), "{key} is in no share");
    }
}

fn object<K>(event: &Result<WatchEvent<K>, SourceError>) -> Option<&K> {
    match event {
        Ok(WatchEvent::Added(object) | WatchEvent::Modified(object)) => Some(object),
        Ok(WatchEvent::Deleted(object)) => Some(object),
        _ => None,
    }
}

/// What came up to the first failure, which ends a watch.
fn summary(events: &Events<Pod>) -> Vec<String> {
    let mut failed = false;
    let shown = events.iter().take_while(|event| !std::mem::replace(&mut failed, event.is_err()));
    shown
        .map(|event| event.as_ref().map_or("failed".to_owned(), |event| format!("{event:?}")))
        .collect()
}

/// How many there are, and which of them are failures.
fn kinds<K>(events: &Events<K>) -> Vec<bool> {
    events.iter().map(Result::is_ok).collect()
}
