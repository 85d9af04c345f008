//! The end of every write: its result is committed, unless another writer was faster.

use std::sync::Arc;

use serde_json::Value;

use super::{Planned, Request, Writer, Written};
use crate::object::text;
use crate::resource::{self, CUSTOM_RESOURCE_DEFINITIONS, Definition, PODS};
use crate::storage::{Change, Content, Entry, Event, Origin, Stale};

/// The resulting state of a write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next<'a> {
    pub(super) name: &'a str,
    /// The state that it was based on; `None` for a new object.
    pub(super) current: Option<&'a Arc<Entry>>,
    pub(super) object: &'a Value,
    pub(super) origin: Origin,
}

impl Writer {
    /// Commits a state, unless it is unchanged; or notes it, if it is reviewed first.
    pub(super) fn commit(&self, request: &Request, next: Next<'_>) -> Result<Written, Stale> {
        let Some(review) = &request.review else { return self.store(request, next) };
        let expected = next.current.map(|entry| entry.version);
        let Some(Planned { name, object: Some(object), origin, .. }) =
            review.take_admitted(expected)
        else {
            review.note(next.planned(request));
            return Ok(next.dry(request));
        };
        self.store(request, Next { name: &name, object: &object, origin, ..next })
    }

    fn store(&self, request: &Request, next: Next<'_>) -> Result<Written, Stale> {
        if request.dry_run {
            return Ok(next.dry(request));
        }
        let definition = &request.definition;
        let content = Content::new(definition, next.object, next.origin);
        if let Some(entry) = next.current.filter(|entry| content.is_of(entry)) {
            return Ok(Written::of(entry, definition));
        }
        let (key, expected) = (request.key(next.name), next.current.map(|entry| entry.version));
        let event =
            self.storage.compare_and_commit(definition.id, &key, expected, Change::Put(content))?;
        self.committed(definition, &event);
        // It is a Put: there is a state after it.
        let entry = event.current.as_ref().ok_or(Stale)?;
        Ok(Written { is_new: next.current.is_none(), ..Written::of(entry, definition) })
    }

    /// Removes an object for good; `last` is its final state, if a change leads to the removal.
    pub(super) fn remove(
        &self,
        request: &Request,
        entry: &Arc<Entry>,
        last: Option<&Value>,
    ) -> Result<(), Stale> {
        if let Some(review) = &request.review
            && review.take_admitted(Some(entry.version)).is_none()
        {
            review.note(Planned {
                name: entry.name().to_owned(),
                expected: Some(entry.version),
                object: last.cloned(),
                old: Some(entry.value(&request.definition)),
                origin: entry.origin(),
            });
            return Ok(());
        }
        if request.dry_run {
            return Ok(());
        }
        let id = request.definition.id;
        let event = self.storage.compare_and_commit(
            id,
            entry.key(),
            Some(entry.version),
            Change::Delete,
        )?;
        self.committed(&request.definition, &event);
        Ok(())
    }

    /// The immediate consequences of a change.
    fn committed(&self, definition: &Definition, event: &Event) {
        if let (CUSTOM_RESOURCE_DEFINITIONS, Some(entry)) = (definition.id, event.newest()) {
            let crd = entry.value(definition);
            let names = (text(&crd, "/spec/group"), text(&crd, "/spec/names/plural"));
            match event.current {
                Some(_) => {
                    self.registry.serve(|id| resource::of_custom_resource(&crd, id), names);
                }
                None => self.registry.withdraw(names.0, names.1),
            }
        }
        if let (PODS, None, Some(gone)) = (definition.id, &event.current, &event.previous)
            && gone.origin() != Origin::Client
        {
            self.churn.removed(gone.namespace().unwrap_or_default(), gone.name());
        }
    }
}

impl Next<'_> {
    /// The result that a commit would have.
    fn dry(self, request: &Request) -> Written {
        let content = Content::new(&request.definition, self.object, self.origin);
        let version = self.current.map_or(0, |entry| entry.version);
        let entry = content.at(request.key(self.name).into(), version);
        Written { is_new: self.current.is_none(), ..Written::only(&entry, &request.definition) }
    }

    fn planned(self, request: &Request) -> Planned {
        Planned {
            name: self.name.to_owned(),
            expected: self.current.map(|entry| entry.version),
            object: Some(self.object.clone()),
            old: self.current.map(|entry| entry.value(&request.definition)),
            origin: self.origin,
        }
    }
}
