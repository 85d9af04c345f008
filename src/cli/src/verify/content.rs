//! The parts of an object that are compared.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use kube::api::DynamicObject;
use serde::Deserialize;
use serde_json::value::RawValue;
use watchcache::{Key, Object};

use crate::mirrored::Mirrored;

/// A digest of an object. Whole objects of a large list would take more memory than the rest of the
/// program.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content {
    uid: Option<String>,
    resource_version: Option<String>,
    digest: u64,
}

/// The identity of an object and of its state.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    name: String,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
}

impl Content {
    /// Of an object's text, unless it names none.
    pub(super) fn read(json: &str) -> Option<(Key, Self)> {
        match serde_json::from_str::<DynamicObject>(json) {
            Ok(object) => Some((object.key().to_key().ok()?, Self::of(&object))),
            Err(_) => Self::as_written(json),
        }
    }

    /// The items of a list may leave out the type, so that is not compared.
    pub(super) fn of(object: &DynamicObject) -> Self {
        let mut hasher = DefaultHasher::new();
        // Both are trees with sorted keys: equal ones have equal text. JSON input stays JSON.
        let metadata = serde_json::to_string(&object.metadata).unwrap_or_default();
        (metadata, object.data.to_string()).hash(&mut hasher);
        Self {
            uid: object.metadata.uid.clone(),
            resource_version: object.metadata.resource_version.clone(),
            digest: hasher.finish(),
        }
    }

    /// For an object that cannot become a tree, such as one nested too deep: its fields are compared,
    /// too, but as the server writes them.
    fn as_written(json: &str) -> Option<(Key, Self)> {
        let mut fields: BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
        fields.retain(|name, _| name != "kind" && name != "apiVersion");
        let identity: Identity = serde_json::from_str(fields.get("metadata")?.get()).ok()?;
        let mut hasher = DefaultHasher::new();
        fields.iter().for_each(|(name, value)| (name, value.get()).hash(&mut hasher));
        let Identity { name, namespace, uid, resource_version } = identity;
        let key = Key::new(namespace.as_deref(), &name).ok()?;
        Some((key, Self { uid, resource_version, digest: hasher.finish() }))
    }
}

/// Returns how the mirrored object differs from the listed one, if it does.
pub(super) fn difference(mirrored: &Mirrored, theirs: &Content) -> Option<String> {
    // Decoded for this only: asked for its object, it would keep it.
    let Some((_, ours)) = mirrored.json().ok().and_then(|json| Content::read(&json)) else {
        return Some("what the store holds cannot be decoded".to_owned());
    };
    if ours.uid != theirs.uid {
        return Some(format!("uid {:?}, on the server {:?}", ours.uid, theirs.uid));
    }
    if ours.resource_version != theirs.resource_version {
        let show = |version: &Option<String>| version.clone().unwrap_or_else(|| "none".to_owned());
        return Some(format!(
            "resourceVersion {}, on the server {}",
            show(&ours.resource_version),
            show(&theirs.resource_version)
        ));
    }
    (ours != *theirs).then(|| "the same version with other content".to_owned())
}

#[cfg(test)]
mod tests {
    use watchcache::reflector::{Decode, Encoded};

    use super::*;

    #[test]
    fn what_is_nested_too_deep_is_compared_as_it_is_written() {
        let deep = |version: u32, levels: usize| {
            let nest = "[".repeat(levels) + &"]".repeat(levels);
            format!(r#"{{"metadata":{{"name":"a","resourceVersion":"{version}"}},"spec":{nest}}}"#)
        };
        let read = |json: &str| Content::read(json).expect("it has a name").1;
        let held =
            Mirrored::decode(Encoded::from_json(&deep(1, 9_000)), None).expect("its text is kept");
        assert_eq!(difference(&held, &read(&deep(1, 9_000))), None);
        let typed = deep(1, 9_000).replacen('{', r#"{"kind":"Thing","apiVersion":"x.io/v1","#, 1);
        assert_eq!(difference(&held, &read(&typed)), None);
        let other = difference(&held, &read(&deep(1, 8_999)));
        assert_eq!(other.as_deref(), Some("the same version with other content"));
        let newer = difference(&held, &read(&deep(2, 9_000)));
        assert_eq!(newer.as_deref(), Some("resourceVersion 1, on the server 2"));
    }
}
