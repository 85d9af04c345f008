//! The form a client asks objects in: whole, as metadata only, or as rows of a table.

use axum::http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::status::Failure;

/// One of the forms the Accept header can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Object,
    Metadata,
    Table,
}

impl Format {
    /// The first form of the Accept header that can be served.
    pub(crate) fn negotiate(headers: &HeaderMap) -> Result<Format, Failure> {
        let accept: Vec<&str> = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter(|value| !value.trim().is_empty())
            .collect();
        if accept.is_empty() {
            return Ok(Format::Object);
        }
        accept.into_iter().find_map(Format::read).ok_or_else(Failure::not_acceptable)
    }

    fn read(media_type: &str) -> Option<Format> {
        let mut parts = media_type.split(';').map(str::trim);
        if !matches!(parts.next()?, "application/json" | "application/*" | "*/*") {
            return None;
        }
        let (mut convert, mut version, mut group) = (None, None, None);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name {
                "as" => convert = Some(value),
                "v" => version = Some(value),
                "g" => group = Some(value),
                _ => {}
            }
        }
        match convert {
            None => Some(Format::Object),
            Some(_) if (version, group) != (Some("v1"), Some("meta.k8s.io")) => None,
            Some("Table") => Some(Format::Table),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Some(Format::Metadata),
            Some(_) => None,
        }
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

    fn negotiated(accept: &'static str) -> Option<Format> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, axum::http::HeaderValue::from_static(accept));
        Format::negotiate(&headers).ok()
    }

    #[test]
    fn accept_headers() {
        assert_eq!(
            negotiated("application/json;as=Table;v=v1;g=meta.k8s.io,application/json"),
            Some(Format::Table)
        );
        assert_eq!(
            negotiated("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"),
            Some(Format::Object)
        );
        assert_eq!(negotiated("application/vnd.kubernetes.protobuf, */*"), Some(Format::Object));
        assert_eq!(
            negotiated("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"),
            Some(Format::Metadata)
        );
        assert_eq!(negotiated("application/yaml"), None);
    }
}
