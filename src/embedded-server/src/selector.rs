//! Label and field selectors.

use watchcache::LabelSelector;

use crate::entry::Entry;
use crate::simulation::Resource;
use crate::status::Failure;

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
    NodeName,
    Phase,
}

impl Selector {
    /// Reads both selectors as they stand in a query.
    pub(crate) fn parse(
        resource: Resource,
        labels: &str,
        fields: &str,
    ) -> Result<Selector, Failure> {
        let labels = labels
            .parse::<LabelSelector>()
            .map_err(|why| Failure::bad_request(format!("unable to parse requirement: {why}")))?;
        let fields = parse_fields(resource, fields).map_err(Failure::bad_request)?;
        Ok(Selector { labels, fields })
    }

    /// Whether it selects everything.
    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_everything() && self.fields.is_empty()
    }

    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        let label = |name: &str| {
            entry.labels.iter().find(|(key, _)| **key == *name).map(|(_, value)| &**value)
        };
        self.labels.matches(label)
            && self.fields.iter().all(|requirement| requirement.met_by(entry))
    }
}

impl FieldRequirement {
    fn met_by(&self, entry: &Entry) -> bool {
        let value = match self.field {
            Field::Name => &*entry.name,
            Field::Namespace => entry.namespace.as_deref().unwrap_or_default(),
            Field::NodeName => &*entry.node_name,
            Field::Phase => &*entry.phase,
        };
        (value == self.value) == self.equal
    }
}

fn parse_fields(resource: Resource, text: &str) -> Result<Vec<FieldRequirement>, String> {
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
        let field = match (label, resource) {
            ("metadata.name", _) => Field::Name,
            ("metadata.namespace", _) => Field::Namespace,
            ("spec.nodeName", Resource::Pods) => Field::NodeName,
            ("status.phase", Resource::Pods | Resource::Namespaces) => Field::Phase,
            _ => return Err(format!("field label not supported: {label}")),
        };
        requirements.push(FieldRequirement { field, value: value.to_owned(), equal });
    }
    Ok(requirements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn matches(labels: &str, fields: &str) -> bool {
        let pod = json!({
            "metadata": {"labels": {"app": "web", "tier": "1", "example.com/team": "a"}},
            "spec": {"nodeName": "n1"}, "status": {"phase": "Running"},
        });
        let entry = Entry::new(Some("ns".into()), "pod".into(), &pod, 1);
        Selector::parse(Resource::Pods, labels, fields).expect("valid").matches(&entry)
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
        assert!(Selector::parse(Resource::Pods, "app=a=b", "").is_err());
        for fields in ["spec.x=1", "metadata.name"] {
            assert!(Selector::parse(Resource::Pods, "", fields).is_err(), "{fields}");
        }
        assert!(Selector::parse(Resource::Nodes, "", "spec.nodeName=x").is_err());
    }
}
