//! What is read of an object, an event or a list without decoding the rest.
//!
//! Of a field that is there twice the last one counts, as for Go's decoder and for the types of
//! `k8s-openapi`; serde's derived implementations would refuse it.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::{Key, KeyRef, ResourceVersion};

/// A string, borrowed from the text if it has no escapes. (serde borrows a `Cow` only where a field
/// is nothing else, so not within an `Option`.)
#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// An object's type and metadata.
#[derive(Debug, Default)]
pub(super) struct Header<'a> {
    pub(super) api_version: Option<Text<'a>>,
    pub(super) kind: Option<Text<'a>>,
    pub(super) metadata: Option<Metadata<'a>>,
}

#[derive(Debug, Default)]
pub(super) struct Metadata<'a> {
    pub(super) namespace: Option<Text<'a>>,
    pub(super) name: Option<Text<'a>>,
    pub(super) uid: Option<Text<'a>>,
    pub(super) resource_version: Option<Text<'a>>,
    pub(super) labels: Option<&'a RawValue>,
    /// However often they are there.
    pub(super) managed_fields: Vec<&'a RawValue>,
}

/// An object of which some part is not what it should be: each field by itself.
#[derive(Debug, Default)]
struct Damaged<'a> {
    metadata: Option<&'a RawValue>,
}

#[derive(Debug, Default)]
struct DamagedMetadata<'a> {
    namespace: Option<&'a RawValue>,
    name: Option<&'a RawValue>,
    resource_version: Option<&'a RawValue>,
}

/// A line of a watch.
#[derive(Debug, Default)]
pub(super) struct Envelope<'a> {
    pub(super) event_type: Option<Text<'a>>,
    pub(super) object: Option<&'a RawValue>,
}

/// A page of a list.
#[derive(Debug, Default)]
pub(super) struct List<'a> {
    pub(super) api_version: Option<Text<'a>>,
    pub(super) kind: Option<Text<'a>>,
    pub(super) metadata: Option<ListMetadata<'a>>,
    /// Go writes `null` for an empty slice that was never made.
    pub(super) items: Option<Vec<&'a RawValue>>,
}

#[derive(Debug, Default)]
pub(super) struct ListMetadata<'a> {
    pub(super) resource_version: Option<Text<'a>>,
    pub(super) continue_token: Option<Text<'a>>,
    /// A number in the API; only one that is none of objects is of use.
    pub(super) remaining: Option<&'a RawValue>,
}

macro_rules! the_last_counts {
    ($type:ident { $($name:literal => $field:ident),+ } $(all { $every:literal => $list:ident })?) => {
        impl<'de: 'a, 'a> Deserialize<'de> for $type<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields<'a>(PhantomData<&'a ()>);

                impl<'de: 'a, 'a> Visitor<'de> for Fields<'a> {
                    type Value = $type<'a>;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<$type<'a>, M::Error> {
                        let mut read = $type::default();
                        while let Some(name) = map.next_key::<Text<'de>>()? {
                            match &*name {
                                $($name => read.$field = map.next_value()?,)+
                                $($every => read.$list.push(map.next_value()?),)?
                                _ => {
                                    map.next_value::<IgnoredAny>()?;
                                }
                            }
                        }
                        Ok(read)
                    }
                }

                deserializer.deserialize_map(Fields(PhantomData))
            }
        }
    };
}

the_last_counts!(Header { "apiVersion" => api_version, "kind" => kind, "metadata" => metadata });
the_last_counts!(Metadata {
    "namespace" => namespace,
    "name" => name,
    "uid" => uid,
    "resourceVersion" => resource_version,
    "labels" => labels
} all {
    "managedFields" => managed_fields
});
the_last_counts!(Damaged { "metadata" => metadata });
the_last_counts!(DamagedMetadata {
    "namespace" => namespace,
    "name" => name,
    "resourceVersion" => resource_version
});
the_last_counts!(Envelope { "type" => event_type, "object" => object });
the_last_counts!(List {
    "apiVersion" => api_version,
    "kind" => kind,
    "metadata" => metadata,
    "items" => items
});
the_last_counts!(ListMetadata {
    "resourceVersion" => resource_version,
    "continue" => continue_token,
    "remainingItemCount" => remaining
});

impl<'a> Header<'a> {
    /// The header as far as it can be read.
    pub(super) fn of(raw: &'a str) -> Self {
        serde_json::from_str(raw).unwrap_or_default()
    }
}

/// The key and the version of an object that does not decode, as far as each can be read by itself. A name whose
/// namespace cannot is no key: by itself it would be another object's.
pub(super) fn of_damaged(raw: &str) -> (Option<Key>, Option<ResourceVersion>) {
    fn read<'a, T: Deserialize<'a> + Default>(raw: Option<&'a RawValue>) -> Option<T> {
        raw.map_or_else(|| Some(T::default()), |raw| serde_json::from_str(raw.get()).ok())
    }
    let damaged: Damaged<'_> = serde_json::from_str(raw).unwrap_or_default();
    let meta: DamagedMetadata<'_> = read(damaged.metadata).unwrap_or_default();
    let name: Option<String> = read::<Option<String>>(meta.name).flatten();
    let namespace: Option<Option<String>> = read(meta.namespace);
    let key = name.zip(namespace);
    let key = key.and_then(|(name, namespace)| Key::new(namespace.as_deref(), &name).ok());
    let version = match read::<Option<String>>(meta.resource_version) {
        Some(text) => text.filter(|text| !text.is_empty()),
        // Written as the number itself.
        None => read::<u64>(meta.resource_version).map(|number| number.to_string()),
    };
    (key, version.map(|version| version.as_str().into()))
}

impl Metadata<'_> {
    pub(super) fn key(&self) -> Option<KeyRef<'_>> {
        let namespace = self.namespace.as_deref().unwrap_or_default();
        Some((namespace, &**self.name.as_ref()?).into())
    }
}

impl ListMetadata<'_> {
    pub(super) fn remaining(&self) -> Option<u64> {
        self.remaining?.get().parse().ok()
    }
}

/// The text if there is any: an empty version or token is none.
pub(super) fn non_empty<'a>(text: Option<&'a Text<'_>>) -> Option<&'a str> {
    text.map(Deref::deref).filter(|text| !text.is_empty())
}

/// Where a part of a text lies in it.
pub(super) fn range_of(part: &str, whole: &str) -> std::ops::Range<usize> {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    start..start + part.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_two_fields_counts_and_null_is_none() {
        let header = Header::of(
            r#"{"kind":"A","kind":"B","metadata":{"name":"x"},"spec":[[]],
                "metadata":{"name":"a","name":"b\u0021","uid":null,"labels":null}}"#,
        );
        assert_eq!(header.kind.as_deref(), Some("B"));
        let metadata = header.metadata.expect("there");
        assert_eq!(metadata.key(), Some("b!".into()));
        assert!(metadata.uid.is_none() && metadata.labels.is_none());
        assert!(Header::of(r#"{"metadata":null}"#).metadata.is_none());
    }

    #[test]
    fn of_what_is_damaged_each_field_counts_by_itself() {
        let read = |metadata: &str| {
            let (key, version) = of_damaged(&format!(r#"{{"kind":7,"metadata":{metadata}}}"#));
            [key.map(|key| key.to_string()), version.map(|version| version.to_string())]
        };
        let [key, version] = ["b/a", "12"].map(|text| Some(text.to_owned()));
        let whole = [key.clone(), version.clone()];
        for odd in [
            r#"{"name":"a","namespace":"b","resourceVersion":12}"#,
            r#"{"name":"a","namespace":"b","resourceVersion":"12","uid":{},"labels":[]}"#,
            r#"{"uid":7,"name":"x","name":"a","namespace":"b","resourceVersion":"12"}"#,
        ] {
            assert_eq!(read(odd), whole, "{odd}");
        }
        assert_eq!(read(r#"{"name":"a","namespace":7,"resourceVersion":"12"}"#), [None, version]);
        assert_eq!(read(r#"{"name":"a","namespace":"b","resourceVersion":{}}"#), [key, None]);
        let cluster = Some("a".to_owned());
        assert_eq!(read(r#"{"name":"a","namespace":null,"uid":1}"#), [cluster, None]);
        assert_eq!(read("[]"), [None, None]);
    }

    #[test]
    fn what_remains_is_a_count_or_unknown() {
        let remaining = |json: &str| {
            serde_json::from_str::<ListMetadata<'_>>(json).ok().and_then(|list| list.remaining())
        };
        assert_eq!(remaining(r#"{"remainingItemCount":7}"#), Some(7));
        for unknown in ["-1", "null", "1e3", "184467440737095516150", "\"7\""] {
            let json = format!(r#"{{"remainingItemCount":{unknown}}}"#);
            assert_eq!(remaining(&json), None, "{unknown}");
        }
    }
}
