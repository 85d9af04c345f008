//! The definitions that a CustomResourceDefinition stands for: one for each served version.

use serde_json::Value;

use super::{Definition, PrinterColumn, Renamed, ResourceId, Scale, Schema, Types};
use crate::object::{array, text};
use crate::storage::Dictionary;

/// The definitions in `crd`. It has been validated: anything that is still missing is left empty.
pub(crate) fn definitions(crd: &Value, id: ResourceId) -> Vec<Definition> {
    array(crd, "/spec/versions")
        .iter()
        .filter(|version| version["served"] == true)
        .map(|version| definition(crd, version, id))
        .collect()
}

fn definition(crd: &Value, version: &Value, id: ResourceId) -> Definition {
    let named = |pointer: &str| text(crd, pointer).to_owned();
    let all = |pointer: &str| {
        array(crd, pointer)
            .iter()
            .filter_map(Value::as_str)
            .map(|one| one.to_owned().into())
            .collect()
    };
    let kind = named("/spec/names/kind");
    let or = |text: String, default: String| if text.is_empty() { default } else { text };
    Definition {
        id,
        group: named("/spec/group").into(),
        version: text(version, "/name").to_owned().into(),
        plural: named("/spec/names/plural").into(),
        singular: or(named("/spec/names/singular"), kind.to_lowercase()).into(),
        list_kind: or(named("/spec/names/listKind"), format!("{kind}List")).into(),
        kind: kind.into(),
        namespaced: text(crd, "/spec/scope") == "Namespaced",
        short_names: all("/spec/names/shortNames"),
        categories: all("/spec/names/categories"),
        selectable: &[],
        renamed: Renamed::default(),
        has_status: version.pointer("/subresources/status").is_some(),
        unconditional_update: false,
        scale: version.pointer("/subresources/scale").map(scale),
        types: Types::Custom {
            schema: Schema::new(version.pointer("/schema/openAPIV3Schema").cloned()),
            columns: array(version, "/additionalPrinterColumns").iter().map(column).collect(),
        },
        dictionary: Dictionary::default(),
        messages: Dictionary::default(),
    }
}

fn scale(scale: &Value) -> Scale {
    // `.spec.replicas`, a path that only descends into objects.
    let pointer = |field: &str| scale[field].as_str().map(|path| path.replace('.', "/").into());
    Scale {
        spec_replicas: pointer("specReplicasPath").unwrap_or_default(),
        status_replicas: pointer("statusReplicasPath").unwrap_or_default(),
        selector: pointer("labelSelectorPath"),
    }
}

fn column(column: &Value) -> PrinterColumn {
    let text = |field: &str| text(column, field).to_owned();
    PrinterColumn {
        name: text("/name"),
        value_type: text("/type"),
        format: text("/format"),
        description: text("/description"),
        priority: column["priority"].as_i64().unwrap_or(0),
        json_path: text("/jsonPath"),
    }
}
