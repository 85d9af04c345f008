//! Finalizers: an object that is to be deleted stays until it was cleaned up after.

use std::fmt::Debug;

use kube::api::{Api, Patch, PatchParams};
use kube::{Error, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::reconcile::Action;
use crate::sync::Arc;

/// What is to be done about an object that has the finalizer.
#[derive(Debug)]
pub enum FinalizerEvent<K> {
    /// It is to be brought to what is wanted.
    Apply(Arc<K>),
    /// It is to be deleted, and goes once this has worked. It may come without an `Apply` before, and again.
    Cleanup(Arc<K>),
}

/// Why an object with a finalizer was not reconciled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FinalizerError<E> {
    /// [`FinalizerEvent::Apply`] failed.
    #[error("it could not be applied: {0}")]
    Apply(E),
    /// [`FinalizerEvent::Cleanup`] failed; it keeps its finalizer.
    #[error("it could not be cleaned up after: {0}")]
    Cleanup(E),
    /// The API server did not add the finalizer.
    #[error("its finalizer could not be added: {0}")]
    Add(#[source] Error),
    /// The API server did not take the finalizer off.
    #[error("its finalizer could not be taken off: {0}")]
    Remove(#[source] Error),
    /// It has no name.
    #[error("it has no name")]
    Unnamed,
}

/// Reconciles an object that has to be cleaned up after: adds a finalizer first, and takes it off once that is done.
/// Whatever was begun to be applied is cleaned up after before the object is gone.
///
/// This is kube-runtime's function of that name, with an [`Action`] of this crate's. What is different: the object
/// that the API server answers, with its finalizer, is applied at once, and not when that change is heard of; so a
/// controller may be about [changes of the generation](super::super::Controller::changes_of_generation) alone. And a
/// finalizer is added or taken off an object as it was read: if it has changed since, the server refuses, and the
/// error is tried again.
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
    let has_finalizer = meta.finalizers.iter().flatten().any(|finalizer| finalizer == name);
    let is_deleted = meta.deletion_timestamp.is_some();
    match (has_finalizer, is_deleted) {
        (_, false) => {
            let object = if has_finalizer {
                Arc::clone(object)
            } else {
                let mut finalizers = meta.finalizers.clone().unwrap_or_default();
                finalizers.push(name.to_owned());
                Arc::new(set(api, object, &finalizers).await?.map_err(FinalizerError::Add)?)
            };
            reconcile(FinalizerEvent::Apply(object)).await.map_err(FinalizerError::Apply)
        }
        (true, true) => {
            let cleanup = reconcile(FinalizerEvent::Cleanup(Arc::clone(object)));
            let action = cleanup.await.map_err(FinalizerError::Cleanup)?;
            let others = meta.finalizers.iter().flatten().filter(|finalizer| *finalizer != name);
            let others: Vec<String> = others.cloned().collect();
            match set(api, object, &others).await? {
                // It is gone already.
                Err(Error::Api(status)) if status.is_not_found() => Ok(action),
                result => result.map(|_| action).map_err(FinalizerError::Remove),
            }
        }
        // Others are still at it.
        (false, true) => Ok(Action::await_change()),
    }
}

/// Gives an object these finalizers, unless it has changed since.
async fn set<K, E>(
    api: &Api<K>,
    object: &K,
    finalizers: &[String],
) -> Result<Result<K, Error>, FinalizerError<E>>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let meta = object.meta();
    let name = meta.name.as_deref().ok_or(FinalizerError::Unnamed)?;
    let patch = Patch::Merge(json!({"metadata": {
        "finalizers": finalizers, "resourceVersion": meta.resource_version,
    }}));
    Ok(api.patch(name, &PatchParams::default(), &patch).await)
}
