//! Finds a resource by any of the names that kubectl takes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIResource, APIResourceList};
use kube::Client;
use kube::api::ApiResource;

use crate::connect::explain;
use crate::failure::Failure;

/// A resource that can be mirrored.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) resource: ApiResource,
    pub(crate) namespaced: bool,
}

/// What the user wrote: `deployments`, `deployments.apps` or `deployments.v1.apps`.
struct Wanted<'a> {
    name: &'a str,
    group: Option<&'a str>,
}

/// Looks through the core group, then through the other groups in the server's order, as kubectl
/// does.
pub(crate) async fn find(client: &Client, url: &str, text: &str) -> Result<Found, Failure> {
    let (name, group) = match text.split_once('.') {
        Some((name, group)) => (name, Some(group)),
        None => (text, None),
    };
    let wanted = Wanted { name, group };
    if group.is_none_or(|group| group == "v1") {
        let core = client.list_core_api_resources("v1").await;
        let core = core.map_err(|error| explain(url, &error))?;
        if let Some(found) = wanted.find(&core, url)? {
            return Ok(found);
        }
    }
    let groups = client.list_api_groups().await.map_err(|error| explain(url, &error))?;
    for group in groups.groups {
        let preferred = group.preferred_version.as_ref().or(group.versions.first());
        let versions = preferred.into_iter().chain(&group.versions);
        // The version goes before the group in kubectl's longest form.
        let version = versions.into_iter().find(|version| {
            wanted.group.is_none_or(|wanted| {
                wanted == group.name || wanted == format!("{}.{}", version.version, group.name)
            })
        });
        let Some(version) = version else { continue };
        match client.list_api_group_resources(&version.group_version).await {
            Ok(resources) => {
                if let Some(found) = wanted.find(&resources, url)? {
                    return Ok(found);
                }
            }
            // An aggregated API whose server is down must not hide the others.
            Err(error) => tracing::warn!(group = group.name, %error, "discovery failed"),
        }
    }
    Err(Failure::run(format!("the server at {url} has no resource \"{text}\""))
        .advise(format!("`kubectl --server {url} api-resources` lists what it has")))
}

impl Wanted<'_> {
    fn find(&self, list: &APIResourceList, url: &str) -> Result<Option<Found>, Failure> {
        let Some(found) = list.resources.iter().find(|resource| self.is(resource)) else {
            return Ok(None);
        };
        let offers = |verb: &str| found.verbs.iter().any(|offered| offered == verb);
        if let Some(verb) = ["list", "watch"].into_iter().find(|verb| !offers(verb)) {
            return Err(Failure::run(format!("\"{}\" cannot be mirrored: no {verb}", found.name))
                .advise(format!("`kubectl --server {url} api-resources --verbs=list,watch`")));
        }
        let (group, version) =
            list.group_version.split_once('/').unwrap_or(("", &list.group_version));
        Ok(Some(Found {
            resource: ApiResource {
                group: group.to_owned(),
                version: version.to_owned(),
                api_version: list.group_version.clone(),
                kind: found.kind.clone(),
                plural: found.name.clone(),
            },
            namespaced: found.namespaced,
        }))
    }

    fn is(&self, resource: &APIResource) -> bool {
        let is = |name: &str| name.eq_ignore_ascii_case(self.name);
        // A name with a slash is a subresource.
        !resource.name.contains('/')
            && (is(&resource.name)
                || is(&resource.singular_name)
                || is(&resource.kind)
                || resource.short_names.iter().flatten().any(|name| is(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> APIResourceList {
        let resource = |name: &str, verbs: &[&str]| APIResource {
            name: name.to_owned(),
            singular_name: "deployment".to_owned(),
            kind: "Deployment".to_owned(),
            namespaced: true,
            short_names: Some(vec!["deploy".to_owned()]),
            verbs: verbs.iter().map(|&verb| verb.to_owned()).collect(),
            ..APIResource::default()
        };
        APIResourceList {
            group_version: "apps/v1".to_owned(),
            resources: vec![
                resource("deployments/status", &["get"]),
                resource("deployments", &["get", "list", "watch"]),
            ],
        }
    }

    #[test]
    fn finds_a_resource_by_each_of_its_names() {
        for name in ["deployments", "deployment", "Deployment", "deploy", "DEPLOY"] {
            let found = Wanted { name, group: None }.find(&list(), "").ok().flatten();
            let found = found.expect(name).resource;
            assert_eq!(
                (&*found.group, &*found.version, &*found.plural),
                ("apps", "v1", "deployments")
            );
        }
        assert!(Wanted { name: "dep", group: None }.find(&list(), "").ok().flatten().is_none());
    }

    #[test]
    fn refuses_what_cannot_be_watched() {
        let mut list = list();
        list.resources[1].verbs.pop();
        assert!(Wanted { name: "deploy", group: None }.find(&list, "").is_err());
    }
}
