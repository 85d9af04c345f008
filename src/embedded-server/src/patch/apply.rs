//! Server-side apply: the fields that a manager wants, and no others of its own.

use serde_json::{Value, json};
use watchcache::Status;
use watchcache::status::{CauseType, StatusCause, StatusDetails, StatusReason};

use super::field_set::{FieldSet, display, lookup};
use super::managed::{self, Managed, Manager, ownable};
use super::shape::Shape;
use super::strategic;
use crate::object::{array, name};
use crate::resource::Definition;
use crate::status::Failure;

/// The result of applying a configuration. `force` takes fields from their owners.
pub(crate) fn apply(
    definition: &Definition,
    current: Option<&Value>,
    applied: &Value,
    manager: Manager<'_>,
    force: bool,
) -> Result<Value, Failure> {
    if !array(applied, "/metadata/managedFields").is_empty() {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    let shape = Shape::of(definition);
    let wanted = ownable(applied);
    let set = FieldSet::of(&wanted, shape);
    let empty = json!({});
    let live = current.unwrap_or(&empty);
    let mut managers = managed::read(live);

    let mut conflicts = Vec::new();
    for other in managers.iter_mut().filter(|one| !one.is_of(manager, true)) {
        let mut taken = FieldSet::default();
        for path in other.fields.intersection(&set).leaves() {
            if lookup(live, shape, &path) != lookup(&wanted, shape, &path) {
                conflicts.push(conflict(other, &path));
                taken.union(&single(&path));
            }
        }
        if force {
            other.fields.subtract(&taken);
        }
    }
    if !conflicts.is_empty() && !force {
        return Err(refused(definition, name(applied), conflicts));
    }

    let own = managers.iter().position(|one| one.is_of(manager, true));
    let mut gone = own.map_or_else(FieldSet::default, |own| managers[own].fields.clone());
    gone.subtract(&set);
    for other in managers.iter().filter(|one| !one.is_of(manager, true)) {
        gone.subtract(&other.fields);
    }
    let mut object = live.clone();
    gone.remove_from(&mut object, shape);
    strategic::merge(&mut object, applied, shape).map_err(Failure::bad_request)?;

    let place = own.unwrap_or_else(|| {
        managers.push(Managed::new(manager, true, definition));
        managers.len() - 1
    });
    if managers[place].fields != set
        || current.is_some_and(|current| ownable(current) != ownable(&object))
    {
        managers[place].fields = set;
        managers[place].touch();
    }
    managed::write(&mut object, managers);
    Ok(object)
}

/// The set of one path.
fn single(path: &[String]) -> FieldSet {
    let tree = path.iter().rev().fold(json!({}), |below, step| json!({step: below}));
    FieldSet::from_json(&tree)
}

fn conflict(owner: &Managed, path: &[String]) -> StatusCause {
    let message = format!("conflict with {:?}", owner.manager);
    StatusCause::new(CauseType::FieldManagerConflict, message).with_field(display(path))
}

fn refused(definition: &Definition, name: &str, conflicts: Vec<StatusCause>) -> Failure {
    let count = conflicts.len();
    let fields: Vec<_> =
        conflicts.iter().map(|one| format!("{}: {}", one.message(), one.field())).collect();
    let message = format!(
        "Apply failed with {count} conflict{}: {}",
        if count == 1 { "" } else { "s" },
        fields.join(", ")
    );
    let details =
        StatusDetails::new(&*definition.group, &*definition.plural, name).with_causes(conflicts);
    Status::failure(StatusReason::Conflict, message).with_details(details).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{self, CONFIG_MAPS, DEPLOYMENTS, ResourceId};

    fn applied(
        id: ResourceId,
        current: Option<&Value>,
        config: &Value,
        who: &str,
        force: bool,
    ) -> Result<Value, Failure> {
        let manager = Manager { name: who, subresource: None };
        apply(&resource::builtins()[id.0], current, config, manager, force)
    }

    #[test]
    fn what_is_not_applied_any_more_goes() {
        let first =
            json!({"metadata": {"name": "a", "labels": {"x": "1"}}, "data": {"a": "1", "b": "2"}});
        let mut object = applied(CONFIG_MAPS, None, &first, "me", false).expect("new");
        // Owned by another manager.
        object["data"]["c"] = "3".into();
        let second = json!({"metadata": {"name": "a"}, "data": {"a": "9"}});
        let object = applied(CONFIG_MAPS, Some(&object), &second, "me", false).expect("one owner");
        assert_eq!(object["data"], json!({"a": "9", "c": "3"}));
        assert!(object["metadata"].get("labels").is_none());
        assert_eq!(
            object["metadata"]["managedFields"][0]["fieldsV1"],
            json!({"f:data": {"f:a": {}}})
        );
    }

    #[test]
    fn elements_go_with_their_owner() {
        let container = |name: &str| json!({"name": name, "image": "i"});
        let config = |containers: &[Value]| json!({"metadata": {"name": "a"}, "spec": {"template": {"spec": {"containers": containers}}}});
        let object =
            applied(DEPLOYMENTS, None, &config(&[container("a"), container("b")]), "me", false)
                .expect("new");
        let object = applied(DEPLOYMENTS, Some(&object), &config(&[container("b")]), "me", false)
            .expect("one owner");
        assert_eq!(object["spec"]["template"]["spec"]["containers"], json!([container("b")]));
    }

    #[test]
    fn others_fields_are_theirs() {
        let one = json!({"metadata": {"name": "a"}, "data": {"a": "1"}});
        let object = applied(CONFIG_MAPS, None, &one, "me", false).expect("new");
        // The same value is shared.
        let shared = applied(CONFIG_MAPS, Some(&object), &one, "you", false).expect("no conflict");
        let other = json!({"metadata": {"name": "a"}, "data": {"a": "2"}});
        let refused =
            applied(CONFIG_MAPS, Some(&shared), &other, "you", false).expect_err("it is mine, too");
        assert!(refused.status().is_conflict());
        assert_eq!(refused.status().causes()[0].field(), ".data.a");
        let forced = applied(CONFIG_MAPS, Some(&shared), &other, "you", true).expect("forced");
        assert_eq!(forced["data"]["a"], "2");
        let owners: Vec<_> = managed::read(&forced).into_iter().map(|one| one.manager).collect();
        assert_eq!(owners, ["you"]);
    }
}
