//! A client that renews its credentials when the server refuses them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use futures_util::future::{BoxFuture, FutureExt, Shared};
use http::{Request, Response, StatusCode};
use kube::client::Body;
use kube::{Client, Config};

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
/// do.
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
/// While the plugin runs for the first time; later it runs on a thread for blocking work.
pub fn renewing_client(config: Config) -> Result<Client, kube::Error> {
    let client = Client::try_from(config.clone())?;
    if config.auth_info.exec.is_none() {
        return Ok(client);
    }
    let namespace = config.default_namespace.clone();
    let current = Current { client, generation: 0, renewal: None };
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
    /// While the plugin runs.
    renewal: Option<Shared<BoxFuture<'static, ()>>>,
}

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
            let start = || {
                // A task of its own: whoever waits for it may give up, and the plugin still runs.
                let task = tokio::spawn(Arc::clone(self).run_plugin());
                task.map(|_| ()).boxed().shared()
            };
            current.renewal.get_or_insert_with(start).clone()
        };
        renewal.await;
    }

    /// Loggers may panic: none is called before all is in place, nor under the lock.
    async fn run_plugin(self: Arc<Self>) {
        let config = self.config.clone();
        let run = move || {
            tracing::info!("the credentials are no longer taken, running the exec plugin again");
            Client::try_from(config)
        };
        let made = tokio::task::spawn_blocking(run).await;
        let failed = {
            let mut current = self.current();
            current.renewal = None;
            match made {
                Ok(Ok(client)) => {
                    current.client = client;
                    current.generation += 1;
                    return;
                }
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            }
        };
        // The next request that is answered so tries again.
        tracing::warn!(error = failed, "the exec plugin failed");
    }
}
