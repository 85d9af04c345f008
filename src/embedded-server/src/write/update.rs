//! Changes to objects: by replacing them, by patches, by apply.

use std::sync::Arc;

use serde_json::Value;
use watchcache::status::{CauseType, StatusCause};

use super::decode::Decoded;
use super::{
    Next, Request, TRIES, Writer, Written, decode, defaults, is_held, origin_after, prepare,
};
use crate::object::{is_deleting, text};
use crate::patch::managed::{self, Manager};
use crate::patch::{Patch, apply};
use crate::resource::{Definition, LEASES};
use crate::status::Failure;
use crate::storage::{Entry, Origin, Stale};
use crate::validation;

/// The part of an object that a path addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything except the status, if that is a part of its own.
    Main,
    Status,
    /// Everything, for the server itself.
    All,
}

impl Part {
    fn subresource(self) -> Option<&'static str> {
        (self == Part::Status).then_some("status")
    }
}

/// How the owners of a changed object's fields are determined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ownership {
    /// By the fields that the request has changed.
    ByChange,
    /// As written in it.
    Written,
}

/// Why a change was not made.
enum Refusal {
    Stale,
    Failed(Failure),
}

impl From<Stale> for Refusal {
    fn from(_: Stale) -> Refusal {
        Refusal::Stale
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Refusal {
        Refusal::Failed(failure)
    }
}

impl Writer {
    /// Replaces an object.
    pub(crate) fn replace(
        &self,
        request: &Request,
        name: &str,
        part: Part,
        object: Value,
    ) -> Result<Written, Failure> {
        // A body is decoded once, and before anybody asks whether there is such an object.
        let decoded = decode::at(request, name, object)?;
        let exists = self.storage.get(request.definition.id, &request.key(name)).is_some();
        // The one kind that clients may create by replacing it.
        if !exists && request.definition.id == LEASES && part == Part::Main {
            return self.create(request, decoded.0);
        }
        let change = |_: &Value| Ok(decoded.clone());
        self.change_decoded(request, name, part, Ownership::ByChange, change, origin_after)
    }

    /// Patches an object.
    pub(crate) fn patch(
        &self,
        request: &Request,
        name: &str,
        part: Part,
        patch: &Patch,
    ) -> Result<Written, Failure> {
        self.change(request, name, part, |current| patch.apply(&request.definition, current))
    }

    /// Applies a configuration, server-side; creates the object if it does not exist.
    pub(crate) fn apply(
        &self,
        request: &Request,
        name: &str,
        part: Part,
        applied: &Value,
        force: bool,
    ) -> Result<Written, Failure> {
        let definition = &request.definition;
        let (applied, warnings) = check_applied(request, name, applied)?;
        let manager = Manager { name: &request.manager, subresource: part.subresource() };
        for _ in 0..TRIES {
            let change =
                |current: &Value| apply::apply(definition, Some(current), &applied, manager, force);
            let exists = self.storage.get(definition.id, &request.key(name)).is_some();
            let written = if exists {
                self.change_owned(request, name, part, Ownership::Written, change)
            } else if part == Part::Main && text(&applied, "/metadata/uid").is_empty() {
                let new = apply::apply(definition, None, &applied, manager, force)?;
                self.create_owned(request, new, false)
            } else {
                return Err(Failure::object_not_found(definition, name));
            };
            match written {
                // It was created or deleted in between.
                Err(failure) if failure.status().is_already_exists() && !exists => {}
                Err(failure) if failure.status().is_not_found() && exists => {}
                Ok(written) => return Ok(Written { warnings, ..written }),
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::modified(definition, name))
    }

    /// Changes an object by a function of its newest state, retrying as often as necessary.
    pub(crate) fn change(
        &self,
        request: &Request,
        name: &str,
        part: Part,
        change: impl Fn(&Value) -> Result<Value, Failure>,
    ) -> Result<Written, Failure> {
        self.change_owned(request, name, part, Ownership::ByChange, change)
    }

    fn change_owned(
        &self,
        request: &Request,
        name: &str,
        part: Part,
        ownership: Ownership,
        change: impl Fn(&Value) -> Result<Value, Failure>,
    ) -> Result<Written, Failure> {
        let change = |current: &Value| decode::at(request, name, change(current)?);
        self.change_decoded(request, name, part, ownership, change, origin_after)
    }

    /// As [`change`](Self::change), but of everything and by the server itself; `origin` returns the
    /// origin of the result.
    pub(super) fn change_as(
        &self,
        request: &Request,
        name: &str,
        change: impl Fn(&Value) -> Result<Value, Failure>,
        origin: impl Fn(&Entry) -> Origin,
    ) -> Result<Written, Failure> {
        let change = |current: &Value| decode::at(request, name, change(current)?);
        self.change_decoded(request, name, Part::All, Ownership::ByChange, change, origin)
    }

    fn change_decoded(
        &self,
        request: &Request,
        name: &str,
        part: Part,
        ownership: Ownership,
        change: impl Fn(&Value) -> Result<Decoded, Failure>,
        origin: impl Fn(&Entry) -> Origin,
    ) -> Result<Written, Failure> {
        for _ in 0..TRIES {
            let entry = self.get(request, name)?;
            let current = entry.value(&request.definition);
            let (new, origin) = (change(&current)?, origin(&entry));
            match self.put(request, &entry, &current, part, ownership, new, origin) {
                Ok(written) => return Ok(written),
                Err(Refusal::Failed(failure)) => return Err(failure),
                Err(Refusal::Stale) => {}
            }
        }
        Err(Failure::modified(&request.definition, name))
    }

    #[allow(clippy::too_many_arguments, reason = "each is another thing, and all are the caller's")]
    fn put(
        &self,
        request: &Request,
        entry: &Arc<Entry>,
        current: &Value,
        part: Part,
        ownership: Ownership,
        (mut object, warnings): Decoded,
        origin: Origin,
    ) -> Result<Written, Refusal> {
        let definition = &request.definition;
        let name = entry.name();
        check_preconditions(request, name, &object, current)?;
        let managers = object.pointer("/metadata/managedFields").cloned();
        prepare::for_update(definition, part, &mut object, current);
        defaults::fill(definition, &mut object, &self.defaults);
        let causes = validation::update(definition, &object, current);
        if !causes.is_empty() {
            return Err(Failure::invalid(definition, name, causes).into());
        }
        match ownership {
            Ownership::ByChange => {
                let manager = request.manager(part.subresource());
                managed::updated(definition, Some(current), &mut object, manager);
            }
            Ownership::Written => {
                let metadata = crate::object::metadata(&mut object);
                metadata.insert("managedFields".to_owned(), managers.unwrap_or_default());
            }
        }
        // Managed fields go deeper than what they are of.
        decode::check_depth(definition, &object)?;
        if is_finished(definition, &object) {
            let written = Written::of(entry, definition);
            self.remove(request, entry, Some(&object))?;
            return Ok(written);
        }
        let next = Next { name, current: Some(entry), object: &object, origin };
        let written = self.commit(request, next)?;
        Ok(Written { warnings, ..written })
    }
}

/// Returns whether the object was kept only by what has just been removed.
fn is_finished(definition: &Definition, object: &Value) -> bool {
    let grace = object.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64);
    is_deleting(object) && grace.unwrap_or(0) == 0 && !is_held(definition, object)
}

/// A version or a uid in the new object must be the current one's.
fn check_preconditions(
    request: &Request,
    name: &str,
    new: &Value,
    current: &Value,
) -> Result<(), Failure> {
    let definition = &request.definition;
    match text(new, "/metadata/resourceVersion") {
        "" | "0" if definition.unconditional_update => {}
        "" | "0" => {
            let message = "Invalid value: 0: must be specified for an update";
            let cause = StatusCause::new(CauseType::FieldValueInvalid, message)
                .with_field("metadata.resourceVersion");
            // The real server names the resource here, where other refusals name the kind.
            let (group, plural) = (&*definition.group, &*definition.plural);
            return Err(watchcache::Status::invalid(group, plural, name, [cause]).into());
        }
        version if version == text(current, "/metadata/resourceVersion") => {}
        _ => return Err(Failure::modified(definition, name)),
    }
    let (wanted, uid) = (text(new, "/metadata/uid"), text(current, "/metadata/uid"));
    if !wanted.is_empty() && wanted != uid {
        let why = format!(
            "Precondition failed: UID in precondition: {wanted}, UID in object meta: {uid}"
        );
        return Err(Failure::conflict(definition, name, &why));
    }
    Ok(())
}

/// An applied object names its type and itself. It is decoded only to find unknown fields: what it leaves
/// out stays left out, since that has a meaning here.
fn check_applied(
    request: &Request,
    name: &str,
    applied: &Value,
) -> Result<(Value, Vec<String>), Failure> {
    for field in ["apiVersion", "kind"] {
        if text(applied, &format!("/{field}")).is_empty() {
            return Err(Failure::bad_request(format!("{field} must be set in an applied object")));
        }
    }
    decode::check_place(request, name, applied)?;
    let mut applied = applied.clone();
    crate::object::metadata(&mut applied).insert("name".to_owned(), name.into());
    let (decoded, warnings) = decode::decode(request, applied.clone())?;
    let applied = if request.definition.is_custom() { applied } else { decoded };
    Ok((applied, warnings))
}
