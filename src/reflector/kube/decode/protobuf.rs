//! Events and items in protobuf.

use std::sync::Arc;

use super::{Bookmark, Decode, Decoder, told_by};
use crate::reflector::kube::encoded::Form;
use crate::reflector::kube::protobuf::{
    Envelope, Error, Fault, Header, Message, Object, event, find, message_of,
};
use crate::reflector::kube::{Encoded, unexpected};
use crate::reflector::{Interest, Item, SourceError, Undecodable, WatchEvent};

impl<K: Decode> Decoder<K> {
    /// The schema to read an answer by, if it is in protobuf.
    pub(crate) fn schema_of(
        &self,
        protobuf: bool,
    ) -> Result<Option<&'static Message>, SourceError> {
        match (protobuf, self.schema) {
            (true, None) => {
                let message = "protobuf, which was not asked for, of a kind of unknown schema";
                Err(SourceError::Protocol(message.to_owned()))
            }
            (true, schema) => Ok(schema),
            (false, _) => Ok(None),
        }
    }

    /// Reads a frame of a watch: one event. What cannot be told to be one is a failure, and with that
    /// the end of the watch; an object that does not decode is not.
    pub(crate) fn frame(
        &self,
        frame: &[u8],
        schema: &'static Message,
    ) -> Result<WatchEvent<K>, SourceError> {
        let [event_type, raw] = event(frame).map_err(|error| unreadable(&error))?;
        let event = match event_type {
            b"ADDED" => WatchEvent::Added,
            b"MODIFIED" => WatchEvent::Modified,
            b"DELETED" => WatchEvent::Deleted,
            b"BOOKMARK" => return self.bookmark_of(raw, schema),
            b"ERROR" => return Err(unexpected::failure_of(raw, "a Status in an error event")),
            b"" => return Err(unexpected::failure_of(raw, "an event")),
            other => {
                let text = std::str::from_utf8(other);
                let text = text.map_err(|_| unreadable(&Fault::Utf8.into()))?;
                return Ok(WatchEvent::Unknown { event_type: text.to_owned() });
            }
        };
        let (said, message, fault) = match message_of(raw, &self.expected.message_begins) {
            Some(message) => (Some(self.expected.in_protobuf()), message, None),
            None => {
                let Ok(Envelope { of, message }) = Envelope::open(raw) else {
                    return Err(unexpected::failure_of(raw, "an object in an event"));
                };
                let [api_version, kind] = of.said();
                (kind.map(|_| of), message, self.expected.differs_from(api_version, kind))
            }
        };
        if fault.is_none()
            && let Some(event) = self.unwanted_message(message)
        {
            return Ok(event);
        }
        let object = self.object(message, schema);
        let object = Object { of: said, ..object };
        Ok(match self.decode_object(object, fault, event_type == b"DELETED") {
            Ok(object) => event(object),
            Err(bad) => WatchEvent::Undecodable(*bad),
        })
    }

    /// Reads an item of a list of the expected type; `None` for one that nobody wants.
    pub(crate) fn message(
        &self,
        message: &[u8],
        schema: &'static Message,
        interest: Option<&Interest<K>>,
    ) -> Option<Item<K>> {
        if let Some(interest) = interest
            && let Ok(header) = Header::of(message)
        {
            if !interest.wants(header.key()) {
                return None;
            }
            if let Some(version) = header.resource_version()
                && let Some(object) = interest.held(header.key(), header.uid(), version)
            {
                return Some(Item::Held(object));
            }
        }
        Some(match self.decode_object(self.object(message, schema), None, false) {
            Ok(object) => Item::Object(object),
            Err(bad) => Item::Undecodable(*bad),
        })
    }

    fn object<'a>(&self, message: &'a [u8], schema: &'static Message) -> Object<'a> {
        Object { of: None, schema, message, managed_fields: self.managed_fields }
    }

    fn decode_object(
        &self,
        object: Object<'_>,
        fault: Option<String>,
        deleted: bool,
    ) -> Result<Arc<K>, Box<Undecodable>> {
        self.make(Encoded(Form::Protobuf(object)), fault).map_err(|error| {
            let header = Header::of_damaged(object.message);
            // Of a kind that has no schema no more can be told than what all have: the expected kind's would
            // tell what is not there.
            let metadata = || find("meta.k8s.io/v1", "PartialObjectMetadata");
            let schema =
                object.of.map_or(Some(object.schema), |of| of.schema().ok().or_else(metadata));
            Box::new(Undecodable {
                key: header.key().to_key().ok(),
                resource_version: header.resource_version().map(Into::into),
                error,
                raw: schema.and_then(|schema| Object { schema, ..object }.told()),
                deleted,
            })
        })
    }

    /// As `unwanted`.
    fn unwanted_message(&self, message: &[u8]) -> Option<WatchEvent<K>> {
        let interest = self.interest.as_ref().filter(|interest| interest.is_sharded())?;
        let header = Header::of(message).ok()?;
        if interest.wants(header.key()) {
            return None;
        }
        let version = header.resource_version()?.into();
        Some(WatchEvent::Gone { key: header.key().to_key().ok()?, version })
    }

    fn bookmark_of(
        &self,
        raw: &[u8],
        schema: &'static Message,
    ) -> Result<WatchEvent<K>, SourceError> {
        let message = Envelope::open(raw).map(|envelope| envelope.message);
        let read = message.and_then(|message| self.object(message, schema).decode::<Bookmark>());
        told_by(read)
    }
}

fn unreadable(error: &Error) -> SourceError {
    SourceError::Protocol(format!("expected an event, found protobuf that does not read: {error}"))
}
