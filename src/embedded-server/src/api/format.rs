//! What a client accepts: in which form it asks for objects, and in which encoding.

use std::cmp::Reverse;

use axum::http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use watchcache::reflector::protobuf;

use crate::encoding::Encoding;
use crate::status::Failure;

/// One of the forms the Accept header can ask for: whole objects, their metadata only, or rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Object,
    Metadata,
    Table,
}

/// What is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) format: Format,
    pub(crate) encoding: Encoding,
}

impl Accepted {
    /// What the client likes best of what can be served, and whole objects in JSON if it does not care.
    /// Objects without a schema are served in JSON only, but for their metadata.
    pub(crate) fn negotiate(headers: &HeaderMap, has_schema: bool) -> Result<Accepted, Failure> {
        let mut accept: Vec<MediaRange> = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter(|value| !value.trim().is_empty())
            .map(MediaRange::read)
            .collect();
        if accept.is_empty() {
            return Ok(Accepted { format: Format::Object, encoding: Encoding::Json });
        }
        accept.sort_by_key(MediaRange::order);
        let served = accept.iter().find_map(|range| range.served(has_schema));
        served.ok_or_else(|| Failure::not_acceptable(media_types(has_schema)))
    }
}

/// What an object with or without a schema is served in, and written in.
pub(super) fn media_types(has_schema: bool) -> &'static str {
    match has_schema {
        true => "application/json, application/vnd.kubernetes.protobuf",
        false => "application/json",
    }
}

/// A part of an Accept header.
#[derive(Debug, Default)]
struct MediaRange<'a> {
    media_type: &'a str,
    /// How much it is wanted, in thousandths.
    quality: u16,
    convert: Option<&'a str>,
    version: Option<&'a str>,
    group: Option<&'a str>,
}

impl<'a> MediaRange<'a> {
    fn read(text: &'a str) -> MediaRange<'a> {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        let mut range = MediaRange { media_type, quality: 1000, ..MediaRange::default() };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name {
                "as" => range.convert = Some(value),
                "v" => range.version = Some(value),
                "g" => range.group = Some(value),
                "q" => range.quality = quality(value),
                // That a watch is meant, for one, is told by the query.
                _ => {}
            }
        }
        range
    }

    /// First what is wanted most; of two that are wanted as much the one that names more.
    fn order(&self) -> (Reverse<u16>, usize) {
        (Reverse(self.quality), self.media_type.matches('*').count())
    }

    /// What it is served with, if it can be.
    fn served(&self, has_schema: bool) -> Option<Accepted> {
        let format = self.format().filter(|_| self.quality > 0)?;
        let encoding = match self.media_type {
            "application/json" | "application/*" | "*/*" => Encoding::Json,
            // No table has a schema, and all metadata has the same.
            protobuf::MEDIA_TYPE => match format {
                Format::Object if has_schema => Encoding::Protobuf,
                Format::Metadata => Encoding::Protobuf,
                _ => return None,
            },
            _ => return None,
        };
        Some(Accepted { format, encoding })
    }

    fn format(&self) -> Option<Format> {
        match self.convert {
            None => Some(Format::Object),
            Some(_) if (self.version, self.group) != (Some("v1"), Some("meta.k8s.io")) => None,
            Some("Table") => Some(Format::Table),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Some(Format::Metadata),
            Some(_) => None,
        }
    }
}

/// A weight between 0 and 1, in thousandths; 1 where it is none.
fn quality(weight: &str) -> u16 {
    match weight.parse::<f32>() {
        Ok(weight) if (0.0..1.0).contains(&weight) => (weight * 1000.0) as u16,
        _ => 1000,
    }
}

#[derive(Deserialize)]
struct MetadataOnly<'a> {
    #[serde(borrow)]
    metadata: &'a RawValue,
}

/// Writes the PartialObjectMetadata of a whole object.
pub(crate) fn write_metadata(json: &[u8], out: &mut Vec<u8>) {
    // The bytes are the server's own serialisation: they always have metadata.
    let metadata = serde_json::from_slice::<MetadataOnly<'_>>(json)
        .map_or("{}", |object| object.metadata.get());
    out.extend_from_slice(
        b"{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":",
    );
    out.extend_from_slice(metadata.as_bytes());
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiated(accept: &str, has_schema: bool) -> Option<(Format, Encoding)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().expect("a header"));
        let accepted = Accepted::negotiate(&headers, has_schema).ok()?;
        Some((accepted.format, accepted.encoding))
    }

    const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
    const TABLE: &str = "as=Table;v=v1;g=meta.k8s.io";
    const METADATA: &str = "as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

    #[test]
    fn forms() {
        let format = |accept: &str| negotiated(accept, true).map(|(format, _)| format);
        assert_eq!(
            format(&format!("application/json;{TABLE},application/json")),
            Some(Format::Table)
        );
        assert_eq!(
            format("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"),
            Some(Format::Object)
        );
        assert_eq!(format(&format!("application/json;{METADATA}")), Some(Format::Metadata));
        assert_eq!(format("application/yaml"), None);
    }

    #[test]
    fn the_encoding_that_is_wanted_most() {
        use Encoding::{Json, Protobuf};
        for (accept, with_schema, without) in [
            ("application/json", Some(Json), Some(Json)),
            ("*/*", Some(Json), Some(Json)),
            (PROTOBUF, Some(Protobuf), None),
            ("application/vnd.kubernetes.protobuf;stream=watch", Some(Protobuf), None),
            ("application/vnd.kubernetes.protobuf, application/json", Some(Protobuf), Some(Json)),
            ("application/json,application/vnd.kubernetes.protobuf", Some(Json), Some(Json)),
            ("*/*, application/vnd.kubernetes.protobuf", Some(Protobuf), Some(Json)),
            ("application/vnd.kubernetes.protobuf;q=0.5,*/*;q=0.6", Some(Json), Some(Json)),
            (
                "application/json;q=0.8, application/vnd.kubernetes.protobuf; q=0.81",
                Some(Protobuf),
                Some(Json),
            ),
            (
                "application/json;q=0,application/vnd.kubernetes.protobuf;q=0.1",
                Some(Protobuf),
                None,
            ),
            ("application/json;q=0", None, None),
            ("application/json;q=many", Some(Json), Some(Json)),
            ("application/yaml,text/html", None, None),
        ] {
            let encoding =
                |has_schema| negotiated(accept, has_schema).map(|(_, encoding)| encoding);
            assert_eq!((encoding(true), encoding(false)), (with_schema, without), "{accept}");
        }
    }

    #[test]
    fn tables_have_no_schema_and_all_metadata_has_one() {
        for has_schema in [true, false] {
            let both = |form: &str| {
                negotiated(&format!("{PROTOBUF};{form},application/json;{form}"), has_schema)
            };
            assert_eq!(both(TABLE), Some((Format::Table, Encoding::Json)));
            assert_eq!(both(METADATA), Some((Format::Metadata, Encoding::Protobuf)));
            assert_eq!(negotiated(&format!("{PROTOBUF};{TABLE}"), has_schema), None);
        }
    }
}
