//! Writing objects, as the API's machinery does it: decode, prepare, default, validate, and commit
//! provided that nobody was faster.

mod binding;
mod create;
mod decode;
mod defaults;
mod delete;
mod prepare;
mod review;
pub(crate) mod scale;
mod update;

use std::sync::Arc;

use serde_json::Value;

use crate::churn::Churn;
use crate::object::{array, finalizers, is_deleting, text};
use crate::patch::managed::Manager;
use crate::resource::{self, CUSTOM_RESOURCE_DEFINITIONS, Definition, NAMESPACES, PODS, Registry};
use crate::status::Failure;
use crate::storage::{self, Change, Content, Entry, Event, Origin, Stale, Storage};

pub(crate) use delete::{DeleteOptions, Deleted, FOREGROUND, ORPHAN, Propagation};
pub(crate) use prepare::{CLEANUP, uid};
pub(crate) use review::{Planned, Review};
pub(crate) use update::Part;

/// How often a change that does not insist on a version is tried again when others are faster.
const TRIES: usize = 32;

/// Everything that a write needs.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) storage: Arc<Storage>,
    pub(crate) registry: Arc<Registry>,
    churn: Arc<Churn>,
    defaults: defaults::Addresses,
}

/// What a write is about, and on which terms it is done.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) definition: Arc<Definition>,
    pub(crate) namespace: Option<String>,
    /// Everything is done but for the commit.
    pub(crate) dry_run: bool,
    /// Who owns the fields that change.
    pub(crate) manager: String,
    pub(crate) unknown_fields: UnknownFields,
    /// Set where somebody else is asked first.
    pub(crate) review: Option<Arc<Review>>,
}

/// What becomes of fields that the object's type does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum UnknownFields {
    #[default]
    Dropped,
    /// Dropped, and the client is told.
    Warned,
    Refused,
}

/// An object as it was written, or would have been.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) json: Vec<u8>,
    pub(crate) version: u64,
    pub(crate) is_new: bool,
    pub(crate) warnings: Vec<String>,
}

impl Request {
    /// A write of the server's own, on its usual terms.
    pub(crate) fn new(
        definition: &Arc<Definition>,
        namespace: Option<&str>,
        manager: &str,
    ) -> Request {
        Request {
            definition: Arc::clone(definition),
            namespace: namespace.map(ToOwned::to_owned),
            dry_run: false,
            manager: manager.to_owned(),
            unknown_fields: UnknownFields::Dropped,
            review: None,
        }
    }

    /// Whether a write of it that went well has changed anything.
    fn is_committed(&self) -> bool {
        !self.dry_run && self.review.as_ref().is_none_or(|review| review.noted().is_none())
    }

    fn key(&self, name: &str) -> String {
        storage::key(self.namespace.as_deref(), name)
    }

    fn manager<'a>(&'a self, subresource: Option<&'a str>) -> Manager<'a> {
        Manager { name: &self.manager, subresource }
    }
}

impl Writer {
    pub(crate) fn new(storage: Arc<Storage>, registry: Arc<Registry>, churn: Arc<Churn>) -> Writer {
        Writer { storage, registry, churn, defaults: defaults::Addresses::default() }
    }

    /// The newest state of an object.
    pub(crate) fn get(&self, request: &Request, name: &str) -> Result<Arc<Entry>, Failure> {
        self.storage
            .get(request.definition.id, &request.key(name))
            .ok_or_else(|| Failure::object_not_found(&request.definition, name))
    }

    /// Commits an object in place of `current`, or as a new one; nothing when it is the same.
    fn commit(
        &self,
        request: &Request,
        name: &str,
        current: Option<&Arc<Entry>>,
        object: &Value,
        origin: Origin,
    ) -> Result<Written, Stale> {
        let expected = current.map(|entry| entry.version);
        if let Some(review) = &request.review {
            let Some(Planned { name, object: Some(object), origin, .. }) =
                review.take_admitted(expected)
            else {
                review.note(self.plan(request, name, current, Some(object), origin));
                return Ok(self.dry(request, name, current, object, origin));
            };
            return self.store(request, &name, current, &object, origin);
        }
        self.store(request, name, current, object, origin)
    }

    fn store(
        &self,
        request: &Request,
        name: &str,
        current: Option<&Arc<Entry>>,
        object: &Value,
        origin: Origin,
    ) -> Result<Written, Stale> {
        if request.dry_run {
            return Ok(self.dry(request, name, current, object, origin));
        }
        let definition = &request.definition;
        let content = Content::new(definition, object, origin);
        if let Some(entry) = current.filter(|entry| content.is_of(entry)) {
            return Ok(Written::of(entry, definition));
        }
        let (key, expected) = (request.key(name), current.map(|entry| entry.version));
        let event =
            self.storage.compare_and_commit(definition.id, &key, expected, Change::Put(content))?;
        self.committed(definition, &event);
        // It is a Put: there is a state after it.
        let entry = event.current.as_ref().ok_or(Stale)?;
        Ok(Written { is_new: current.is_none(), ..Written::of(entry, definition) })
    }

    /// What a commit would give.
    fn dry(
        &self,
        request: &Request,
        name: &str,
        current: Option<&Arc<Entry>>,
        object: &Value,
        origin: Origin,
    ) -> Written {
        let content = Content::new(&request.definition, object, origin);
        let version = current.map_or(0, |entry| entry.version);
        let entry = content.at(request.key(name).into(), version);
        Written { is_new: current.is_none(), ..Written::of(&entry, &request.definition) }
    }

    fn plan(
        &self,
        request: &Request,
        name: &str,
        current: Option<&Arc<Entry>>,
        object: Option<&Value>,
        origin: Origin,
    ) -> Planned {
        Planned {
            name: name.to_owned(),
            expected: current.map(|entry| entry.version),
            object: object.cloned(),
            old: current.map(|entry| entry.value(&request.definition)),
            origin,
        }
    }

    /// Removes an object for good; `last` is its state then, if a change brings that about.
    fn remove(
        &self,
        request: &Request,
        entry: &Arc<Entry>,
        last: Option<&Value>,
    ) -> Result<(), Stale> {
        if let Some(review) = &request.review
            && review.take_admitted(Some(entry.version)).is_none()
        {
            review.note(self.plan(request, entry.name(), Some(entry), last, entry.origin()));
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

    /// What follows from a change at once.
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

    /// Objects come into namespaces that are there, and stay.
    fn check_namespace(&self, request: &Request, name: &str) -> Result<(), Failure> {
        let Some(namespace) = &request.namespace else { return Ok(()) };
        // The definition of Namespaces is built in.
        let Some(namespaces) = self.registry.by_id(NAMESPACES) else { return Ok(()) };
        let Some(entry) = self.storage.get(NAMESPACES, namespace) else {
            return Err(Failure::object_not_found(&namespaces, namespace));
        };
        if is_deleting(&entry.value(&namespaces)) {
            let why = format!(
                "unable to create new content in namespace {namespace} because it is being terminated"
            );
            return Err(Failure::forbidden(&request.definition, name, &why));
        }
        Ok(())
    }
}

impl Written {
    fn of(entry: &Entry, definition: &Definition) -> Written {
        Written {
            json: entry.json(definition),
            version: entry.version,
            is_new: false,
            warnings: Vec::new(),
        }
    }

    /// The object as a tree.
    pub(crate) fn value(&self) -> Value {
        // It was serialised here: it always parses.
        serde_json::from_slice(&self.json).unwrap_or_default()
    }
}

/// Whether finalizers keep an object from being removed.
fn is_held(definition: &Definition, object: &Value) -> bool {
    finalizers(object).next().is_some()
        || (definition.id == NAMESPACES && !array(object, "/spec/finalizers").is_empty())
}

/// Who has written an object once a client has changed it.
fn origin_after(current: &Entry) -> Origin {
    match current.origin() {
        Origin::Simulation | Origin::Touched => Origin::Touched,
        Origin::Client => Origin::Client,
    }
}

/// A random suffix, as the server adds to `generateName`.
pub(crate) fn suffix(length: usize) -> String {
    use rand::Rng;
    // No vowels and no digits that look like one: so no accidental words.
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut random = rand::rng();
    (0..length).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect()
}
