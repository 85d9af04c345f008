//! An object as it came, for what makes something of it.

use std::fmt;

use serde::de::DeserializeOwned;

use super::protobuf::{self, Object};
use super::typed;

/// An object as the server wrote it, for an implementation of [`Decode`](super::Decode).
///
/// ```
/// use k8s_openapi::api::core::v1::Pod;
/// use watchcache::reflector::Encoded;
///
/// let encoded = Encoded::from_json(r#"{"metadata": {"name": "web"}}"#);
/// let pod: Pod = encoded.decode()?;
/// assert_eq!(pod.metadata.name.as_deref(), Some("web"));
/// # Ok::<(), watchcache::reflector::DecodeError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Encoded<'a>(pub(super) Form<'a>);

#[derive(Clone, Copy)]
pub(super) enum Form<'a> {
    Json { text: &'a str, managed_fields: bool },
    Protobuf(Object<'a>),
}

/// Why an object does not decode.
///
/// ```
/// use k8s_openapi::api::core::v1::Pod;
/// use watchcache::reflector::{DecodeError, Encoded};
///
/// let odd = Encoded::from_json(r#"{"metadata": {"name": 7}}"#);
/// match odd.decode::<Pod>() {
///     Err(DecodeError::Json(error)) => assert_eq!(error.line(), 1),
///     // Which field it is.
///     Err(DecodeError::Protobuf(error)) => panic!("{}", error.path()),
///     other => panic!("{other:?}"),
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It came in JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// It came in protobuf.
    #[error(transparent)]
    Protobuf(#[from] protobuf::Error),
}

impl<'a> Encoded<'a> {
    /// Of JSON, managed fields and all.
    #[must_use]
    pub fn from_json(json: &'a str) -> Self {
        Self(Form::Json { text: json, managed_fields: true })
    }

    /// Decodes it into a type, which may name no more of it than a program reads. Managed fields are
    /// not there unless the source keeps them
    /// ([`KubeSource::keep_managed_fields`](super::KubeSource::keep_managed_fields)).
    ///
    /// # Errors
    /// If the type does not take it.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        Ok(match self.0 {
            Form::Json { text, managed_fields } => typed::from_str(text, managed_fields)?,
            Form::Protobuf(object) => object.decode()?,
        })
    }
}

impl fmt::Debug for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (form, bytes) = match self.0 {
            Form::Json { text, .. } => ("JSON", text.len()),
            Form::Protobuf(object) => ("protobuf", object.message.len()),
        };
        f.debug_struct("Encoded").field("form", &form).field("bytes", &bytes).finish()
    }
}
