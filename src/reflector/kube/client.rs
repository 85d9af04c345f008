//! A client that renews its credentials when the server refuses them.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::{BoxFuture, FutureExt, Shared};
use http::{Request, Response, StatusCode};
use kube::client::Body;
use kube::{Client, Config};

use crate::panic::catch_as_sentence;

/// A client that runs its exec plugin again once the server no longer takes the credentials, as
/// client-go does.
///
/// `kube`'s own client does so only for a token of which the plugin says when it expires; any other
/// is used for the life of the client, and once the server takes it no longer, a reflector is
/// answered 401 for ever. Here the first request that is answered 401 makes the plugin run, and so
/// does the end of a client certificate's time; what it gives is used by the requests after it, and
/// by that request, which is made once more. Where the plugin fails, the answer stays what it is.
///
/// The plugin runs once for all the requests that wait for it, and to its end, even if they no longer
/// do. They wait 30 s for it; one that does not return is run again after five minutes, and after ten, twenty and so on
/// as long as none returns: each that hangs keeps a thread and its process.
///
/// Without an exec plugin in `config` this is `Client::try_from(config)`: the client reads a token
/// file again by itself, and nothing else can be renewed.
///
/// ```no_run
/// use k8s_openapi::api::core::v1::Pod;
/// use watchcache::reflector::{KubeSource, renewing_client};
///
/// # let _ = async {
/// let mut config = kube::Config::infer().await?;
/// config.default_retry = false;
/// let source = KubeSource::<Pod>::all(renewing_client(config)?);
/// # drop(source);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # };
/// ```
///
/// # Errors
/// If there is no client of this configuration: the plugin failed, for one.
///
/// # Panics
/// Outside of a tokio runtime, as `kube`'s client does.
///
/// # Blocking
/// While the plugin runs for the first time; later it runs on a thread of its own.
pub fn renewing_client(config: Config) -> Result<Client, kube::Error> {
    let client = Client::try_from(config.clone())?;
    if config.auth_info.exec.is_none() {
        return Ok(client);
    }
    let namespace = config.default_namespace.clone();
    let current = Current { client, generation: 0, renewal: None, runs: 0, given_up: 0 };
    let renewing = Arc::new(Renewing { config, current: Mutex::new(current) });
    let service = tower::service_fn(move |request| Arc::clone(&renewing).send(request));
    Ok(Client::new(service, namespace))
}

struct Renewing {
    config: Config,
    current: Mutex<Current>,
}

struct Current {
    client: Client,
    generation: u64,
    /// While the plugin runs, and not for too long.
    renewal: Option<Renewal>,
    /// How often the plugin was run again.
    runs: u64,
    /// How many of these in a row were given up.
    given_up: u32,
}

impl Current {
    /// Gives up a plugin that has not returned for too long. The longer that goes on, the more time the next one has:
    /// they may all hang for ever, so there must not be one more every so often.
    fn give_up(&mut self) {
        let patience = AGAIN.saturating_mul(1_u32.checked_shl(self.given_up).unwrap_or(u32::MAX));
        if self.renewal.take_if(|renewal| renewal.started.elapsed() >= patience).is_some() {
            self.given_up = self.given_up.saturating_add(1);
        }
    }
}

struct Renewal {
    /// Which of the runs it is.
    run: u64,
    /// Ready when the plugin has returned, or has taken too long.
    done: Shared<BoxFuture<'static, ()>>,
    started: Instant,
}

/// How long requests wait for the plugin: those after it are answered as they are, which says that the
/// credentials are not taken.
const PATIENCE: Duration = Duration::from_secs(30);

/// After how long one that does not return is given up, and run again. It is never stopped: that it hangs may
/// be mended.
const AGAIN: Duration = Duration::from_secs(300);

impl Renewing {
    async fn send(self: Arc<Self>, request: Request<Body>) -> Result<Response<Body>, kube::Error> {
        let (mut client, mut generation) = self.client();
        let expires = (*client.valid_until()).map(SystemTime::from);
        if expires.is_some_and(|expires| expires <= SystemTime::now()) {
            self.renew(generation).await;
            (client, generation) = self.client();
        }
        let (head, body) = request.into_parts();
        // A body that is a stream can be sent once.
        let again = body.try_clone().map(|body| Request::from_parts(head.clone(), body));
        let response = client.send(Request::from_parts(head, body)).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        self.renew(generation).await;
        match (self.client(), again) {
            ((client, renewed), Some(again)) if renewed != generation => client.send(again).await,
            _ => Ok(response),
        }
    }

    fn client(&self) -> (Client, u64) {
        let current = self.current();
        (current.client.clone(), current.generation)
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        // A client is replaced as a whole.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the client of this generation, unless another request has done so meanwhile.
    async fn renew(self: &Arc<Self>, generation: u64) {
        let renewal = {
            let mut current = self.current();
            if current.generation != generation {
                return;
            }
            current.give_up();
            match &current.renewal {
                Some(renewal) => renewal.done.clone(),
                None => match self.run_plugin(generation, current.runs + 1) {
                    Ok(done) => {
                        current.runs += 1;
                        let (run, started) = (current.runs, Instant::now());
                        current.renewal = Some(Renewal { run, done: done.clone(), started });
                        done
                    }
                    Err(error) => {
                        drop(current);
                        tracing::warn!(%error, "no thread to run the exec plugin on");
                        return;
                    }
                },
            }
        };
        renewal.await;
    }

    /// Runs the plugin on a thread of its own, which nothing waits for: neither a request that is given up nor
    /// the end of the runtime. What the plugin gives counts however late it comes.
    ///
    /// Loggers may panic: none is called before all is in place, nor under the lock.
    fn run_plugin(
        self: &Arc<Self>,
        generation: u64,
        run: u64,
    ) -> io::Result<Shared<BoxFuture<'static, ()>>> {
        let (tell, told) = tokio::sync::oneshot::channel();
        let (this, runtime) = (Arc::clone(self), tokio::runtime::Handle::current());
        let plugin = move || {
            let _within = runtime.enter();
            let made = catch_as_sentence(|| {
                tracing::info!(
                    "the credentials are no longer taken, running the exec plugin again"
                );
                Client::try_from(this.config.clone()).map_err(|error| error.to_string())
            });
            let failed = this.finish(generation, run, made.and_then(|made| made));
            let _ = tell.send(());
            if let Some(error) = failed {
                // The next request that is answered so tries again.
                tracing::warn!(error, "the exec plugin failed");
            }
        };
        std::thread::Builder::new().name("exec-plugin".to_owned()).spawn(plugin)?;
        let limited = async move {
            if tokio::time::timeout(PATIENCE, told).await.is_err() {
                tracing::warn!("the exec plugin has not returned within {PATIENCE:?}");
            }
        };
        Ok(limited.boxed().shared())
    }

    /// The plugin has returned; why it gave nothing, if it did not.
    fn finish(&self, generation: u64, run: u64, made: Result<Client, String>) -> Option<String> {
        let mut current = self.current();
        if current.generation != generation {
            // One that was run later has come before it.
            return None;
        }
        if made.is_ok() || current.renewal.as_ref().is_some_and(|renewal| renewal.run == run) {
            // The failure of one that was given up is not that of the one which runs now.
            current.renewal = None;
            current.given_up = 0;
        }
        match made {
            Ok(client) => {
                current.client = client;
                current.generation += 1;
                None
            }
            Err(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    fn renewing() -> Renewing {
        let config = Config::new("http://127.0.0.1:1".parse().expect("an address"));
        let client = Client::try_from(config.clone()).expect("a client");
        let current = Current { client, generation: 0, renewal: None, runs: 0, given_up: 0 };
        Renewing { config, current: Mutex::new(current) }
    }

    fn runs_since(started: Instant, run: u64) -> Renewal {
        Renewal { run, done: ready(()).boxed().shared(), started }
    }

    #[tokio::test]
    async fn a_plugin_that_was_given_up_ends_none_but_itself() {
        let renewing = renewing();
        renewing.current().renewal = Some(runs_since(Instant::now(), 2));
        assert_eq!(renewing.finish(0, 1, Err("late".into())).as_deref(), Some("late"));
        assert_eq!(renewing.current().renewal.as_ref().map(|renewal| renewal.run), Some(2));
        assert!(renewing.finish(0, 2, Err("it fails".into())).is_some());
        assert!(renewing.current().renewal.is_none());
        // What it gives counts however late it comes.
        renewing.current().renewal = Some(runs_since(Instant::now(), 3));
        let client = renewing.client().0;
        assert_eq!(renewing.finish(0, 1, Ok(client)), None);
        assert!(renewing.current().renewal.is_none());
        assert_eq!(renewing.current().generation, 1);
    }

    #[tokio::test]
    async fn plugins_that_hang_do_not_add_up() {
        let renewing = renewing();
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let is_given_up_after = |waited: Duration| {
            // A clock that has just begun has no such past.
            let started = Instant::now().checked_sub(waited)?;
            let mut current = renewing.current();
            current.renewal = Some(runs_since(started, 1));
            current.give_up();
            Some(current.renewal.is_none())
        };
        let check = |waited, expected| {
            if let Some(given_up) = is_given_up_after(waited) {
                assert_eq!(given_up, expected, "{waited:?}");
            }
        };
        check(minutes(4), false);
        check(minutes(5), true);
        check(minutes(9), false);
        check(minutes(10), true);
        check(minutes(19), false);
        check(minutes(20), true);
        assert!(renewing.finish(0, 1, Err("it returned".into())).is_some());
        renewing.current().given_up = u32::MAX;
        check(minutes(60), false);
        // One that returns shows that they no longer hang.
        assert!(renewing.finish(0, 1, Err("it failed".into())).is_some());
        check(minutes(5), true);
    }
}
