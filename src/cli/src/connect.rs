//! From a target to a client of a server that has responded, with each failure as a sentence.

use std::cell::RefCell;
use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use kube::client::AuthError;
use kube::config::ExecConfig;
use kube::{Client, Config};
use watchcache::reflector::renewing_client;

use crate::failure::{self, Failure};
use crate::kubeconfig;
use crate::proxy::Proxy;
use crate::target::Target;

/// How long the server may take to answer the first request.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a credential plugin may run before the user is told that the command waits for it.
const QUIET: Duration = Duration::from_secs(2);

/// The current step, to be named if the time runs out.
pub(crate) type Step = RefCell<String>;

/// Checks what can be checked of a `--server` without connecting.
pub(crate) fn check_url(url: &str) -> Result<Config, Failure> {
    let wrong =
        |why: String| Failure::usage(format!("invalid value '{url}' for '--server': {why}"));
    let config = Config::new(url.parse().map_err(|error| wrong(format!("{error}")))?);
    let scheme = config.cluster_url.scheme_str();
    if !matches!(scheme, Some("http" | "https"))
        || config.cluster_url.host().is_none_or(str::is_empty)
    {
        return Err(wrong("write it as http://127.0.0.1:8001".to_owned()));
    }
    Ok(config)
}

/// The route to a server.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) config: Config,
    pub(crate) proxy: Option<Proxy>,
}

impl Route {
    /// Directly.
    pub(crate) fn direct(config: Config) -> Self {
        Self { config, proxy: None }
    }

    /// Through the proxy that the environment names, if any.
    fn by_environment(config: Config) -> Result<Self, Failure> {
        let proxy = Proxy::of_environment(&config.cluster_url).map_err(|error| {
            Failure::run(error).advise("write it as http://proxy.example.com:3128")
        })?;
        Ok(Self { config, proxy })
    }

    pub(crate) fn url(&self) -> String {
        self.config.cluster_url.to_string().trim_end_matches('/').to_owned()
    }
}

/// The client's configuration for an existing cluster.
pub(crate) async fn configure(target: &Target) -> Result<Route, Failure> {
    match target {
        Target::Embedded(_) => Err(Failure::run("the embedded server has not been started")),
        Target::Server(url) => Route::by_environment(check_url(url)?),
        Target::InCluster => Route::by_environment(Config::incluster().map_err(|error| {
            Failure::run(format!("this does not run in a cluster's Pod: {error}"))
                .advise("leave out --in-cluster and pass --kubeconfig or --server")
        })?),
        Target::Kubeconfig { path, context } => {
            let (config, own_proxy) = kubeconfig::load(path.as_deref(), context.as_deref()).await?;
            match own_proxy {
                Some(Ok(uri)) => Ok(Route { config, proxy: Some(Proxy::of_cluster(uri)) }),
                Some(Err(error)) => {
                    Err(Failure::run(format!("proxy-url of the kubeconfig is no address: {error}"))
                        .advise("write it as http://proxy.example.com:3128"))
                }
                None => Route::by_environment(config),
            }
        }
    }
}

/// A client whose server has responded to a first request.
pub(crate) async fn connect(route: Route, step: &Step) -> Result<Client, Failure> {
    let url = route.url();
    let Route { mut config, proxy } = route;
    config.connect_timeout = Some(PATIENCE);
    // The reflector retries, and shows that it does.
    config.default_retry = false;
    // The proxy was chosen for this server; the client's own choice would go by the proxy's address.
    config.proxy_url = proxy.as_ref().map(|proxy| proxy.uri.clone());
    let plugin = config.auth_info.exec.clone();
    let client = client(config, plugin.as_ref(), step)
        .await?
        .map_err(|error| explain_client(&url, plugin.as_ref(), proxy.as_ref(), &error))?;
    match tokio::time::timeout(PATIENCE, client.apiserver_version()).await {
        Ok(Ok(_)) => Ok(client),
        // It has responded, though not to this request; the list will show whether it responds to that.
        Ok(Err(kube::Error::Api(status))) if status.code == 403 => Ok(client),
        Ok(Err(error)) => Err(explain_by(&url, proxy.as_ref(), &error)),
        Err(_) => {
            let by = proxy.map_or_else(String::new, |proxy| format!(" by the proxy {proxy}"));
            Err(Failure::run(format!("{url} did not answer within {PATIENCE:?}{by}"))
                .advise("check the address, and any VPN or proxy on the way"))
        }
    }
}

/// The client, once the credential plugin has ended; a plugin may log in through a browser or never end.
async fn client(
    config: Config,
    plugin: Option<&ExecConfig>,
    step: &Step,
) -> Result<Result<Client, kube::Error>, Failure> {
    let before = plugin.map(|plugin| {
        let waiting = format!("the credential plugin \"{}\" has not ended", name_of(plugin));
        step.replace(waiting)
    });
    // Must not run in a task: it blocks for as long as the plugin runs.
    let mut made = tokio::task::spawn_blocking(move || renewing_client(config));
    let made = match tokio::time::timeout(QUIET, &mut made).await {
        Ok(made) => made,
        Err(_) => {
            if let Some(plugin) = plugin {
                let name = name_of(plugin);
                failure::note(&format!("waiting for the credential plugin \"{name}\" to end"));
            }
            made.await
        }
    };
    if let Some(before) = before {
        step.replace(before);
    }
    made.map_err(|error| Failure::run(format!("making the client failed: {error}")))
}

fn name_of(plugin: &ExecConfig) -> &str {
    plugin.command.as_deref().unwrap_or("?")
}

/// Explains why there is no client.
fn explain_client(
    url: &str,
    plugin: Option<&ExecConfig>,
    proxy: Option<&Proxy>,
    error: &kube::Error,
) -> Failure {
    let command = plugin.map_or("?", name_of);
    let hint = plugin.and_then(|plugin| plugin.install_hint.as_deref());
    match (error, proxy) {
        (kube::Error::Auth(AuthError::AuthExecStart(error)), _) => {
            let what = match error.kind() {
                io::ErrorKind::NotFound => "is not installed, or not in the PATH".to_owned(),
                _ => format!("cannot be run: {error}"),
            };
            let message = format!("the credential plugin \"{command}\" of the kubeconfig {what}");
            let hint = hint.map_or("install it, or another user of the kubeconfig", str::trim);
            Failure::run(message).advise(hint)
        }
        (kube::Error::Auth(AuthError::AuthExecRun { out, .. }), _) => {
            let stderr = String::from_utf8_lossy(&out.stderr);
            // Output to the terminal has already been seen.
            let last = stderr.lines().rfind(|line| !line.trim().is_empty());
            let words = last.map_or_else(String::new, |line| format!(": {}", line.trim()));
            let message = format!(
                "the credential plugin \"{command}\" of the kubeconfig failed ({}){words}",
                out.status
            );
            Failure::run(message).advise("run it by itself, or log in again")
        }
        (
            kube::Error::ProxyProtocolUnsupported { .. }
            | kube::Error::ProxyProtocolDisabled { .. },
            Some(proxy),
        ) => Failure::run(format!("the proxy {proxy} is of a kind that is not supported"))
            .advise("a proxy of http, https or socks5"),
        _ => Failure::run(format!("the credentials for {url} cannot be used: {}", chain(error)))
            .advise("`kubectl get nodes` with the same kubeconfig, or log in again"),
    }
}

/// As [`explain`], for a route through a proxy.
fn explain_by(url: &str, proxy: Option<&Proxy>, error: &kube::Error) -> Failure {
    let Some(proxy) = proxy else { return explain(url, error) };
    let text = chain(error);
    let lower = text.to_lowercase();
    let what = if lower.contains("proxy authorization required") {
        "asks for a user and a password"
    } else if lower.contains("tunnel error: unsuccessful") {
        "does not connect to the server"
    } else if lower.contains("tunnel error") || lower.contains("socks") {
        match io_kind(error) {
            Some(io::ErrorKind::ConnectionRefused) => "does not answer: the connection was refused",
            _ => "does not work",
        }
    } else {
        return explain(url, error);
    };
    Failure::run(format!("the proxy {proxy} {what}, so {url} cannot be reached: {text}"))
        .advise("check the proxy's address, or name the server in NO_PROXY to go without it")
}

/// Explains why a request failed.
pub(crate) fn explain(url: &str, error: &kube::Error) -> Failure {
    let text = chain(error);
    match error {
        kube::Error::Api(status) if status.code == 401 => {
            Failure::run(format!("{url} does not accept the credentials: {}", status.message))
                .advise("log in again, so that the kubeconfig gets fresh credentials")
        }
        kube::Error::Api(status) if status.code == 404 => {
            Failure::run(format!("{url} does not answer as a Kubernetes API server: 404 Not Found"))
                .advise("check the address; `kubectl cluster-info` shows the cluster's")
        }
        kube::Error::Api(status) => {
            Failure::run(format!("{url} refused: {} ({})", status.message, status.code))
                .advise("the same request with kubectl, or once more in a moment")
        }
        kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => {
            Failure::run(format!("{url} does not answer as a Kubernetes API server: {text}"))
                .advise("check the address; `kubectl cluster-info` shows the cluster's")
        }
        kube::Error::Auth(_) => {
            Failure::run(format!("there are no usable credentials for {url}: {text}"))
                .advise("log in again, so that the kubeconfig gets fresh credentials")
        }
        error => explain_transport(url, error, &text),
    }
}

fn explain_transport(url: &str, error: &kube::Error, text: &str) -> Failure {
    let lower = text.to_lowercase();
    if lower.contains("expired") && lower.contains("cert") {
        return Failure::run(format!("a certificate for {url} has expired: {text}")).advise(
            "renew the cluster's certificates, or log in again for a new client certificate",
        );
    }
    if lower.contains("not valid for name") || lower.contains("notvalidforname") {
        return Failure::run(format!("the certificate of {url} is for another name: {text}")).advise(
            "tls-server-name in the kubeconfig's cluster, or the address that the certificate names",
        );
    }
    if lower.contains("certificate") || lower.contains("unknownissuer") {
        return Failure::run(format!("the connection to {url} is not trusted: {text}"))
            .advise("a kubeconfig with the cluster's certificate authority");
    }
    if lower.contains("dns") || lower.contains("lookup") {
        return Failure::run(format!("the host name in {url} cannot be resolved"))
            .advise("check its spelling, and whether this network knows it");
    }
    match io_kind(error) {
        Some(io::ErrorKind::ConnectionRefused) => Failure::run(format!(
            "nothing listens at {url}: the connection was refused"
        ))
        .advise(
            "start the cluster, or `kubectl proxy` for http://127.0.0.1:8001, or check the address",
        ),
        Some(io::ErrorKind::TimedOut) => Failure::run(format!("{url} did not answer in time"))
            .advise("check the address, and any VPN or proxy on the way"),
        _ => Failure::run(format!("{url} cannot be reached: {text}"))
            .advise("check the address, and whether it is http or https"),
    }
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text.replace('\n', " ")
}

fn io_kind(error: &kube::Error) -> Option<io::ErrorKind> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    let mut found = None;
    while let Some(error) = next {
        found = error.downcast_ref::<io::Error>().map(io::Error::kind).or(found);
        next = error.source();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transport_failures_are_told_apart() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        let name = "invalid peer certificate: certificate not valid for name \"10.0.0.1\"";
        let cases: [(kube::Error, &str); 6] = [
            (kube::Error::Service(name.into()), "tls-server-name"),
            (kube::Error::Service(Box::new(refused)), "nothing listens"),
            (kube::Error::Service("invalid peer certificate: Expired".into()), "has expired"),
            (
                kube::Error::Service("received fatal alert: CertificateExpired".into()),
                "has expired",
            ),
            (kube::Error::Service("invalid peer certificate: UnknownIssuer".into()), "not trusted"),
            (kube::Error::Service("dns error: no such host".into()), "cannot be resolved"),
        ];
        for (error, words) in cases {
            let failure = format!("{:?}", explain("https://there", &error));
            assert!(failure.contains(words), "{failure}");
        }
    }

    #[test]
    fn addresses_are_checked() {
        for url in ["http://127.0.0.1:8001", "https://cluster.example.com"] {
            assert!(check_url(url).is_ok(), "{url}");
        }
        for url in ["", "127.0.0.1:8001", "ftp://there", "http://", "http://a b"] {
            assert!(check_url(url).is_err(), "{url}");
        }
    }
}
