//! One version of one object: serialised once, then only copied.

use bytes::Bytes;
use serde_json::Value;

/// One version of an object.
///
/// The JSON is made when the version is committed. The resourceVersion is its only part that
/// ever differs afterwards (a DELETED event carries the last state at the version of the
/// deletion), so its place is remembered and the rest is never looked at again.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) namespace: Option<Box<str>>,
    pub(crate) name: Box<str>,
    pub(crate) labels: Box<[(Box<str>, Box<str>)]>,
    /// `spec.nodeName`, empty when there is none.
    pub(crate) node_name: Box<str>,
    /// `status.phase`, empty when there is none.
    pub(crate) phase: Box<str>,
    pub(crate) version: u64,
    json: Bytes,
    version_at: std::ops::Range<usize>,
    /// How long the object's own type is, which a list's items leave out.
    type_len: usize,
}

impl Entry {
    /// Serialises `object` as the version `version`.
    pub(crate) fn new(
        namespace: Option<String>,
        name: String,
        object: &Value,
        version: u64,
    ) -> Entry {
        let text = |pointer: &str| -> Box<str> {
            object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().into()
        };
        let labels = object
            .pointer("/metadata/labels")
            .and_then(Value::as_object)
            .map(|labels| {
                labels
                    .iter()
                    .map(|(key, value)| {
                        (key.as_str().into(), value.as_str().unwrap_or_default().into())
                    })
                    .collect()
            })
            .unwrap_or_default();
        let (json, version_at, type_len) = serialise(object, version);
        Entry {
            namespace: namespace.map(Into::into),
            name: name.into(),
            labels,
            node_name: text("/spec/nodeName"),
            phase: text("/status/phase"),
            version,
            json,
            version_at,
            type_len,
        }
    }

    /// The whole object, resourceVersion included.
    pub(crate) fn json(&self) -> &Bytes {
        &self.json
    }

    /// The object as an item of a list, which says by its own kind what kind its items are.
    pub(crate) fn write_item(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        out.extend_from_slice(&self.json[1 + self.type_len..]);
    }

    /// The same content under another resourceVersion.
    pub(crate) fn restamped(&self, version: u64) -> Entry {
        let number = version.to_string();
        let mut json = Vec::with_capacity(self.json.len() + number.len());
        json.extend_from_slice(&self.json[..self.version_at.start]);
        json.extend_from_slice(number.as_bytes());
        json.extend_from_slice(&self.json[self.version_at.end..]);
        Entry {
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            labels: self.labels.clone(),
            node_name: self.node_name.clone(),
            phase: self.phase.clone(),
            version,
            json: json.into(),
            version_at: self.version_at.start..self.version_at.start + number.len(),
            type_len: self.type_len,
        }
    }
}

/// The JSON of `object` with metadata.resourceVersion set, where that number lies, and how long the
/// part that names the object's type is.
///
/// The top level and the opening of `metadata` are written by hand, in the order in which the real
/// server writes them: that is what makes the places known without searching the text for them.
fn serialise(object: &Value, version: u64) -> (Bytes, std::ops::Range<usize>, usize) {
    let mut out = Vec::with_capacity(4096);
    let empty = serde_json::Map::new();
    let fields = object.as_object().unwrap_or(&empty);
    let metadata = fields.get("metadata").and_then(Value::as_object).unwrap_or(&empty);

    out.push(b'{');
    for key in TYPE {
        if let Some(value) = fields.get(key) {
            write_field(&mut out, key, value);
            out.push(b',');
        }
    }
    let type_len = out.len() - 1;
    out.extend_from_slice(b"\"metadata\":{\"resourceVersion\":\"");
    let start = out.len();
    out.extend_from_slice(version.to_string().as_bytes());
    let end = out.len();
    out.push(b'"');
    for (key, value) in metadata.iter().filter(|(key, _)| *key != "resourceVersion") {
        out.push(b',');
        write_field(&mut out, key, value);
    }
    out.push(b'}');
    let rest = |key: &str| key != "metadata" && !TYPE.contains(&key);
    for (key, value) in fields.iter().filter(|(key, _)| rest(key)) {
        out.push(b',');
        write_field(&mut out, key, value);
    }
    out.push(b'}');
    out.shrink_to_fit();
    (out.into(), start..end, type_len)
}

const TYPE: [&str; 2] = ["kind", "apiVersion"];

fn write_field(out: &mut Vec<u8>, key: &str, value: &Value) {
    // Writing a string or a Value into a Vec cannot fail: neither the writer nor the value can.
    let _ = serde_json::to_writer(&mut *out, key);
    out.push(b':');
    let _ = serde_json::to_writer(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn restamping_changes_only_the_version() {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "labels": {"app": "x"}},
            "data": {"metadata": "\"resourceVersion\":\"1\""},
        });
        let entry = Entry::new(None, "a".into(), &object, 9).restamped(1234);
        let mut parsed: Value = serde_json::from_slice(entry.json()).expect("valid JSON");
        assert_eq!(parsed["metadata"]["resourceVersion"], "1234");
        parsed["metadata"].as_object_mut().expect("object").remove("resourceVersion");
        assert_eq!(parsed, object);

        let mut item = Vec::new();
        entry.write_item(&mut item);
        let mut item: Value = serde_json::from_slice(&item).expect("valid JSON");
        assert!(item.get("kind").is_none() && item.get("apiVersion").is_none());
        item["metadata"].as_object_mut().expect("object").remove("resourceVersion");
        assert_eq!((&item["metadata"], &item["data"]), (&object["metadata"], &object["data"]));
        assert_eq!(&*entry.labels[0].1, "x");
    }
}
