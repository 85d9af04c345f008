//! The forms in which a request describes a change of an object.

pub(crate) mod apply;
mod field_set;
mod json;
pub(crate) mod managed;
mod shape;
mod strategic;

use serde_json::Value;

use crate::resource::Definition;
use crate::status::Failure;
use shape::Shape;

/// A patch, in one of the forms that a content type names. Server-side apply is separate: it also sets
/// the owners of fields (see [`apply`]).
#[derive(Debug)]
pub(crate) enum Patch {
    Json(json_patch::Patch),
    Merge(Value),
    Strategic(Value),
}

impl Patch {
    /// The patched object.
    pub(crate) fn apply(&self, definition: &Definition, current: &Value) -> Result<Value, Failure> {
        let mut object = current.clone();
        match self {
            Patch::Json(patch) => json::apply(&mut object, patch)?,
            Patch::Merge(patch) => json_patch::merge(&mut object, patch),
            Patch::Strategic(patch) => {
                strategic::merge(&mut object, patch, Shape::of(definition))
                    .map_err(Failure::bad_request)?;
            }
        }
        if object.is_object() {
            Ok(object)
        } else {
            Err(Failure::bad_request("the patch leaves no object"))
        }
    }
}
