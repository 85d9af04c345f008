//! kube-runtime's watcher as the source of a cache.

use std::sync::Arc;

use futures_util::future::ready;
use futures_util::{Stream, StreamExt, stream};
use kube::runtime::watcher;

use crate::keyed::Keyed;
use crate::panic::catch_as_sentence;
use crate::reflector::facts::{Facts, version_of};
use crate::reflector::shared::{Applied, Shared, Synced};
use crate::reflector::{Monitor, SourceError, Undecodable};
use crate::version::number_of;
use crate::{Batch, Change, KeyRef, Listing, Object, ResourceVersion, Sink};

/// Feeds a sink from a stream of kube-runtime's watcher and passes each event on, as
/// `kube::runtime::reflector` does with its own store: who has that takes this in its place, with a
/// `Store` for the writer.
///
/// A relist is one change of the sink, made when it is complete. The watcher's stream tells neither
/// bookmarks nor a list's version, and skips what does not decode; [`Reflector`] with a
/// [`KubeSource`] knows more, and costs less. What the stream does tell, the sink is told as by a reflector:
/// versions, each failure, and the end when the stream ends or is dropped. For a [`Monitor`] of it, see
/// [`reflector_with_monitor`].
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
/// [`Monitor`]: crate::reflector::Monitor
pub fn reflector<K, S, W>(sink: S, events: W) -> impl Stream<Item = W::Item>
where
    K: Object + Clone,
    S: Sink<K>,
    W: Stream<Item = watcher::Result<watcher::Event<K>>>,
{
    reflector_with_monitor(sink, events).1
}

/// As [`reflector`], with a monitor of it.
///
/// Its version is the newest one of the objects that were told. After a list that may be less than the list's own, so
/// that a wait of the monitor's ends late rather than early. An object that the sink refuses is quarantined. What is
/// idle is not known to be complete, as no bookmark says so: for readiness take [`Monitor::synced`], or a long lag. An
/// error of the stream counts as a failure.
///
/// After a server was restored to an earlier state, which a watcher does not tell, a list shows it that has an older
/// version of what this stream has told and the sink holds (`Sink::current`). Such a list is taken as it stands, and
/// whoever waits for a version hears that the source started over. So it is where the list may be older than what was
/// told without any restore: with `any_semantic` or `InitialListStrategy::StreamingList`, a server that lags takes the
/// content back until its watch has caught up. Only a [`Reflector`](crate::Reflector) asks again before it believes that.
///
/// ```
/// use std::sync::Arc;
/// use futures_util::{StreamExt, stream};
/// use k8s_openapi::api::core::v1::ConfigMap;
/// use kube::runtime::watcher::{self, Event};
/// use watchcache::{Store, reflector::reflector_with_monitor};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let mut settings = ConfigMap::default();
/// settings.metadata.name = Some("settings".into());
/// settings.metadata.resource_version = Some("7".into());
/// let events = [Event::Init, Event::InitDone, Event::Apply(settings)];
/// let events = stream::iter(events.map(watcher::Result::Ok));
///
/// let store = Arc::new(Store::<ConfigMap>::new());
/// let (monitor, events) = reflector_with_monitor(store.clone(), events);
/// let mut events = std::pin::pin!(events);
/// while events.next().await.is_some() {}
/// monitor.synced().await?;
/// monitor.wait_for(&"7".into()).await?;
/// assert!(store.is_synced() && store.contains("settings"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn reflector_with_monitor<K, S, W>(sink: S, events: W) -> (Monitor, impl Stream<Item = W::Item>)
where
    K: Object + Clone,
    S: Sink<K>,
    W: Stream<Item = watcher::Result<watcher::Event<K>>>,
{
    let shared = Arc::new(Shared::new());
    let monitor = Monitor::new(Arc::clone(&shared));
    let mut feeding = Feeding { sink, shared, initial: Keyed::new(), told: None, has_ended: false };
    // With its end, which is told whether the stream is dropped then or not.
    let events = events.map(Some).chain(stream::once(ready(None)));
    let events = events.filter_map(move |event| {
        match &event {
            Some(event) => feeding.hear(event),
            None => feeding.end(),
        }
        ready(event)
    });
    (monitor, events)
}

struct Feeding<K: Object, S: Sink<K>> {
    sink: S,
    shared: Arc<Shared>,
    /// What the list that is running has told.
    initial: Keyed<Arc<K>>,
    /// The newest version that the stream has told of the history at hand.
    told: Option<u64>,
    has_ended: bool,
}

impl<K: Object + Clone, S: Sink<K>> Feeding<K, S> {
    fn hear(&mut self, event: &watcher::Result<watcher::Event<K>>) {
        match event {
            Ok(watcher::Event::Init) => {
                self.initial.clear();
                self.shared.start_listing();
            }
            Ok(watcher::Event::InitApply(object)) => {
                if let Some(key) = usable_key(object) {
                    self.initial.push(key, Arc::new(object.clone()));
                }
            }
            Ok(watcher::Event::InitDone) => self.replace(),
            Ok(watcher::Event::Apply(object)) => {
                self.apply(object, Change::Add(Arc::new(object.clone())));
            }
            Ok(watcher::Event::Delete(object)) => {
                self.apply(object, Change::Delete(Some(Arc::new(object.clone()))));
            }
            Err(error) => {
                self.shared.failed(&SourceError::Protocol(error.to_string()));
                if let Err(panic) = catch_as_sentence(|| self.sink.failed(error)) {
                    tracing::error!(panic, "a sink did not take a failure");
                }
            }
        }
    }

    fn replace(&mut self) {
        let objects = std::mem::replace(&mut self.initial, Keyed::new());
        let (count, version) = (objects.len() as u64, newest(&objects));
        let restarted = self.is_restart(&objects);
        let listing = if restarted {
            tracing::warn!("the source's history was set back, starting over");
            self.told = None;
            // The version of the void history goes with its content.
            Listing::from_list(objects, version.clone()).starting_over()
        } else {
            // Its version is not known, and it may be newer than all that is in it.
            Listing::from_list(objects, None)
        };
        self.told = self.told.max(version.as_ref().and_then(ResourceVersion::number));
        let refused = self.sink.replace_reporting(&listing);
        let refused = refused.into_iter().map(Undecodable::from).collect();
        let listed = listing.objects().map(|(key, object)| (key, version_of(&**object)));
        self.shared.quarantine().relist(Vec::new(), listed);
        self.shared.refused(refused);
        if let Some(version) = &version {
            self.sink.apply(&bookmark(version));
        }
        self.shared.listed(count, None);
        let version = version.as_ref();
        self.shared.synced(Synced { version, unordered: false, restarted });
        self.shared.start_watching();
    }

    /// Whether the list has an older version of what the stream had told, and the sink holds: the watcher lists the
    /// newest state, so the source's history was set back, and its list is to be taken as it stands. What the sink has
    /// from elsewhere, as the answer to a write, may be newer than the list.
    fn is_restart(&self, listed: &Keyed<Arc<K>>) -> bool {
        listed.iter().any(|(key, object)| {
            let held = catch_as_sentence(|| self.sink.current(key)).ok().flatten();
            let held = held.as_ref().map(|held| Facts::of(&**held));
            let listed = Facts::of(&**object);
            held.is_some_and(|held| {
                let [held_at, listed_at] = [held.version, listed.version].map(|at| number_of(at?));
                let is_older = listed_at.is_some() && listed_at < held_at;
                is_older && held_at <= self.told && held.uid == listed.uid
            })
        })
    }

    fn apply(&mut self, object: &K, change: Change<K>) {
        let Some(key) = usable_key(object) else { return };
        let version = version_of(object).map(ResourceVersion::from);
        self.told = self.told.max(version.as_ref().and_then(ResourceVersion::number));
        let mut batch = version.as_ref().map_or_else(Batch::new, bookmark);
        let there = matches!(change, Change::Add(_));
        batch.changes_mut().push(key, change);
        let now = version.as_ref().filter(|_| there).map(ResourceVersion::as_str);
        self.shared.release(key, || now);
        let refused = self.sink.apply_reporting(&batch);
        self.shared.refused(refused.into_iter().map(Undecodable::from).collect());
        let version = version.as_ref();
        self.shared.applied(Applied { events: 1, stale: 0, version, complete: true, bytes: 0 });
    }
}

impl<K: Object, S: Sink<K>> Feeding<K, S> {
    fn end(&mut self) {
        if !std::mem::replace(&mut self.has_ended, true) {
            self.shared.stop();
            // This may run while a panic of the sink unwinds; a second one would end the process.
            if let Err(panic) = catch_as_sentence(|| self.sink.ended(None)) {
                tracing::error!(panic, "a sink did not take the end");
            }
        }
    }
}

impl<K: Object, S: Sink<K>> Drop for Feeding<K, S> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Nothing but the news that the source has come to this version.
fn bookmark<K>(version: &ResourceVersion) -> Batch<K> {
    let mut batch = Batch::new();
    batch.set_resource_version(version.clone());
    batch
}

/// The newest version of objects that have one, if these have an order.
fn newest<K: Object>(objects: &Keyed<Arc<K>>) -> Option<ResourceVersion> {
    let mut versions = objects.iter().filter_map(|(_, object)| version_of(&**object));
    let first = ResourceVersion::from(versions.next()?);
    versions.map(ResourceVersion::from).try_fold(first, |newest, version| {
        Some(if version.compare(&newest)?.is_gt() { version } else { newest })
    })
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
