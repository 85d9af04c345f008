//! Finalizers: an object that is to be deleted stays until it was cleaned up after.

use std::fmt::Debug;

use kube::api::{Api, ObjectMeta, Patch, PatchParams};
use kube::{Error, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::reconcile::Action;
use crate::sync::Arc;

/// How often an object's finalizers are tried to be changed, each time as it was read just before.
const TRIES: usize = 5;

/// What is to be done about an object that has the finalizer.
///
/// ```
/// use std::collections::BTreeSet;
/// use std::sync::Arc;
/// use k8s_openapi::api::core::v1::ConfigMap;
/// use kube::ResourceExt;
/// use watchcache::reconcile::FinalizerEvent;
///
/// /// Buckets are outside of the cluster, so that nothing there goes by itself.
/// fn reconcile(buckets: &mut BTreeSet<String>, event: FinalizerEvent<ConfigMap>) {
///     match event {
///         FinalizerEvent::Apply(map) => _ = buckets.insert(map.name_any()),
///         // There may be none: it may come without the other, and again.
///         FinalizerEvent::Cleanup(map) => _ = buckets.remove(&map.name_any()),
///     }
/// }
/// let mut map = ConfigMap::default();
/// map.metadata.name = Some("logs".into());
/// let (map, mut buckets) = (Arc::new(map), BTreeSet::new());
/// reconcile(&mut buckets, FinalizerEvent::Apply(Arc::clone(&map)));
/// assert!(buckets.contains("logs"));
/// reconcile(&mut buckets, FinalizerEvent::Cleanup(Arc::clone(&map)));
/// reconcile(&mut buckets, FinalizerEvent::Cleanup(map));
/// assert!(buckets.is_empty());
/// ```
#[derive(Debug)]
pub enum FinalizerEvent<K> {
    /// It is to be brought to what is wanted.
    Apply(Arc<K>),
    /// It is to be deleted, and goes once this has worked. It may come without an `Apply` before, and again.
    Cleanup(Arc<K>),
}

/// Why an object with a finalizer was not reconciled.
///
/// A policy for [`Reconciler::on_error`](super::super::Reconciler::on_error):
///
/// ```
/// use std::time::Duration;
/// use watchcache::reconcile::{Action, FinalizerError};
///
/// fn policy(error: &FinalizerError<std::io::Error>) -> Action {
///     match error {
///         // Somebody may have to grant `patch` first.
///         FinalizerError::Add(kube::Error::Api(status)) if status.is_forbidden() => {
///             Action::requeue_after(Duration::from_secs(300))
///         }
///         // No object of an API server's.
///         FinalizerError::Unnamed => Action::await_change(),
///         _ => Action::back_off(),
///     }
/// }
/// let refused = kube::core::Status::failure("", "Forbidden").with_code(403);
/// let refused = FinalizerError::Add(kube::Error::Api(refused.boxed()));
/// assert_eq!(policy(&refused), Action::requeue_after(Duration::from_secs(300)));
/// assert_eq!(policy(&FinalizerError::Busy), Action::back_off());
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FinalizerError<E> {
    /// [`FinalizerEvent::Apply`] failed.
    #[error("it could not be applied: {0}")]
    Apply(#[source] E),
    /// [`FinalizerEvent::Cleanup`] failed; it keeps its finalizer.
    #[error("it could not be cleaned up after: {0}")]
    Cleanup(#[source] E),
    /// The API server did not add the finalizer.
    #[error("its finalizer could not be added: {0}")]
    Add(#[source] Error),
    /// The API server did not take the finalizer off.
    #[error("its finalizer could not be taken off: {0}")]
    Remove(#[source] Error),
    /// It has no name, or neither a version nor a uid.
    #[error("it has no name, or neither a version nor a uid")]
    Unnamed,
    /// It changes again whenever it was read, so that its finalizers could not be changed.
    #[error("it changes too fast for its finalizers to be changed")]
    Busy,
}

/// Reconciles an object that has to be cleaned up after: adds a finalizer first, and takes it off once that is done.
/// Whatever was begun to be applied is cleaned up after before the object is gone.
///
/// This is kube-runtime's function of that name, with an [`Action`] of this crate's. What is different: the object
/// that the API server answers, with its finalizer, is applied at once, and not when that change is heard of; so a
/// controller may be about [changes of the generation](super::super::Controller::changes_of_generation) alone. An
/// object that has changed since it was read, by the cleanup itself, say, is read from the API server and its
/// finalizers are changed as they are there: what was done for it is not done again. One of that name that was made
/// anew is left alone.
///
/// What the controller's account has to be allowed of the objects: `get` and `patch`.
///
/// ```no_run
/// use k8s_openapi::api::core::v1::ConfigMap;
/// use watchcache::reconcile::{
///     Action, FinalizerError, FinalizerEvent, Request, finalizer,
/// };
///
/// type Error = FinalizerError<kube::Error>;
///
/// async fn reconcile(api: kube::Api<ConfigMap>, map: Request<ConfigMap>) -> Result<Action, Error> {
///     finalizer(&api, "example.com/farewell", map.object(), async |event| match event {
///         FinalizerEvent::Apply(map) => {
///             println!("{:?} is there", map.metadata.name);
///             Ok(Action::await_change())
///         }
///         FinalizerEvent::Cleanup(_) => Ok(Action::await_change()),
///     })
///     .await
/// }
/// # let _ = reconcile;
/// ```
///
/// # Errors
/// If `reconcile` fails, or the API server refuses to change the object's finalizers.
///
/// # Cancel safety
/// To drop the future leaves the object with its finalizer or without. The next call goes on from there.
pub async fn finalizer<K, E, Fut>(
    api: &Api<K>,
    name: &str,
    object: &Arc<K>,
    reconcile: impl FnOnce(FinalizerEvent<K>) -> Fut,
) -> Result<Action, FinalizerError<E>>
where
    K: Resource + Clone + DeserializeOwned + Debug,
    Fut: Future<Output = Result<Action, E>>,
{
    let meta = object.meta();
    match (has(meta, name), meta.deletion_timestamp.is_some()) {
        (_, false) => {
            let object = match change(api, object, Change::Add(name)).await? {
                Ok(Changed::Is) => Arc::clone(object),
                Ok(Changed::To(object)) => Arc::new(object),
                // It is to be deleted meanwhile, or somebody else's: what comes of that is heard of.
                Ok(Changed::Never) => return Ok(Action::await_change()),
                Err(error) => return Err(FinalizerError::Add(error)),
            };
            reconcile(FinalizerEvent::Apply(object)).await.map_err(FinalizerError::Apply)
        }
        (true, true) => {
            let cleanup = reconcile(FinalizerEvent::Cleanup(Arc::clone(object)));
            let action = cleanup.await.map_err(FinalizerError::Cleanup)?;
            match change(api, object, Change::Remove(name)).await? {
                // It is gone already.
                Err(Error::Api(status)) if status.is_not_found() => Ok(action),
                result => result.map(|_| action).map_err(FinalizerError::Remove),
            }
        }
        // Others are still at it.
        (false, true) => Ok(Action::await_change()),
    }
}

fn has(meta: &ObjectMeta, name: &str) -> bool {
    meta.finalizers.iter().flatten().any(|finalizer| finalizer == name)
}

#[derive(Clone, Copy)]
enum Change<'a> {
    Add(&'a str),
    Remove(&'a str),
}

/// What has become of an object whose finalizers were to be changed.
enum Changed<K> {
    /// They are as wanted.
    Is,
    To(K),
    /// They are not to be: the object is to be deleted, or is another one's.
    Never,
}

impl Change<'_> {
    /// What the finalizers are to be, if they are not that yet.
    fn of(self, meta: &ObjectMeta) -> Option<Vec<String>> {
        let finalizers = meta.finalizers.iter().flatten().cloned();
        match self {
            Self::Add(name) if has(meta, name) => None,
            Self::Add(name) => Some(finalizers.chain([name.to_owned()]).collect()),
            Self::Remove(name) if !has(meta, name) => None,
            Self::Remove(name) => Some(finalizers.filter(|one| one != name).collect()),
        }
    }
}

/// Changes the finalizers of an object, and of no other that has its name, as they are at the server.
async fn change<K, E>(
    api: &Api<K>,
    object: &K,
    change: Change<'_>,
) -> Result<Result<Changed<K>, Error>, FinalizerError<E>>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let name = object.meta().name.as_deref().ok_or(FinalizerError::Unnamed)?;
    let mut read: Option<K> = None;
    for _ in 0..TRIES {
        let meta = read.as_ref().unwrap_or(object).meta();
        let Some(finalizers) = change.of(meta) else {
            return Ok(Ok(read.map_or(Changed::Is, Changed::To)));
        };
        // Without a version it would be written over what others have added.
        let refused = if let Some(version) = &meta.resource_version {
            let meta = json!({"finalizers": finalizers, "resourceVersion": version});
            let patch = Patch::Merge(json!({"metadata": meta}));
            match api.patch(name, &PatchParams::default(), &patch).await {
                Err(Error::Api(status)) if status.is_conflict() => Some(Error::Api(status)),
                result => return Ok(result.map(Changed::To)),
            }
        } else {
            None
        };
        let current = match api.get(name).await {
            Ok(current) => current,
            Err(error) => return Ok(Err(error)),
        };
        let uids = (&object.meta().uid, &current.meta().uid);
        match (uids, refused) {
            ((Some(uid), Some(current)), _) if uid == current => {}
            // Which one it was cannot be told.
            ((None, _) | (_, None), Some(error)) => return Ok(Err(error)),
            ((None, _) | (_, None), None) => return Err(FinalizerError::Unnamed),
            _ => return Ok(Ok(Changed::Never)),
        }
        if matches!(change, Change::Add(_)) && current.meta().deletion_timestamp.is_some() {
            return Ok(Ok(Changed::Never));
        }
        read = Some(current);
    }
    Err(FinalizerError::Busy)
}
