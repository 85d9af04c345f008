//! The form in which the mirror keeps objects: as text, like a program that reads few fields.
//!
//! A decoded object takes six times its text, which would hide what the cache itself takes.

use kube::api::DynamicObject;
use watchcache::reflector::Lazy;

pub(crate) type Mirrored = Lazy<DynamicObject>;
