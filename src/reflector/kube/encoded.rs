//! An object as it came, for what makes something of it.

use std::fmt;

use serde::de::DeserializeOwned;

use super::typed;

/// An object as the server wrote it, for an implementation of [`Decode`](super::Decode).
#[derive(Clone, Copy)]
pub struct Encoded<'a> {
    pub(super) json: &'a str,
    /// Whether managed fields are kept.
    pub(super) managed_fields: bool,
}

/// Why an object does not decode.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct DecodeError(#[from] serde_json::Error);

impl<'a> Encoded<'a> {
    /// Of JSON, managed fields and all.
    #[must_use]
    pub fn from_json(json: &'a str) -> Self {
        Self { json, managed_fields: true }
    }

    /// Decodes it into a type, which may name no more of it than a program reads. Managed fields are
    /// not there unless the source keeps them
    /// ([`KubeSource::keep_managed_fields`](super::KubeSource::keep_managed_fields)).
    ///
    /// # Errors
    /// If the type does not take it.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        Ok(typed::from_str(self.json, self.managed_fields)?)
    }
}

impl fmt::Debug for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded").field("bytes", &self.json.len()).finish_non_exhaustive()
    }
}
