//! The fields that the docs name, and those that a report has.

use std::collections::BTreeSet;

use serde_json::Value;

/// The fields of a section of the page on the command's JSON.
pub(crate) fn documented(section: &str) -> BTreeSet<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/json.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let is_it = |text: &&str| {
        let title = text.lines().next().unwrap_or_default();
        title.replace('`', "") == section
    };
    let text = page.split("\n## ").find(is_it).expect("the section is there");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let names = rows.flat_map(|names| names.split(", ").map(|name| name.replace('`', "")));
    names.filter(|name| name != "kinds").collect()
}

/// Every field of a report, by its path.
pub(crate) fn fields(report: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    add("", report, &mut found);
    found
}

fn add(path: &str, value: &Value, found: &mut BTreeSet<String>) {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    match value {
        // Its names are the kinds'.
        Value::Object(_) if path.ends_with(".by_kind") => drop(found.insert(path.to_owned())),
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| add(&below(name), value, found));
        }
        Value::Array(all) if all.iter().any(Value::is_object) => {
            all.iter().for_each(|one| add(&format!("{path}[]"), one, found));
        }
        _ => drop(found.insert(path.to_owned())),
    }
}
