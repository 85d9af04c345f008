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

use crate::KeyRef;

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
