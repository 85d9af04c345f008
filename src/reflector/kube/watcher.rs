//! kube-runtime's watcher as what feeds a cache.

use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use kube::runtime::watcher;

use crate::{Batch, Change, Key, Listing, Object, Sink};

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
    let mut initial = Vec::new();
    events.inspect(move |event| {
        if let Ok(event) = event {
            feed(&sink, event, &mut initial);
        }
    })
}

fn feed<K: Object + Clone>(
    sink: &impl Sink<K>,
    event: &watcher::Event<K>,
    initial: &mut Vec<(Key, Arc<K>)>,
) {
    let keyed = |object: &K| match object.key() {
        Ok(key) => Some((key, Arc::new(object.clone()))),
        Err(error) => {
            tracing::warn!(%error, "an object without a usable key, skipped");
            None
        }
    };
    let mut batch = Batch::new();
    match event {
        watcher::Event::Init => initial.clear(),
        watcher::Event::InitApply(object) => initial.extend(keyed(object)),
        watcher::Event::InitDone => {
            sink.replace(&Listing::from_keyed(std::mem::take(initial), None));
        }
        watcher::Event::Apply(object) => {
            if let Some((key, object)) = keyed(object) {
                batch.push(key, Change::Put(object));
            }
        }
        watcher::Event::Delete(object) => {
            if let Some((key, object)) = keyed(object) {
                batch.push(key, Change::Delete(Some(object)));
            }
        }
    }
    if !batch.is_empty() {
        sink.apply(&batch);
    }
}
