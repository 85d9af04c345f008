//! CustomResourceDefinitions that are deleted: their objects go first.

use serde_json::Value;

use super::{Controllers, LAG, Work};
use crate::object::{finalizers, is_deleting, name, text};
use crate::resource::CUSTOM_RESOURCE_DEFINITIONS;
use crate::status::Failure;
use crate::write::{CLEANUP, DeleteOptions, Request};

impl Controllers {
    pub(super) fn definition(&mut self, request: &Request, crd: &Value) -> Result<(), Failure> {
        if !is_deleting(crd) || !finalizers(crd).any(|one| one == CLEANUP) {
            return Ok(());
        }
        let (group, plural) = (text(crd, "/spec/group"), text(crd, "/spec/names/plural"));
        let all = self.writer.registry.all();
        let served = all.iter().find(|one| one.group == group && one.plural == plural);
        let (_, entries) = served.map_or((0, Vec::new()), |one| self.writer.storage.all(one.id));
        if let (Some(definition), false) = (served, entries.is_empty()) {
            for entry in &entries {
                let request = self.request(definition, entry);
                match self.writer.delete(&request, entry.name(), &DeleteOptions::default()) {
                    Err(failure) if !failure.status().is_not_found() => return Err(failure),
                    _ => {}
                }
            }
            let work = Work { resource: CUSTOM_RESOURCE_DEFINITIONS, key: name(crd).to_owned() };
            self.queue.push_after(work, LAG / 5);
            return Ok(());
        }
        self.release(request, crd, CLEANUP)
    }
}
