//! The form in which the mirror keeps objects: their text, as a program would that reads few fields.
//!
//! Decoded, an object takes six times its text; the command shows what the cache takes, not that.

use kube::api::DynamicObject;
use watchcache::reflector::Lazy;

pub(crate) type Mirrored = Lazy<DynamicObject>;
