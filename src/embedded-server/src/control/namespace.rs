//! Namespaces that are deleted: their content goes first.

use serde_json::{Value, json};

use super::{Controllers, LAG, Work};
use crate::object::{is_deleting, name};
use crate::resource::NAMESPACES;
use crate::status::Failure;
use crate::write::{DeleteOptions, Part, Request};

impl Controllers {
    pub(super) fn namespace(
        &mut self,
        request: &Request,
        namespace: &Value,
    ) -> Result<(), Failure> {
        if !is_deleting(namespace) {
            return Ok(());
        }
        let name = name(namespace);
        let mut is_empty = true;
        let all = self.writer.registry.all();
        for definition in all.iter().filter(|one| one.namespaced) {
            let request = Request::new(definition, Some(name), &request.manager);
            for entry in self.writer.storage.in_namespace(definition.id, name) {
                is_empty = false;
                match self.writer.delete(&request, entry.name(), &DeleteOptions::default()) {
                    Err(failure) if !failure.status().is_not_found() => return Err(failure),
                    _ => {}
                }
            }
        }
        if !is_empty {
            // Until what has just been deleted is gone.
            let work = Work { resource: NAMESPACES, key: name.to_owned() };
            self.queue.push_after(work, LAG / 5);
            return Ok(());
        }
        self.writer.change(request, name, Part::All, |namespace| {
            let mut namespace = namespace.clone();
            namespace["spec"] = json!({});
            Ok(namespace)
        })?;
        Ok(())
    }
}
