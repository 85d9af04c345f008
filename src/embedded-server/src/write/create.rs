//! New objects.

use serde_json::Value;

use super::{Next, Request, Writer, Written, decode, defaults, prepare, suffix};
use crate::object::{metadata, name, text};
use crate::patch::managed;
use crate::status::Failure;
use crate::storage::Origin;
use crate::validation;

/// How often another name is tried for `generateName`.
const NAMES: usize = 8;

impl Writer {
    /// Creates an object.
    pub(crate) fn create(&self, request: &Request, object: Value) -> Result<Written, Failure> {
        self.create_owned(request, object, true)
    }

    /// Creates an object whose managed fields are written already, or not at all.
    pub(super) fn create_owned(
        &self,
        request: &Request,
        object: Value,
        tracks: bool,
    ) -> Result<Written, Failure> {
        let definition = &request.definition;
        let (mut object, warnings) = decode::decode(request, object)?;
        decode::check_namespace(request, &object)?;
        if !text(&object, "/metadata/resourceVersion").is_empty() {
            return Err(Failure::bad_request(
                "resourceVersion should not be set on objects to be created",
            ));
        }
        let generate = text(&object, "/metadata/generateName").to_owned();
        let is_generated = name(&object).is_empty() && !generate.is_empty();
        let managers = object.pointer("/metadata/managedFields").cloned();
        prepare::for_create(definition, request.namespace.as_deref(), &mut object);
        defaults::fill(definition, &mut object, &self.defaults);
        if is_generated {
            // Before it is validated; another one may be tried below.
            metadata(&mut object).insert("name".to_owned(), generated(&generate).into());
        }
        let named = name(&object).to_owned();
        let causes = validation::new(definition, &object);
        if !causes.is_empty() {
            return Err(Failure::invalid(definition, &named, causes));
        }
        self.check_namespace(request, &named)?;
        if tracks {
            managed::updated(definition, None, &mut object, request.manager(None));
        } else if let Some(managers) = managers {
            metadata(&mut object).insert("managedFields".to_owned(), managers);
        }
        // Managed fields go deeper than what they are of.
        decode::check_depth(definition, &object)?;
        for _ in 0..NAMES {
            let name = name(&object).to_owned();
            let is_taken = self.storage.get(definition.id, &request.key(&name)).is_some();
            let next = Next { name: &name, current: None, object: &object, origin: Origin::Client };
            if !is_taken && let Ok(written) = self.commit(request, next) {
                return Ok(Written { warnings, ..written });
            }
            if !is_generated {
                break;
            }
            metadata(&mut object).insert("name".to_owned(), generated(&generate).into());
        }
        Err(Failure::already_exists(definition, name(&object)))
    }
}

/// The prefix is cut so that a name of 63 characters comes out.
fn generated(prefix: &str) -> String {
    let cut =
        prefix.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= 58).last();
    format!("{}{}", &prefix[..cut.unwrap_or(0)], suffix(5))
}
