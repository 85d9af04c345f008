//! Collecting what is wrong, in the API's words.

use std::fmt::Display;

use serde_json::Value;
use watchcache::status::{CauseType, StatusCause};

/// As many are told: a short body can have millions of faults.
const MOST: usize = 1_000;

#[derive(Debug, Default)]
pub(super) struct Causes(Vec<StatusCause>);

impl From<Causes> for Vec<StatusCause> {
    fn from(causes: Causes) -> Vec<StatusCause> {
        causes.0
    }
}

impl Causes {
    fn add(&mut self, cause: CauseType, field: impl Into<String>, message: String) {
        if self.0.len() < MOST {
            self.0.push(StatusCause::new(cause, message).with_field(field));
        }
    }

    pub(super) fn required(&mut self, field: impl Into<String>, why: &str) {
        let message = match why {
            "" => "Required value".to_owned(),
            why => format!("Required value: {why}"),
        };
        self.add(CauseType::FieldValueRequired, field, message);
    }

    pub(super) fn invalid(&mut self, field: impl Into<String>, value: &Value, why: impl Display) {
        self.add(CauseType::FieldValueInvalid, field, format!("Invalid value: {value}: {why}"));
    }

    pub(super) fn forbidden(&mut self, field: impl Into<String>, why: &str) {
        self.add(CauseType::FieldValueForbidden, field, format!("Forbidden: {why}"));
    }

    pub(super) fn duplicate(&mut self, field: impl Into<String>, value: &Value) {
        self.add(CauseType::FieldValueDuplicate, field, format!("Duplicate value: {value}"));
    }

    pub(super) fn not_found(&mut self, field: impl Into<String>, value: &Value) {
        self.add(CauseType::FieldValueNotFound, field, format!("Not found: {value}"));
    }

    pub(super) fn wrong_type(
        &mut self,
        field: impl Into<String>,
        value: &Value,
        why: impl Display,
    ) {
        self.add(CauseType::FieldValueTypeInvalid, field, format!("Invalid value: {value}: {why}"));
    }

    pub(super) fn too_long(&mut self, field: impl Into<String>, most: usize) {
        let message = format!("Too long: may not be more than {most} bytes");
        self.add(CauseType::FieldValueTooLong, field, message);
    }

    /// One of the supported values, or nothing where that is allowed.
    pub(super) fn one_of(&mut self, field: &str, value: &Value, supported: &[&str]) {
        let is_supported = value.as_str().is_some_and(|value| supported.contains(&value));
        if !is_supported {
            let supported: Vec<_> = supported.iter().map(|one| format!("{one:?}")).collect();
            let message =
                format!("Unsupported value: {value}: supported values: {}", supported.join(", "));
            self.add(CauseType::FieldValueNotSupported, field, message);
        }
    }

    /// A number that must not be negative, where it is there.
    pub(super) fn not_negative(&mut self, object: &Value, pointer: &str, field: &str) {
        if let Some(value) = object.pointer(pointer)
            && value.as_i64().is_some_and(|number| number < 0)
        {
            self.invalid(field, value, "must be greater than or equal to 0");
        }
    }

    /// A field that must stay as it is.
    pub(super) fn immutable(&mut self, new: &Value, old: &Value, pointer: &str, field: &str) {
        let (new, old) = (new.pointer(pointer), old.pointer(pointer));
        if new != old {
            self.invalid(field, new.unwrap_or(&Value::Null), "field is immutable");
        }
    }
}
