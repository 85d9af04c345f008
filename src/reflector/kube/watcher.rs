//! kube-runtime's watcher as the source of a cache.

use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use kube::runtime::watcher;

use crate::keyed::Keyed;
use crate::{Batch, Change, KeyRef, Listing, Object, Sink};

/// Feeds a sink from a stream of kube-runtime's watcher and passes each event on, as
/// `kube::runtime::reflector` does with its own store: who has that takes this in its place, with a
/// `Store` for the writer.
///
/// A relist is one change of the sink, made when it is complete. The watcher's stream tells neither
/// bookmarks nor a list's version, and skips what does not decode; [`Reflector`] with a
/// [`KubeSource`] knows more, and costs less.
///
/// ```no_run
/// use std::sync::Arc;
/// use k8s_openapi::api::core::v1::Pod;
/// use kube::runtime::{WatchStreamExt, watcher};
/// use kube::{Api, Client};
/// use watchcache::{Store, reflector::reflector};
///
/// # let _ = async {
/// let pods: Api<Pod> = Api::all(Client::try_default().await?);
/// let store = Arc::new(Store::new());
/// let events = watcher(pods, watcher::Config::default()).default_backoff();
/// let applied = reflector(store.clone(), events).applied_objects();
/// # drop(applied);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # };
/// ```
///
/// [`Reflector`]: crate::Reflector
/// [`KubeSource`]: crate::reflector::KubeSource
pub fn reflector<K, S, W>(sink: S, events: W) -> impl Stream<Item = W::Item>
where
    K: Object + Clone,
    S: Sink<K>,
    W: Stream<Item = watcher::Result<watcher::Event<K>>>,
{
    let mut initial = Keyed::new();
    events.inspect(move |event| {
        if let Ok(event) = event {
            feed(&sink, event, &mut initial);
        }
    })
}

fn feed<K: Object + Clone>(
    sink: &impl Sink<K>,
    event: &watcher::Event<K>,
    initial: &mut Keyed<Arc<K>>,
) {
    let mut batch = Batch::new();
    match event {
        watcher::Event::Init => initial.clear(),
        watcher::Event::InitApply(object) => {
            if let Some(key) = usable_key(object) {
                initial.push(key, Arc::new(object.clone()));
            }
        }
        watcher::Event::InitDone => {
            let objects = std::mem::replace(initial, Keyed::new());
            sink.replace(&Listing::from_list(objects, None));
        }
        watcher::Event::Apply(object) => {
            if let Some(key) = usable_key(object) {
                batch.changes_mut().push(key, Change::Add(Arc::new(object.clone())));
            }
        }
        watcher::Event::Delete(object) => {
            if let Some(key) = usable_key(object) {
                let last = Some(Arc::new(object.clone()));
                batch.changes_mut().push(key, Change::Delete(last));
            }
        }
    }
    if !batch.is_empty() {
        sink.apply(&batch);
    }
}

fn usable_key(object: &impl Object) -> Option<KeyRef<'_>> {
    let key = object.key();
    match key.check() {
        Ok(()) => Some(key),
        Err(error) => {
            tracing::warn!(%error, "an object without a usable key, skipped");
            None
        }
    }
}
