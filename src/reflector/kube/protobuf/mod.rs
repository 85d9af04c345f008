//! Kubernetes' objects in protobuf, decoded into the types that read their JSON.
//!
//! Protobuf is what the API server and its own clients speak of built-in kinds. On the wire it is a
//! third smaller than JSON, and what a type does not read is passed over by its length; so it pays most
//! where a type names the few fields that a program needs.
//!
//! ```
//! use serde::Deserialize;
//! use watchcache::reflector::protobuf;
//!
//! #[derive(Deserialize)]
//! struct Namespace {
//!     metadata: Metadata,
//! }
//!
//! #[derive(Deserialize)]
//! struct Metadata {
//!     name: String,
//! }
//!
//! // As the API server writes the Namespace "web".
//! let bytes = b"k8s\0\n\x0f\n\x02v1\x12\tNamespace\x12\x07\n\x05\n\x03web";
//! let namespace: Namespace = protobuf::from_slice(bytes)?;
//! assert_eq!(namespace.metadata.name, "web");
//! # Ok::<(), protobuf::Error>(())
//! ```
//!
//! [`to_vec`] goes the other way.

mod de;
mod encode;
mod envelope;
mod error;
mod list;
mod schema;
#[cfg(test)]
pub(super) mod tests;
mod time;
mod walk;
mod wire;

use serde::Deserialize;

pub(super) use self::de::Object;
pub(super) use self::envelope::{Envelope, MAGIC, Type, beginning, event, message_of};
pub use self::error::{Error, Fault};
pub(super) use self::list::{List, next_item};
pub(super) use self::schema::{Message, find};
pub(super) use self::walk::{Header, labels};

/// The media type of Kubernetes' protobuf.
///
/// For whoever asks for it, and takes JSON of what has no protobuf:
///
/// ```
/// use watchcache::reflector::protobuf::MEDIA_TYPE;
///
/// let accept = format!("{MEDIA_TYPE}, application/json;q=0.9");
/// assert!(accept.starts_with("application/vnd.kubernetes.protobuf, "));
/// ```
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// Decodes an object of a built-in kind from the form that the API server gives it in protobuf, into a
/// type that its JSON can be decoded into: one of `k8s-openapi`, one that names a few fields, or
/// `serde_json::Value`.
///
/// What comes out is what the server's JSON of the object would give, but for lists and maps that are
/// empty: those are absent. The kinds are those of stable versions of Kubernetes' own API, custom
/// resource definitions and API services. Messages, lists and maps may be nested 127 levels deep. Of what
/// is no JSON on the wire a `Box<RawValue>` of `serde_json` is made, but none that is borrowed.
///
/// # Errors
/// If the bytes are not such an object, or `T` does not take it.
///
/// ```
/// use k8s_openapi::api::core::v1::Pod;
/// use serde_json::json;
/// use watchcache::reflector::protobuf;
///
/// let bytes = protobuf::to_vec(&json!({
///     "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"nodeName": "n1"},
/// }))?;
/// let pod: Pod = protobuf::from_slice(&bytes)?;
/// assert_eq!(pod.spec.and_then(|spec| spec.node_name).as_deref(), Some("n1"));
/// assert!(protobuf::from_slice::<Pod>(b"{}").is_err());
/// # Ok::<(), protobuf::Error>(())
/// ```
pub fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Error> {
    let Envelope { of, message } = Envelope::open(bytes)?;
    Object { of: Some(of), schema: of.schema()?, message, managed_fields: true }.decode()
}

/// Encodes an object of a built-in kind, told by the `apiVersion` and `kind` in its JSON, into the form
/// that the API server gives it in protobuf, and takes it in.
///
/// Of JSON as Go writes it the bytes are those of Kubernetes' own encoder. Of other JSON they mean the same: what
/// is absent stays absent, where Go writes zeros for what is no pointer; a quantity stays as it is written,
/// where Go makes `500m` of `0.5`; JSON within the object is written anew, numbers beyond 64 bits as `f64`. A
/// field of `null` is one that is not there, and so is Go's zero time. [`from_slice`] gives the same JSON again,
/// as far as it is written the same: a quantity may be a number, a time in any zone.
///
/// ```
/// use serde_json::{Value, json};
/// use watchcache::reflector::protobuf;
///
/// let pod = json!({
///     "apiVersion": "v1", "kind": "Pod",
///     "metadata": {"name": "web", "creationTimestamp": "2026-11-26T23:13:21Z"},
///     "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "250m"}}}]},
/// });
/// let bytes = protobuf::to_vec(&pod)?;
/// assert!(bytes.starts_with(b"k8s\0"));
/// assert_eq!(protobuf::from_slice::<Value>(&bytes)?, pod);
///
/// let odd = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"container": []}});
/// let error = protobuf::to_vec(&odd).expect_err("there is no such field");
/// assert_eq!((error.path(), error.fault()), ("spec.container", &protobuf::Fault::UnknownField));
/// # Ok::<(), protobuf::Error>(())
/// ```
///
/// # Errors
/// If the kind is of no known schema, or the schema does not take the JSON: a field that it does not know or
/// of another type, a quantity or a time that Go does not read, more than 127 levels.
pub fn to_vec(object: &serde_json::Value) -> Result<Vec<u8>, Error> {
    encode::object(object)
}
