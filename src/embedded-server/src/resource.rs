//! What the API says about each resource: its names, its group, its scope.

use crate::simulation::Resource;

/// Every resource served, in the order of [`index`].
pub(crate) const ALL: [Resource; 6] = [
    Resource::Pods,
    Resource::Nodes,
    Resource::Services,
    Resource::EndpointSlices,
    Resource::ConfigMaps,
    Resource::Namespaces,
];

/// The place of a resource in arrays that hold one thing per resource.
pub(crate) const fn index(resource: Resource) -> usize {
    match resource {
        Resource::Pods => 0,
        Resource::Nodes => 1,
        Resource::Services => 2,
        Resource::EndpointSlices => 3,
        Resource::ConfigMaps => 4,
        Resource::Namespaces => 5,
    }
}

/// The static description of a resource.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) plural: &'static str,
    pub(crate) singular: &'static str,
    pub(crate) kind: &'static str,
    /// Empty for the core group.
    pub(crate) group: &'static str,
    pub(crate) namespaced: bool,
    pub(crate) short_names: &'static [&'static str],
    pub(crate) categories: &'static [&'static str],
}

impl Description {
    /// `v1` or `group/v1`.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { "v1".to_owned() } else { format!("{}/v1", self.group) }
    }

    /// The name error messages use: `pods`, or `endpointslices.discovery.k8s.io`.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }
}

/// The description of `resource`.
pub(crate) const fn describe(resource: Resource) -> &'static Description {
    match resource {
        Resource::Pods => &Description {
            plural: "pods",
            singular: "pod",
            kind: "Pod",
            group: "",
            namespaced: true,
            short_names: &["po"],
            categories: &["all"],
        },
        Resource::Nodes => &Description {
            plural: "nodes",
            singular: "node",
            kind: "Node",
            group: "",
            namespaced: false,
            short_names: &["no"],
            categories: &[],
        },
        Resource::Services => &Description {
            plural: "services",
            singular: "service",
            kind: "Service",
            group: "",
            namespaced: true,
            short_names: &["svc"],
            categories: &["all"],
        },
        Resource::EndpointSlices => &Description {
            plural: "endpointslices",
            singular: "endpointslice",
            kind: "EndpointSlice",
            group: "discovery.k8s.io",
            namespaced: true,
            short_names: &[],
            categories: &[],
        },
        Resource::ConfigMaps => &Description {
            plural: "configmaps",
            singular: "configmap",
            kind: "ConfigMap",
            group: "",
            namespaced: true,
            short_names: &["cm"],
            categories: &[],
        },
        Resource::Namespaces => &Description {
            plural: "namespaces",
            singular: "namespace",
            kind: "Namespace",
            group: "",
            namespaced: false,
            short_names: &["ns"],
            categories: &[],
        },
    }
}

/// The resource that `plural` names in `group`.
pub(crate) fn find(group: &str, plural: &str) -> Option<Resource> {
    ALL.into_iter().find(|&resource| {
        let description = describe(resource);
        description.group == group && description.plural == plural
    })
}
