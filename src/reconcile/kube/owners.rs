//! Owner references, and generations.

use kube::Resource;

use crate::reconcile::Controller;
use crate::store::feed::Subscribe;
use crate::sync::Arc;
use crate::{Key, KeyRef};

impl<K: Resource + Send + Sync + 'static> Controller<K> {
    /// Also reconciles the owner of what changes, by its owner references: by group and kind, whatever the
    /// version, as the API server's garbage collector has it.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use k8s_openapi::api::{apps::v1::ReplicaSet, core::v1::Pod};
    /// use watchcache::Store;
    /// use watchcache::reconcile::Controller;
    ///
    /// let (sets, pods) = (Arc::new(Store::<ReplicaSet>::new()), Store::<Pod>::new());
    /// let controller = Controller::new(&sets).owns(pods.subscribe().labels("app=web".parse()?));
    /// # drop(controller);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn owns<C>(self, owned: Subscribe<'_, C>) -> Self
    where
        K: Resource<DynamicType = ()>,
        C: Resource + Send + Sync + 'static,
    {
        self.owns_with(owned, &())
    }

    /// As [`owns`](Self::owns), for owners of a type that is known at run time only, or of a form that keeps no
    /// type.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use k8s_openapi::api::core::v1::Pod;
    /// use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
    /// use watchcache::Store;
    /// use watchcache::reconcile::Controller;
    ///
    /// let web = ApiResource::from_gvk(&GroupVersionKind::gvk("example.com", "v1", "Web"));
    /// let (webs, pods) = (Arc::new(Store::<DynamicObject>::new()), Store::<Pod>::new());
    /// let controller = Controller::new(&webs).owns_with(pods.subscribe(), &web);
    /// # drop(controller);
    /// ```
    pub fn owns_with<C>(self, owned: Subscribe<'_, C>, owner: &K::DynamicType) -> Self
    where
        C: Resource + Send + Sync + 'static,
    {
        let (group, kind) = (K::group(owner).into_owned(), K::kind(owner).into_owned());
        let owners = Arc::clone(&self.store);
        self.watches(owned, move |object: &C| {
            let meta = object.meta();
            let references = meta.owner_references.iter().flatten();
            let references = references.filter(|reference| {
                reference.kind == kind && group_of(&reference.api_version) == group
            });
            let key = |name: &str| {
                // What is in a namespace may be owned by what is in none, and a reference does not say so.
                let is_cluster_scoped = owners.contains(KeyRef::from((None, name)));
                let namespace = meta.namespace.as_deref().filter(|_| !is_cluster_scoped);
                Key::new(namespace, name).ok()
            };
            // Whoever may write the object wrote the name: one with a '/' names nothing here, and would reach into
            // other paths of a request.
            let names = references.map(|reference| &*reference.name);
            names.filter(|name| !name.contains('/')).filter_map(key).collect::<Vec<_>>()
        })
    }

    /// Of updates of the objects, only those that change their [generation](Subscribe::changes_of_generation).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use k8s_openapi::api::apps::v1::Deployment;
    /// use watchcache::Store;
    /// use watchcache::reconcile::Controller;
    ///
    /// let store = Arc::new(Store::<Deployment>::new());
    /// // What it writes to the status is no reason to look again.
    /// let controller = Controller::new(&store).changes_of_generation();
    /// # drop(controller);
    /// ```
    pub fn changes_of_generation(mut self) -> Self {
        self.selection.narrow(|subscribe| subscribe.changes_of_generation());
        self
    }
}

fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}
