//! What the messages of Kubernetes' kinds are in JSON.
//!
//! The table is written by a program from the struct tags of Kubernetes' Go types (`generate`), since
//! the `.proto` files do not say what is inlined, and what is left out when it is zero.

mod table;

pub(super) use self::table::APIEXTENSIONS_V1_JSON_SCHEMA_PROPS as JSON_SCHEMA;

/// A message's fields, that of number 1 first.
#[derive(Debug)]
pub(crate) struct Message(&'static [Field]);

/// A field: its name in JSON, how it is there, and what a value of it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field(&'static str, Form, Kind);

/// In the place of a number that no field has.
const GAP: Field = Field("", Form::Gap, Kind::Bytes);

/// When, and how often, a field is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// It is no field.
    Gap,
    /// It is always there, in JSON and on the wire.
    Always,
    /// In JSON it is there whenever it is on the wire: if it was set.
    Optional,
    /// In JSON it is left out when it is zero; on the wire it is not.
    NonZero,
    /// Its own fields stand in its place.
    Inline,
    List,
    /// By text.
    Map,
    /// The list of what manages which fields, which few read.
    ManagedFields,
}

/// What a value is in JSON. Those after `Message` are messages that are something else there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    Integer,
    Int32,
    Boolean,
    Double,
    /// Text in base64.
    Bytes,
    Message(&'static Message),
    /// A list of texts.
    Texts,
    /// Text in RFC 3339, in seconds; `null` if it is empty.
    Time,
    /// The same in microseconds.
    MicroTime,
    /// Text.
    Quantity,
    IntOrString,
    /// Whatever the JSON is that it holds.
    Json,
    /// Those of `JSONSchemaProps` that may be something else.
    SchemaOrBool,
    SchemaOrSchemas,
    SchemaOrTexts,
}

/// What a client sends with a deletion.
const DELETE_OPTIONS: &str = "DeleteOptions";

/// A kind of object: API version, kind and message.
struct Known(&'static str, &'static str, &'static Message);

/// The message of a kind.
pub(crate) fn find(api_version: &str, kind: &str) -> Option<&'static Message> {
    // Every group has these, in each of its versions.
    let api_version = if kind == DELETE_OPTIONS { "meta.k8s.io/v1" } else { api_version };
    let place = table::KINDS.binary_search_by_key(&(api_version, kind), |known| (known.0, known.1));
    Some(table::KINDS.get(place.ok()?)?.2)
}

/// API version and kind of what has this message: each has one of its own.
pub(super) fn type_of(message: &Message) -> Option<(&'static str, &'static str)> {
    let known = table::KINDS.iter().find(|known| std::ptr::eq(known.2, message))?;
    Some((known.0, known.1))
}

impl Message {
    /// The fields with their numbers, in the order of these.
    pub(super) fn fields(&self) -> impl Iterator<Item = (u32, &'static Field)> {
        (1..).zip(self.0).filter(|(_, field)| field.form() != Form::Gap)
    }

    #[inline]
    pub(super) fn field(&self, number: u32) -> Option<&'static Field> {
        self.0.get(number.checked_sub(1)? as usize)
    }
}

impl Field {
    #[inline]
    pub(super) fn json(&self) -> &'static str {
        self.0
    }

    #[inline]
    pub(super) fn form(&self) -> Form {
        self.1
    }

    #[inline]
    pub(super) fn kind(&self) -> Kind {
        self.2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_in_the_order_that_they_are_looked_up_in() {
        assert!(table::KINDS.is_sorted_by_key(|known| (known.0, known.1)));
        for known in table::KINDS {
            assert!(find(known.0, known.1).is_some_and(|message| std::ptr::eq(message, known.2)));
            assert_eq!(type_of(known.2), Some((known.0, known.1)));
        }
        let pod = find("v1", "Pod").expect("known");
        assert_eq!(pod.field(2).map(Field::json), Some("spec"));
        assert!(pod.field(0).is_none() && pod.field(u32::MAX).is_none());
        assert!(find("example.com/v1", "Gadget").is_none());
        assert!(find("apps/v1", "DeleteOptions").is_some());
    }
}
