//! Deletions: at once, or once nothing holds the object back.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Next, Request, TRIES, Writer, Written, is_held, origin_after};
use crate::object::{add_finalizer, is_deleting, metadata, remove_finalizer, text};
use crate::resource::{NAMESPACES, PODS};
use crate::status::Failure;
use crate::storage::Entry;
use crate::time;

/// What happens to the objects that a deleted one owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagation {
    /// They are deleted afterwards.
    Background,
    /// They are deleted before.
    Foreground,
    /// They stay, without their owner.
    Orphan,
}

/// Keeps an owner until those it owns are deleted.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// Keeps an owner until those it owns no longer refer to it.
pub(crate) const ORPHAN: &str = "orphan";

/// The Namespaces that a cluster cannot do without.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// The terms of a deletion.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) grace_seconds: Option<i64>,
    pub(crate) propagation: Option<Propagation>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
}

/// The result of a deletion.
#[derive(Debug)]
pub(crate) enum Deleted {
    /// The object was deleted; its last state.
    Gone(Written),
    /// Something holds it back; its state.
    Pending(Written),
}

impl Writer {
    /// Deletes an object, or begins to.
    pub(crate) fn delete(
        &self,
        request: &Request,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Deleted, Failure> {
        if request.definition.id == NAMESPACES && IMMORTAL.contains(&name) {
            let why = "this namespace may not be deleted";
            return Err(Failure::forbidden(&request.definition, name, why));
        }
        for _ in 0..TRIES {
            let entry = self.get(request, name)?;
            let mut object = entry.value(&request.definition);
            check_preconditions(request, name, options, &object)?;
            let grace = grace(request, options, &object);
            let before = object.clone();
            hold_for(options, &mut object);
            if request.definition.id == NAMESPACES {
                object["status"]["phase"] = "Terminating".into();
            }
            if grace == 0 && !is_held(&request.definition, &object) {
                let last = Written::of(&entry, &request.definition);
                match self.remove(request, &entry, None) {
                    Ok(()) => return Ok(Deleted::Gone(last)),
                    Err(_) => continue,
                }
            }
            mark(grace, &mut object);
            // A repetition on the same terms changes nothing.
            if object == before {
                return Ok(Deleted::Pending(Written::of(&entry, &request.definition)));
            }
            let next =
                Next { name, current: Some(&entry), object: &object, origin: origin_after(&entry) };
            if let Ok(written) = self.commit(request, next) {
                return Ok(Deleted::Pending(written));
            }
        }
        Err(Failure::modified(&request.definition, name))
    }

    /// The containers have ended: the object stays only as long as its finalizers.
    pub(crate) fn end_grace(&self, request: &Request, name: &str) -> Result<(), Failure> {
        for _ in 0..TRIES {
            let entry = self.get(request, name)?;
            let mut object = entry.value(&request.definition);
            metadata(&mut object).insert("deletionGracePeriodSeconds".to_owned(), json!(0));
            let next =
                Next { name, current: Some(&entry), object: &object, origin: origin_after(&entry) };
            if self.commit(request, next).is_ok() {
                return Ok(());
            }
        }
        Err(Failure::modified(&request.definition, name))
    }

    /// Removes an object that was only waiting for this.
    pub(crate) fn finish(&self, request: &Request, entry: &Arc<Entry>) {
        // If it has changed since, that change brings it here again.
        let _ = self.remove(request, entry, None);
    }
}

fn check_preconditions(
    request: &Request,
    name: &str,
    options: &DeleteOptions,
    object: &Value,
) -> Result<(), Failure> {
    let check = |wanted: &Option<String>, pointer: &str, what: &str| match wanted {
        Some(wanted) if wanted != text(object, pointer) => {
            let why = format!(
                "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {}",
                text(object, pointer)
            );
            Err(Failure::conflict(&request.definition, name, &why))
        }
        _ => Ok(()),
    };
    check(&options.uid, "/metadata/uid", "UID")?;
    check(&options.resource_version, "/metadata/resourceVersion", "ResourceVersion")
}

/// How long the object may take to end: only Pods that run somewhere take any time.
fn grace(request: &Request, options: &DeleteOptions, object: &Value) -> i64 {
    let runs = request.definition.id == PODS
        && !text(object, "/spec/nodeName").is_empty()
        && !matches!(text(object, "/status/phase"), "Failed" | "Succeeded");
    if !runs {
        return 0;
    }
    let own = object.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64);
    let asked = options.grace_seconds.or(own).unwrap_or(30).max(0);
    let under_way = object.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64);
    // A second deletion can only be quicker.
    under_way.filter(|_| is_deleting(object)).map_or(asked, |before| before.min(asked))
}

/// Puts up the finalizers that the propagation asks for, in place of those of another one.
fn hold_for(options: &DeleteOptions, object: &mut Value) {
    match options.propagation {
        Some(Propagation::Foreground) => {
            remove_finalizer(object, ORPHAN);
            add_finalizer(object, FOREGROUND);
        }
        Some(Propagation::Orphan) => {
            remove_finalizer(object, FOREGROUND);
            add_finalizer(object, ORPHAN);
        }
        Some(Propagation::Background) => {
            remove_finalizer(object, FOREGROUND);
            remove_finalizer(object, ORPHAN);
        }
        None => {}
    }
}

/// Writes that the deletion has begun.
fn mark(grace: i64, object: &mut Value) {
    let quicker = object
        .pointer("/metadata/deletionGracePeriodSeconds")
        .and_then(Value::as_i64)
        .is_none_or(|before| grace < before);
    let counts = object.pointer("/metadata/generation").and_then(Value::as_i64);
    let is_first = !is_deleting(object);
    let metadata = metadata(object);
    if is_first || quicker {
        let end = time::rfc3339(time::now() + grace);
        metadata.insert("deletionTimestamp".to_owned(), end.into());
        metadata.insert("deletionGracePeriodSeconds".to_owned(), json!(grace));
    }
    if let (true, Some(generation)) = (is_first, counts) {
        metadata.insert("generation".to_owned(), json!(generation + 1));
    }
}
