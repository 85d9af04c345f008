//! What a path names.

use std::sync::Arc;

use crate::resource::{Definition, NAMESPACES, PODS, Registry};
use crate::storage;

/// Which objects a request is about.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) definition: Arc<Definition>,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<Subresource>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subresource {
    Status,
    Scale,
    /// Of a Pod: to a Node.
    Binding,
    /// Of a Namespace: its spec's finalizers.
    Finalize,
}

impl Target {
    /// Reads `/api/v1/...` and `/apis/{group}/{version}/...`.
    pub(crate) fn of(path: &[&str], registry: &Registry) -> Option<Target> {
        let (group, version, rest) = match path {
            ["api", "v1", rest @ ..] => ("", "v1", rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let find = |plural: &str| registry.find(group, version, plural);
        let (namespace, plural, name, subresource) = match rest {
            ["namespaces", name, part @ ("status" | "finalize")] if group.is_empty() => {
                (None, "namespaces", Some(*name), Some(*part))
            }
            ["namespaces", namespace, plural, rest @ ..] => {
                let (name, subresource) = name_and_subresource(rest)?;
                (Some(*namespace), *plural, name, subresource)
            }
            [plural, rest @ ..] => {
                let (name, subresource) = name_and_subresource(rest)?;
                (None, *plural, name, subresource)
            }
            [] => return None,
        };
        let definition = find(plural)?;
        // A namespaced object has no name outside a namespace; a cluster's object is in none.
        let is_out_of_place = match definition.namespaced {
            true => namespace.is_none() && name.is_some(),
            false => namespace.is_some(),
        };
        if is_out_of_place {
            return None;
        }
        let subresource = match subresource {
            Some(part) => Some(Subresource::of(&definition, part)?),
            None => None,
        };
        Some(Target {
            definition,
            namespace: namespace.map(ToString::to_string),
            name: name.map(ToString::to_string),
            subresource,
        })
    }

    /// Whether what a request is about has a schema in protobuf: objects of custom resources have none,
    /// their Scales have one.
    pub(crate) fn has_schema(&self) -> bool {
        !self.definition.is_custom() || self.subresource == Some(Subresource::Scale)
    }

    /// The API version and the kind of what a request is about.
    pub(crate) fn of_type(&self) -> (String, &str) {
        match self.subresource {
            Some(Subresource::Scale) => ("autoscaling/v1".to_owned(), "Scale"),
            Some(Subresource::Binding) => ("v1".to_owned(), "Binding"),
            _ => (self.definition.api_version(), &self.definition.kind),
        }
    }

    pub(crate) fn key(&self, name: &str) -> String {
        storage::key(self.namespace.as_deref(), name)
    }
}

fn name_and_subresource<'a>(rest: &[&'a str]) -> Option<(Option<&'a str>, Option<&'a str>)> {
    match rest {
        [] => Some((None, None)),
        [name] => Some((Some(name), None)),
        [name, subresource] => Some((Some(name), Some(subresource))),
        _ => None,
    }
}

impl Subresource {
    fn of(definition: &Definition, name: &str) -> Option<Subresource> {
        Some(match name {
            "status" if definition.has_status => Subresource::Status,
            "scale" if definition.scale.is_some() => Subresource::Scale,
            "binding" if definition.id == PODS => Subresource::Binding,
            "finalize" if definition.id == NAMESPACES => Subresource::Finalize,
            _ => return None,
        })
    }
}
