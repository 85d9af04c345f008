//! One kind's mirror: a reflector that feeds a store, and whatever else is to hear of the changes.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};
use watchcache::Store;
use watchcache::reflector::{KubeSource, Monitor, Reflector, ReflectorBuilder, SourceError};

use crate::cluster::Cluster;
use crate::discovery::Found;
use crate::failure::Failure;
use crate::mirrored::Mirrored;

type Builder = ReflectorBuilder<KubeSource<Mirrored>>;

pub(crate) struct Kind {
    pub(crate) name: String,
    pub(crate) found: Found,
    pub(crate) store: Arc<Store<Mirrored>>,
    pub(crate) monitor: Monitor,
    pub(crate) started: Instant,
    url: String,
    stop: Option<oneshot::Sender<()>>,
    reflector: JoinHandle<Result<(), SourceError>>,
}

/// A kind of which no more comes.
pub(crate) struct Ended {
    pub(crate) kind: String,
    /// In a word.
    pub(crate) state: &'static str,
    pub(crate) failure: Failure,
}

impl Ended {
    /// All of them, where they are the end of the run.
    pub(crate) fn failure(all: Vec<Self>) -> Failure {
        Failure::all(all.into_iter().map(|ended| ended.failure).collect())
    }
}

impl Kind {
    /// Begins to mirror. The sinks that `more` adds are fed after the store.
    pub(crate) fn start(
        cluster: &Cluster,
        found: Found,
        store: Arc<Store<Mirrored>>,
        more: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let builder = Reflector::builder(cluster.source(&found)).sink(Arc::clone(&store));
        let reflector = more(builder).build();
        let monitor = reflector.monitor();
        let (stop, stopped) = oneshot::channel::<()>();
        let reflector = tokio::spawn(reflector.run(async {
            // An error means that the sender was dropped, which is also a reason to stop.
            let _ = stopped.await;
        }));
        Self {
            name: found.name(),
            found,
            store,
            monitor,
            url: cluster.url.clone(),
            started: Instant::now(),
            stop: Some(stop),
            reflector,
        }
    }

    /// Waits until the reflector ends by itself: why it did. Not to be called again after that.
    pub(crate) async fn ended(&mut self) -> Ended {
        let ended = (&mut self.reflector).await;
        let state = match &ended {
            Ok(Err(SourceError::Status(status))) if status.is_forbidden() => "forbidden",
            _ => "ended",
        };
        let failure = explain(ended, &self.url, &self.name);
        Ended { kind: self.name.clone(), state, failure }
    }

    pub(crate) async fn stop(&mut self) {
        drop(self.stop.take());
        if !self.reflector.is_finished() {
            // Its result no longer matters.
            let _ = (&mut self.reflector).await;
        }
    }
}

fn explain(ended: Result<Result<(), SourceError>, JoinError>, url: &str, kind: &str) -> Failure {
    match ended {
        Ok(Err(SourceError::Status(status))) if status.is_forbidden() => {
            Failure::run(format!("{url} does not allow listing {kind}: {}", status.message()))
                .advise(format!("ask for list and watch on {kind}, or narrow with --namespace"))
        }
        Ok(Err(SourceError::Status(status))) if status.is_unauthorized() => {
            Failure::run(format!("{url} does not accept the credentials: {}", status.message()))
                .advise("log in again, so that the kubeconfig gets fresh credentials")
        }
        Ok(Err(SourceError::Status(status))) if status.is_bad_request() => {
            Failure::run(format!("{url} does not understand, of {kind}: {}", status.message()))
                .advise("other --selector and --field-selector: each resource has its own fields")
        }
        Ok(Err(error)) => Failure::run(format!("{kind} of {url} cannot be listed: {error}"))
            .advise("the same list with kubectl"),
        Ok(Ok(())) => Failure::run(format!("the reflector of {kind} stopped by itself")),
        Err(error) => Failure::run(format!("the reflector of {kind} failed: {error}")),
    }
}
