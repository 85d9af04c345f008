//! Label and field selectors.

use watchcache::LabelSelector;

use crate::resource::Definition;
use crate::status::Failure;
use crate::storage::Entry;

/// Which objects a request is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    labels: LabelSelector,
    fields: Vec<FieldRequirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FieldRequirement {
    field: Field,
    value: String,
    equal: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    Namespace,
    /// The one in this place among the resource's selectable fields.
    Selectable(usize),
}

impl Selector {
    /// Reads both selectors as they stand in a query.
    pub(crate) fn parse(
        definition: &Definition,
        labels: &str,
        fields: &str,
    ) -> Result<Selector, Failure> {
        let labels = labels
            .parse::<LabelSelector>()
            .map_err(|why| Failure::bad_request(format!("unable to parse requirement: {why}")))?;
        let fields = parse_fields(definition, fields).map_err(Failure::bad_request)?;
        Ok(Selector { labels, fields })
    }

    /// Returns whether it selects everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_everything() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        self.labels.matches(|name: &str| entry.label(name))
            && self.fields.iter().all(|requirement| requirement.met_by(entry))
    }
}

impl FieldRequirement {
    fn met_by(&self, entry: &Entry) -> bool {
        let value = match self.field {
            Field::Name => entry.name(),
            Field::Namespace => entry.namespace().unwrap_or_default(),
            Field::Selectable(place) => entry.field(place),
        };
        (value == self.value) == self.equal
    }
}

fn parse_fields(definition: &Definition, text: &str) -> Result<Vec<FieldRequirement>, String> {
    let mut requirements = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (label, value, equal) = if let Some((label, value)) = part.split_once("!=") {
            (label, value, false)
        } else if let Some((label, value)) = part.split_once("==").or_else(|| part.split_once('='))
        {
            (label, value, true)
        } else {
            return Err(format!("invalid selector: '{text}'; can't understand '{part}'"));
        };
        let place = |label| definition.selectable.iter().position(|field| *field == label);
        let field = match label {
            "metadata.name" => Field::Name,
            "metadata.namespace" => Field::Namespace,
            label => match place(label) {
                Some(place) => Field::Selectable(place),
                None => return Err(format!("field label not supported: {label}")),
            },
        };
        requirements.push(FieldRequirement { field, value: value.to_owned(), equal });
    }
    Ok(requirements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{self, NODES, PODS, ResourceId};
    use crate::storage::{Content, Origin};
    use serde_json::json;

    fn parse(id: ResourceId, labels: &str, fields: &str) -> Result<Selector, Failure> {
        Selector::parse(&resource::builtins()[id.0], labels, fields)
    }

    fn matches(labels: &str, fields: &str) -> bool {
        let pod = json!({
            "metadata": {"labels": {"app": "web", "tier": "1", "example.com/team": "a"}},
            "spec": {"nodeName": "n1"}, "status": {"phase": "Running"},
        });
        let definition = &resource::builtins()[PODS.0];
        let entry = Content::new(definition, &pod, Origin::Client).at("ns/pod".into(), 1);
        parse(PODS, labels, fields).expect("valid").matches(&entry)
    }

    #[test]
    fn labels() {
        for met in ["", "app=web,tier>0", "example.com/team in (a)", "!absent"] {
            assert!(matches(met, ""), "{met}");
        }
        for unmet in ["app!=web", "absent", "app=web,tier=2"] {
            assert!(!matches(unmet, ""), "{unmet}");
        }
    }

    #[test]
    fn fields() {
        assert!(matches("", "metadata.name=pod,metadata.namespace==ns,spec.nodeName=n1"));
        assert!(matches("", "status.phase!=Pending"));
        assert!(!matches("", "status.phase=Pending"));
    }

    #[test]
    fn refusals() {
        assert!(parse(PODS, "app=a=b", "").is_err());
        for fields in ["spec.x=1", "metadata.name"] {
            assert!(parse(PODS, "", fields).is_err(), "{fields}");
        }
        assert!(parse(NODES, "", "spec.nodeName=x").is_err());
    }
}
