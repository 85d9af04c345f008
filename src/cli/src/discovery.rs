//! Finds a resource by any of the names that kubectl takes.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroup, APIGroupList, APIResource};
use kube::Client;
use kube::api::ApiResource;
use serde::Deserialize;

use crate::connect::{chain, explain};
use crate::failure::{self, Failure};

/// How long a discovery response may take. An aggregated API whose server is down may keep the connection
/// open forever.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many groups are queried at once.
const AT_ONCE: usize = 16;

/// A resource that can be mirrored.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) resource: ApiResource,
    pub(crate) namespaced: bool,
}

impl Found {
    /// The resource with its group, as kubectl writes it.
    pub(crate) fn name(&self) -> String {
        match self.resource.group.as_str() {
            "" => self.resource.plural.clone(),
            group => format!("{}.{group}", self.resource.plural),
        }
    }
}

/// The user's input: `deployments`, `deployments.apps` or `deployments.v1.apps`.
struct Wanted<'a> {
    name: &'a str,
    group: Option<&'a str>,
}

/// What a server says that it has, each part asked for once.
pub(crate) struct Discovery<'a> {
    client: &'a Client,
    url: &'a str,
    /// How to ask the same server with it, if that can be done afterwards.
    kubectl: Option<&'a str>,
    core: Option<Resources>,
    groups: Option<APIGroupList>,
    /// By group and version; none of those that did not answer.
    versions: HashMap<String, Option<Resources>>,
}

impl<'a> Discovery<'a> {
    pub(crate) fn new(client: &'a Client, url: &'a str, kubectl: Option<&'a str>) -> Self {
        Self { client, url, kubectl, core: None, groups: None, versions: HashMap::new() }
    }

    /// Searches the core group, then the other groups in the server's order, as kubectl does; in each the
    /// preferred version first, and then the others, which may have resources of their own.
    pub(crate) async fn find(&mut self, text: &str) -> Result<Found, Failure> {
        let (name, group) = match text.split_once('.') {
            Some((name, group)) => (name, Some(group)),
            None => (text, None),
        };
        let (client, kubectl) = (self.client, self.kubectl);
        let wanted = Wanted { name, group };
        if group.is_none_or(|group| group == "v1")
            && let Some(found) = wanted.find(self.core().await?, kubectl)?
        {
            return Ok(found);
        }
        let groups = &self.groups().await?.groups;
        let versions: Vec<_> = groups.iter().flat_map(|group| wanted.versions(group)).collect();
        let unknown = versions.iter().filter(|version| !self.versions.contains_key(*version));
        // Queried concurrently, but read in order: the first group that has the resource counts.
        let mut lists = stream::iter(unknown.cloned().collect::<Vec<_>>())
            .map(|version| async move {
                let list = resources(client, &format!("/apis/{version}")).await;
                (version, list)
            })
            .buffered(AT_ONCE);
        for version in &versions {
            if !self.versions.contains_key(version)
                && let Some((version, list)) = lists.next().await
            {
                // An aggregated API whose server is down must not hide the others.
                let list = list.inspect_err(|error| {
                    failure::note(&format!("left out {version}, which cannot be asked: {error}"));
                });
                self.versions.insert(version, list.ok());
            }
            if let Some(Some(list)) = self.versions.get(version)
                && let Some(found) = wanted.find(list, kubectl)?
            {
                return Ok(found);
            }
        }
        drop(lists);
        Err(self.unknown(text, &versions))
    }

    async fn core(&mut self) -> Result<&Resources, Failure> {
        if self.core.is_none() {
            let core = resources(self.client, "/api/v1").await;
            self.core = Some(core.map_err(|error| error.of_server(self.url))?);
        }
        Ok(self.core.get_or_insert_default())
    }

    async fn groups(&mut self) -> Result<&APIGroupList, Failure> {
        if self.groups.is_none() {
            let groups = answer(self.client.list_api_groups()).await;
            self.groups = Some(groups.map_err(|error| error.of_server(self.url))?);
        }
        Ok(self.groups.get_or_insert_default())
    }

    /// None of these versions has it.
    fn unknown(&self, text: &str, versions: &[String]) -> Failure {
        let url = self.url;
        let silent = |version: &&String| matches!(self.versions.get(*version), Some(None));
        let silent: Vec<_> = versions.iter().filter(silent).map(String::as_str).collect();
        let silent = match silent.is_empty() {
            true => String::new(),
            false => format!("; these could not be asked: {}", silent.join(", ")),
        };
        let known =
            self.core.iter().chain(versions.iter().filter_map(|v| self.versions.get(v)?.as_ref()));
        let offered: Vec<_> = known.flat_map(Resources::names).collect();
        let all = match self.kubectl {
            Some(kubectl) => format!("`{kubectl} api-resources` lists what it has"),
            None if offered.is_empty() => "the name without its group".to_owned(),
            None => offered.join(", "),
        };
        let advice = match nearest(text, &offered) {
            Some(nearest) => format!("{nearest}; {all}"),
            None => all,
        };
        Failure::run(format!("the server at {url} has no resource \"{text}\"{silent}"))
            .advise(advice)
    }
}

/// What was meant, if something is called nearly so.
fn nearest<'a>(text: &str, offered: &'a [String]) -> Option<&'a str> {
    // As clap takes for what is nearly an option.
    const NEARLY: f64 = 0.8;
    let text = text.to_lowercase();
    let likeness = |name: &str| {
        let plural = name.split('.').next().unwrap_or(name);
        strsim::jaro(&text, name).max(strsim::jaro(&text, plural))
    };
    let all = offered.iter().map(|name| (likeness(name), name.as_str()));
    let nearest = all.filter(|(likeness, _)| *likeness > NEARLY);
    nearest.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, name)| name)
}

/// Why there was no response.
enum NoAnswer {
    Late,
    Failed(kube::Error),
}

/// The resources of a group's version. Only the parts that are read have to be valid: some servers
/// (KubeVirt's) get the list's own type wrong, which does not matter here.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Resources {
    group_version: String,
    resources: Option<Vec<APIResource>>,
}

impl Resources {
    /// What of them can be mirrored, by the names that this command takes.
    fn names(&self) -> impl Iterator<Item = String> {
        let group = self.group_version.split_once('/').map(|(group, _)| group);
        let all = self.resources.iter().flatten();
        let mirrored = all.filter(|resource| lacks(resource).is_none());
        mirrored.map(move |resource| match group {
            Some(group) => format!("{}.{group}", resource.name),
            None => resource.name.clone(),
        })
    }
}

/// The verb without which a resource cannot be mirrored.
fn lacks(resource: &APIResource) -> Option<&'static str> {
    let offers = |verb: &str| resource.verbs.iter().any(|offered| offered == verb);
    ["list", "watch"].into_iter().find(|verb| !offers(verb))
}

async fn resources(client: &Client, path: &str) -> Result<Resources, NoAnswer> {
    let request = http::Request::get(path).body(Vec::new());
    let request = request.map_err(|error| NoAnswer::Failed(kube::Error::HttpError(error)))?;
    answer(client.request(request)).await
}

async fn answer<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, NoAnswer> {
    match tokio::time::timeout(PATIENCE, request).await {
        Ok(answer) => answer.map_err(NoAnswer::Failed),
        Err(_) => Err(NoAnswer::Late),
    }
}

impl NoAnswer {
    /// The server itself does not respond.
    fn of_server(&self, url: &str) -> Failure {
        match self {
            Self::Failed(error) => explain(url, error),
            Self::Late => Failure::run(format!(
                "{url} did not say within {PATIENCE:?} which resources it has"
            ))
            .advise("once more in a moment"),
        }
    }
}

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Late => write!(f, "no answer within {PATIENCE:?}"),
            Self::Failed(kube::Error::Api(status)) => f.write_str(&status.message),
            Self::Failed(error) => f.write_str(&chain(error)),
        }
    }
}

impl Wanted<'_> {
    /// The versions of a group that may have it, in order.
    fn versions(&self, group: &APIGroup) -> Vec<String> {
        let preferred = group.preferred_version.iter();
        let others = group.versions.iter().filter(|version| {
            let preferred = group.preferred_version.as_ref();
            preferred.is_none_or(|preferred| preferred.version != version.version)
        });
        // The version goes before the group in kubectl's longest form.
        let is_wanted = |version: &str| {
            self.group.is_none_or(|wanted| {
                wanted == group.name || wanted == format!("{version}.{}", group.name)
            })
        };
        let versions = preferred.chain(others).filter(|version| is_wanted(&version.version));
        versions.map(|version| version.group_version.clone()).collect()
    }

    fn find(&self, list: &Resources, kubectl: Option<&str>) -> Result<Option<Found>, Failure> {
        let mut offered = list.resources.iter().flatten();
        let Some(found) = offered.find(|resource| self.is(resource)) else {
            return Ok(None);
        };
        if let Some(verb) = lacks(found) {
            let kubectl = kubectl.unwrap_or("kubectl");
            return Err(Failure::run(format!("\"{}\" cannot be mirrored: no {verb}", found.name))
                .advise(format!("`{kubectl} api-resources --verbs=list,watch`")));
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
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::GroupVersionForDiscovery;

    use super::*;

    fn list() -> Resources {
        let resource = |name: &str, verbs: &[&str]| APIResource {
            name: name.to_owned(),
            singular_name: "deployment".to_owned(),
            kind: "Deployment".to_owned(),
            namespaced: true,
            short_names: Some(vec!["deploy".to_owned()]),
            verbs: verbs.iter().map(|&verb| verb.to_owned()).collect(),
            ..APIResource::default()
        };
        Resources {
            group_version: "apps/v1".to_owned(),
            resources: Some(vec![
                resource("deployments/status", &["get"]),
                resource("deployments", &["get", "list", "watch"]),
            ]),
        }
    }

    #[test]
    fn finds_a_resource_by_each_of_its_names() {
        for name in ["deployments", "deployment", "Deployment", "deploy", "DEPLOY"] {
            let found = Wanted { name, group: None }.find(&list(), None).ok().flatten();
            let found = found.expect(name).resource;
            assert_eq!(
                (&*found.group, &*found.version, &*found.plural),
                ("apps", "v1", "deployments")
            );
        }
        assert!(Wanted { name: "dep", group: None }.find(&list(), None).ok().flatten().is_none());
    }

    #[test]
    fn what_was_meant_is_suggested() {
        let offered = ["pods", "deployments.apps", "nodes"].map(str::to_owned);
        assert_eq!(nearest("pds", &offered), Some("pods"));
        assert_eq!(nearest("Deploymnets", &offered), Some("deployments.apps"));
        assert_eq!(nearest("flobs", &offered), None);
    }

    #[test]
    fn the_preferred_version_comes_first_and_the_others_are_not_left_out() {
        let version = |version: &str| GroupVersionForDiscovery {
            group_version: format!("x.io/{version}"),
            version: version.to_owned(),
        };
        let group = APIGroup {
            name: "x.io".to_owned(),
            preferred_version: Some(version("v1")),
            versions: vec![version("v2alpha1"), version("v1"), version("v1beta1")],
            ..APIGroup::default()
        };
        let versions =
            |group_of: Option<&str>| Wanted { name: "things", group: group_of }.versions(&group);
        assert_eq!(versions(None), ["x.io/v1", "x.io/v2alpha1", "x.io/v1beta1"]);
        assert_eq!(versions(Some("x.io")).len(), 3);
        assert_eq!(versions(Some("v1beta1.x.io")), ["x.io/v1beta1"]);
        assert!(versions(Some("apps")).is_empty());
    }

    #[test]
    fn refuses_what_cannot_be_watched() {
        let mut list = list();
        list.resources.as_mut().expect("some")[1].verbs.pop();
        assert!(Wanted { name: "deploy", group: None }.find(&list, None).is_err());
    }
}
