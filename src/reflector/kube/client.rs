//! A client that gets new credentials when the server no longer takes its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use http::{Request, Response, StatusCode};
use kube::client::Body;
use kube::{Client, Config};

/// A client that runs its exec plugin again once the server no longer takes the credentials, as
/// client-go does.
///
/// `kube`'s own client does so only for a token of which the plugin says when it expires; any other
/// is used for the life of the client, and once the server takes it no longer, a reflector is
/// answered 401 for ever. Here the first request that is answered 401 makes the plugin run, and so
/// does the end of a client certificate's time; the requests after it use what it gives. The answer
/// itself stays what it is: a reflector asks again by itself.
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
    let renewing = Arc::new(Renewing {
        config,
        current: Mutex::new(Current { client, generation: 0 }),
        renewal: futures_util::lock::Mutex::new(()),
    });
    let service = tower::service_fn(move |request| Arc::clone(&renewing).send(request));
    Ok(Client::new(service, namespace))
}

struct Renewing {
    config: Config,
    current: Mutex<Current>,
    /// Held by the one that renews.
    renewal: futures_util::lock::Mutex<()>,
}

#[derive(Clone)]
struct Current {
    client: Client,
    generation: u64,
}

impl Renewing {
    async fn send(self: Arc<Self>, request: Request<Body>) -> Result<Response<Body>, kube::Error> {
        let mut current = self.current();
        let expires = (*current.client.valid_until()).map(SystemTime::from);
        if expires.is_some_and(|expires| expires <= SystemTime::now()) {
            self.renew(current.generation).await;
            current = self.current();
        }
        let response = current.client.send(request).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            self.renew(current.generation).await;
        }
        Ok(response)
    }

    fn current(&self) -> Current {
        // A client is replaced as a whole.
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the client of this generation, unless another request has done so meanwhile.
    async fn renew(&self, generation: u64) {
        let _renewal = self.renewal.lock().await;
        if self.current().generation != generation {
            return;
        }
        tracing::info!("the credentials are no longer taken, running the exec plugin again");
        let config = self.config.clone();
        match tokio::task::spawn_blocking(move || Client::try_from(config)).await {
            Ok(Ok(client)) => {
                let current = Current { client, generation: generation + 1 };
                *self.current.lock().unwrap_or_else(PoisonError::into_inner) = current;
            }
            // The next request that is answered so tries again.
            Ok(Err(error)) => tracing::warn!(%error, "the exec plugin failed"),
            Err(error) => tracing::warn!(%error, "running the exec plugin failed"),
        }
    }
}
