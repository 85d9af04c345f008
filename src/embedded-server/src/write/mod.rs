//! Writing objects, as the API's machinery does it: decode, prepare, default, validate, and commit unless
//! another writer was faster.

mod binding;
mod commit;
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
use crate::object::{array, finalizers, is_deleting};
use crate::patch::managed::Manager;
use crate::resource::{Definition, NAMESPACES, Registry};
use crate::status::Failure;
use crate::storage::{self, Entry, Origin, Storage};

use commit::Next;

pub(crate) use delete::{DeleteOptions, Deleted, FOREGROUND, ORPHAN, Propagation};
pub(crate) use prepare::{CLEANUP, uid};
pub(crate) use review::{Planned, Review};
pub(crate) use update::Part;

/// How often a change that does not insist on a version is retried when others are faster.
const TRIES: usize = 32;

/// Everything that a write needs.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) storage: Arc<Storage>,
    pub(crate) registry: Arc<Registry>,
    churn: Arc<Churn>,
    defaults: defaults::Addresses,
}

/// The subject of a write, and its terms.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) definition: Arc<Definition>,
    pub(crate) namespace: Option<String>,
    /// Everything is done except the commit.
    pub(crate) dry_run: bool,
    /// The owner of the fields that change.
    pub(crate) manager: String,
    pub(crate) unknown_fields: UnknownFields,
    /// Set if the write is reviewed first.
    pub(crate) review: Option<Arc<Review>>,
}

/// What happens to fields that the object's type does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum UnknownFields {
    #[default]
    Dropped,
    /// Dropped, with a warning to the client.
    Warned,
    Refused,
}

/// An object as it was written, or would have been.
#[derive(Debug)]
pub(crate) struct Written {
    /// Where it is stored as it is here.
    pub(crate) stored: Option<Arc<Entry>>,
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

    /// Returns whether a successful write of it has changed anything.
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

    /// Objects are created only in namespaces that exist and are not being deleted.
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
    fn of(entry: &Arc<Entry>, definition: &Definition) -> Written {
        Written { stored: Some(Arc::clone(entry)), ..Written::only(entry, definition) }
    }

    /// Of what is not stored.
    fn only(entry: &Entry, definition: &Definition) -> Written {
        Written {
            stored: None,
            json: entry.json(definition),
            version: entry.version,
            is_new: false,
            warnings: Vec::new(),
        }
    }

    /// The object as a tree.
    pub(crate) fn value(&self) -> Value {
        serde_json::from_slice(&self.json).unwrap_or_else(|error| {
            unreachable!("it was serialised here, and is not deep: {error}")
        })
    }
}

/// Returns whether finalizers keep an object from being removed.
fn is_held(definition: &Definition, object: &Value) -> bool {
    finalizers(object).next().is_some()
        || (definition.id == NAMESPACES && !array(object, "/spec/finalizers").is_empty())
}

/// The origin of an object once a client has changed it.
fn origin_after(current: &Entry) -> Origin {
    match current.origin() {
        Origin::Simulation | Origin::Touched => Origin::Touched,
        Origin::Client => Origin::Client,
    }
}

/// A random suffix, as the server adds to `generateName`.
pub(crate) fn suffix(length: usize) -> String {
    use rand::Rng;
    // No vowels and no digits that resemble one: so no accidental words.
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut random = rand::rng();
    (0..length).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect()
}
