//! JSON patches, operation by operation: what a short one can make of an object has no end.

use std::slice;

use json_patch::{Patch, PatchOperation};
use serde_json::Value;
use watchcache::Status;
use watchcache::status::StatusReason;

use crate::object::is_too_deep_at;
use crate::status::Failure;

/// As the real server limits them: how many operations there are, and how much they copy together.
const OPERATIONS: usize = 10_000;
const COPIED: usize = 3 << 20;

/// The object is to be forgotten if this fails.
pub(super) fn apply(object: &mut Value, patch: &Patch) -> Result<(), Failure> {
    let count = patch.len();
    if count > OPERATIONS {
        let message =
            format!("The allowed maximum operations in a JSON patch is {OPERATIONS}, got {count}");
        return Err(Status::failure(StatusReason::RequestEntityTooLarge, message).into());
    }
    let mut copied = 0;
    for operation in patch.iter() {
        if let PatchOperation::Copy(copy) = operation {
            copied += object.pointer(copy.from.as_str()).map_or(0, |value| value.to_string().len());
            if copied > COPIED {
                return Err(rejected(&format!("it copies more than {COPIED} bytes")));
            }
        }
        json_patch::patch_unsafe(object, slice::from_ref(operation))
            .map_err(|error| rejected(&error.to_string()))?;
        check_depth(object, operation)?;
    }
    Ok(())
}

/// Looks at what was put somewhere: the rest was as deep before. The next operation could make it so deep that
/// nobody can even drop it.
fn check_depth(object: &Value, operation: &PatchOperation) -> Result<(), Failure> {
    if matches!(operation, PatchOperation::Remove(_) | PatchOperation::Test(_)) {
        return Ok(());
    }
    let path = operation.path().as_str();
    let put = match path.strip_suffix("/-") {
        // An element that was appended has no place of its own in the path.
        Some(list) => object.pointer(list).and_then(|list| list.as_array()?.last()),
        None => None,
    };
    let put = put.or_else(|| object.pointer(path)).unwrap_or(&Value::Null);
    if is_too_deep_at(path.matches('/').count(), put) {
        return Err(Failure::bad_request("the patch nests too deep"));
    }
    Ok(())
}

fn rejected(why: &str) -> Failure {
    let message = format!("the server rejected our request due to an error in our request: {why}");
    Status::failure(StatusReason::Invalid, message).into()
}
