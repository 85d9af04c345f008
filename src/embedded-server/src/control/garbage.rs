//! The garbage collector: an owned object is deleted with its last owner, or before it.

use std::sync::Arc;

use serde_json::Value;

use super::{Controllers, Work};
use crate::object::{array, finalizers, is_deleting, metadata, remove_finalizer, text, uid};
use crate::status::Failure;
use crate::storage::{self, Entry, Origin};
use crate::write::{DeleteOptions, FOREGROUND, ORPHAN, Part, Propagation, Request};

impl Controllers {
    /// Carries out what the object's owners, and those it owns, require.
    pub(super) fn collect(
        &mut self,
        request: &Request,
        entry: &Arc<Entry>,
        object: &Value,
    ) -> Result<(), Failure> {
        if is_deleting(object) {
            let held: Vec<&str> = finalizers(object).collect();
            if held.contains(&FOREGROUND) {
                return self.delete_owned_first(request, object);
            }
            if held.contains(&ORPHAN) {
                return self.release_owned(request, object);
            }
            return Ok(());
        }
        // A simulated object's owners are not served.
        if entry.origin() != Origin::Client {
            return Ok(());
        }
        self.leave_lost_owners(request, object)
    }

    /// Deletes an object that has lost its last owner, and takes the lost ones off one that has not.
    fn leave_lost_owners(&self, request: &Request, object: &Value) -> Result<(), Failure> {
        let owners = array(object, "/metadata/ownerReferences");
        let is_lost = |owner: &Value| self.is_lost(request, owner);
        let lost = owners.iter().filter(|owner| is_lost(owner)).count();
        if lost == 0 {
            return Ok(());
        }
        if lost == owners.len() {
            return self.delete(request, object, Propagation::Background);
        }
        self.writer.change(request, text(object, "/metadata/name"), Part::All, |object| {
            let mut object = object.clone();
            if let Some(Value::Array(owners)) = metadata(&mut object).get_mut("ownerReferences") {
                owners.retain(|owner| !is_lost(owner));
            }
            Ok(object)
        })?;
        Ok(())
    }

    /// Returns whether there is certainly no such owner. One of a kind that is not served may exist
    /// elsewhere.
    fn is_lost(&self, request: &Request, owner: &Value) -> bool {
        let (group, _) = crate::object::split_api_version(text(owner, "/apiVersion"));
        let Some(definition) = self.writer.registry.by_kind(group, text(owner, "/kind")) else {
            return false;
        };
        let namespace = request.namespace.as_deref().filter(|_| definition.namespaced);
        let key = storage::key(namespace, text(owner, "/name"));
        match self.writer.storage.get(definition.id, &key) {
            None => true,
            Some(entry) => uid(&entry.value(&definition)) != text(owner, "/uid"),
        }
    }

    fn delete(&self, request: &Request, object: &Value, how: Propagation) -> Result<(), Failure> {
        let options = DeleteOptions {
            propagation: Some(how),
            uid: Some(uid(object).to_owned()),
            ..DeleteOptions::default()
        };
        match self.writer.delete(request, text(object, "/metadata/name"), &options) {
            Err(failure) if !failure.status().is_not_found() => Err(failure),
            _ => Ok(()),
        }
    }

    /// The objects that this one owns, each with its reference to it.
    fn owned(&self, owner: &Value) -> Vec<(Request, Value, Value)> {
        let uid = uid(owner);
        let find = |work: &Work| {
            let definition = self.writer.registry.by_id(work.resource)?;
            let entry = self.writer.storage.get(work.resource, &work.key)?;
            let object = entry.value(&definition);
            let owners = array(&object, "/metadata/ownerReferences");
            let reference = owners.iter().find(|owner| text(owner, "/uid") == uid)?.clone();
            Some((self.request(&definition, &entry), object, reference))
        };
        self.graph.owned_by(uid).filter_map(find).collect()
    }

    fn delete_owned_first(&mut self, request: &Request, owner: &Value) -> Result<(), Failure> {
        let mut blocked = false;
        for (request, object, reference) in self.owned(owner) {
            blocked |= reference["blockOwnerDeletion"] == true;
            if !is_deleting(&object) {
                self.delete(&request, &object, Propagation::Foreground)?;
            }
        }
        if blocked {
            // The deletion of each of them queues this one again.
            return Ok(());
        }
        self.release(request, owner, FOREGROUND)
    }

    fn release_owned(&mut self, request: &Request, owner: &Value) -> Result<(), Failure> {
        for (request, object, reference) in self.owned(owner) {
            self.writer.change(&request, text(&object, "/metadata/name"), Part::All, |object| {
                let mut object = object.clone();
                if let Some(Value::Array(owners)) = metadata(&mut object).get_mut("ownerReferences")
                {
                    owners.retain(|owner| owner["uid"] != reference["uid"]);
                }
                Ok(object)
            })?;
        }
        self.release(request, owner, ORPHAN)
    }

    /// Takes a finalizer off an object that is being deleted.
    pub(super) fn release(
        &self,
        request: &Request,
        object: &Value,
        finalizer: &str,
    ) -> Result<(), Failure> {
        self.writer.change(request, text(object, "/metadata/name"), Part::All, |object| {
            let mut object = object.clone();
            remove_finalizer(&mut object, finalizer);
            Ok(object)
        })?;
        Ok(())
    }
}
