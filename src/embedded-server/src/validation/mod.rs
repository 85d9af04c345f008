//! Whether an object may be stored, and which of its fields are invalid.

mod causes;
mod custom;
mod definition;
mod event;
mod metadata;
mod names;
mod pod;
mod service;
mod small;
mod workload;

use serde_json::Value;
use watchcache::status::StatusCause;

use crate::resource::{
    CONFIG_MAPS, CUSTOM_RESOURCE_DEFINITIONS, DEPLOYMENTS, Definition, ENDPOINT_SLICES, EVENTS,
    LEASES, NAMESPACES, NODES, PODS, REPLICA_SETS, SERVICES, Types,
};
use causes::Causes;

pub(crate) use custom::{default, prune};

/// The faults of a new object.
pub(crate) fn new(definition: &Definition, object: &Value) -> Vec<StatusCause> {
    let mut causes = Causes::default();
    metadata::new(definition, object, &mut causes);
    content(definition, object, &mut causes);
    if definition.id == EVENTS {
        event::new(definition, object, &mut causes);
    }
    causes.into()
}

/// The faults of an object that replaces another one.
pub(crate) fn update(definition: &Definition, new: &Value, old: &Value) -> Vec<StatusCause> {
    let mut causes = Causes::default();
    metadata::update(new, old, &mut causes);
    content(definition, new, &mut causes);
    match definition.id {
        PODS => pod::update(new, old, &mut causes),
        SERVICES => service::update(new, old, &mut causes),
        CONFIG_MAPS => small::config_map_update(new, old, &mut causes),
        EVENTS => event::update(definition, new, old, &mut causes),
        DEPLOYMENTS | REPLICA_SETS => workload::update(new, old, &mut causes),
        CUSTOM_RESOURCE_DEFINITIONS => definition::update(new, old, &mut causes),
        _ => {}
    }
    causes.into()
}

fn content(definition: &Definition, object: &Value, causes: &mut Causes) {
    if let Types::Custom { schema, .. } = &definition.types {
        custom::validate(schema, object, causes);
        if let Some(scale) = &definition.scale {
            custom::validate_scale(scale, object, causes);
        }
        return;
    }
    match definition.id {
        PODS => pod::new(object, causes),
        SERVICES => service::new(object, causes),
        ENDPOINT_SLICES => service::slice(object, causes),
        CONFIG_MAPS => small::config_map(object, causes),
        NODES => small::node(object, causes),
        NAMESPACES | EVENTS => {}
        LEASES => small::lease(object, causes),
        DEPLOYMENTS | REPLICA_SETS => workload::new(object, causes),
        CUSTOM_RESOURCE_DEFINITIONS => definition::new(object, causes),
        _ => {}
    }
}
