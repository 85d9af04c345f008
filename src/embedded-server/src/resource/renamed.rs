//! A resource that two groups serve: the same objects, with some fields under other names.

use std::borrow::Cow;

use serde_json::Value;

/// Top-level fields, each by its name in the storage and its name in a group; none where they are
/// the same.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Renamed(&'static [(&'static str, &'static str)]);

impl Renamed {
    /// The fields of Events, as `events.k8s.io` names them.
    pub(super) const EVENTS: Renamed = Renamed(&[
        ("count", "deprecatedCount"),
        ("firstTimestamp", "deprecatedFirstTimestamp"),
        ("involvedObject", "regarding"),
        ("lastTimestamp", "deprecatedLastTimestamp"),
        ("message", "note"),
        ("reportingComponent", "reportingController"),
        ("source", "deprecatedSource"),
    ]);

    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// An object of the group as the storage has it.
    pub(crate) fn stored(self, object: &Value) -> Cow<'_, Value> {
        if self.is_empty() {
            return Cow::Borrowed(object);
        }
        let mut object = object.clone();
        self.0.iter().for_each(|(stored, shown)| rename(&mut object, shown, stored));
        Cow::Owned(object)
    }

    /// An object of the storage as the group has it.
    pub(crate) fn shown(self, mut object: Value) -> Value {
        self.0.iter().for_each(|(stored, shown)| rename(&mut object, stored, shown));
        object
    }

    /// A field's path in the storage, for the one that the group knows it by.
    pub(crate) fn stored_path(self, path: &str) -> Cow<'_, str> {
        let (field, rest) = path.split_at(path.find('.').unwrap_or(path.len()));
        match self.0.iter().find(|(_, shown)| *shown == field) {
            Some((stored, _)) => format!("{stored}{rest}").into(),
            None => path.into(),
        }
    }
}

fn rename(object: &mut Value, from: &str, to: &str) {
    if let Value::Object(fields) = object
        && let Some(value) = fields.remove(from)
    {
        fields.insert(to.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn there_and_back() {
        let stored = json!({"message": "m", "reason": "r", "involvedObject": {"kind": "Pod"}});
        let shown = json!({"note": "m", "reason": "r", "regarding": {"kind": "Pod"}});
        assert_eq!(Renamed::EVENTS.shown(stored.clone()), shown);
        assert_eq!(*Renamed::EVENTS.stored(&shown), stored);
        for (shown, stored) in
            [("regarding.kind", "involvedObject.kind"), ("note", "message"), ("reason", "reason")]
        {
            assert_eq!(Renamed::EVENTS.stored_path(shown), stored);
        }
    }
}
