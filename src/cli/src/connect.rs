//! From a target to a client of a server that has answered, with each failure as a sentence.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::client::AuthError;
use kube::config::{ExecConfig, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use watchcache::reflector::renewing_client;

use crate::failure::Failure;
use crate::proxy::Proxy;
use crate::target::Target;

/// How long the server may take to answer the first request.
const PATIENCE: Duration = Duration::from_secs(5);

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

/// How a server is reached.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) config: Config,
    pub(crate) proxy: Option<Proxy>,
}

impl Route {
    /// Straight to it.
    pub(crate) fn direct(config: Config) -> Self {
        Self { config, proxy: None }
    }

    /// By the proxy that the environment names, if any.
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

/// The client's configuration for a cluster that is already there.
pub(crate) async fn configure(target: &Target) -> Result<Route, Failure> {
    match target {
        Target::Embedded(_) => Err(Failure::run("the embedded server has not been started")),
        Target::Server(url) => Route::by_environment(check_url(url)?),
        Target::InCluster => Route::by_environment(Config::incluster().map_err(|error| {
            Failure::run(format!("this does not run in a cluster's Pod: {error}"))
                .advise("leave out --in-cluster and pass --kubeconfig or --server")
        })?),
        Target::Kubeconfig { path, context } => {
            let fail = |error| explain_kubeconfig(path.as_deref(), &error);
            let kubeconfig = match path {
                Some(path) => Kubeconfig::read_from(path),
                None => Kubeconfig::read(),
            };
            let kubeconfig = kubeconfig.map_err(fail)?;
            let own_proxy = proxy_url(&kubeconfig, context.as_deref());
            let options = KubeConfigOptions { context: context.clone(), ..Default::default() };
            let config =
                Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(fail)?;
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

/// The proxy that the kubeconfig names for the cluster of a context.
fn proxy_url(
    kubeconfig: &Kubeconfig,
    context: Option<&str>,
) -> Option<Result<http::Uri, http::uri::InvalidUri>> {
    let name = context.or(kubeconfig.current_context.as_deref())?;
    let context = kubeconfig.contexts.iter().find(|context| context.name == name)?;
    let cluster = &context.context.as_ref()?.cluster;
    let cluster = kubeconfig.clusters.iter().find(|named| named.name == *cluster)?;
    let url = cluster.cluster.as_ref()?.proxy_url.as_deref().filter(|url| !url.is_empty())?;
    Some(url.replacen("socks5h://", "socks5://", 1).parse())
}

/// A client whose server has answered a first request.
pub(crate) async fn connect(route: Route) -> Result<Client, Failure> {
    let url = route.url();
    let Route { mut config, proxy } = route;
    config.connect_timeout = Some(PATIENCE);
    // The reflector retries, and shows that it does.
    config.default_retry = false;
    // The choice was made for this server; the client's own looks at the proxy's address.
    config.proxy_url = proxy.as_ref().map(|proxy| proxy.uri.clone());
    let plugin = config.auth_info.exec.clone();
    let client = renewing_client(config)
        .map_err(|error| explain_client(&url, plugin.as_ref(), proxy.as_ref(), &error))?;
    match tokio::time::timeout(PATIENCE, client.apiserver_version()).await {
        Ok(Ok(_)) => Ok(client),
        // It has answered, though not this; the list will tell whether it answers that.
        Ok(Err(kube::Error::Api(status))) if status.code == 403 => Ok(client),
        Ok(Err(error)) => Err(explain_by(&url, proxy.as_ref(), &error)),
        Err(_) => {
            let by = proxy.map_or_else(String::new, |proxy| format!(" by the proxy {proxy}"));
            Err(Failure::run(format!("{url} did not answer within {PATIENCE:?}{by}"))
                .advise("check the address, and any VPN or proxy on the way"))
        }
    }
}

/// Why there is no client.
fn explain_client(
    url: &str,
    plugin: Option<&ExecConfig>,
    proxy: Option<&Proxy>,
    error: &kube::Error,
) -> Failure {
    let command = plugin.and_then(|plugin| plugin.command.as_deref()).unwrap_or("?");
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
            // What went to the terminal has been seen.
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

/// As [`explain`], where a proxy is on the way.
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

/// Why a request came to nothing.
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

fn explain_kubeconfig(path: Option<&Path>, error: &KubeconfigError) -> Failure {
    let name = match path {
        Some(path) => format!("the kubeconfig {}", path.display()),
        None => "the kubeconfig".to_owned(),
    };
    match error {
        KubeconfigError::ReadConfig(error, path) => {
            let path: &PathBuf = path;
            Failure::run(format!("the kubeconfig {} cannot be read: {error}", path.display()))
                .advise("check the path, or leave out --kubeconfig and --context for the embedded server")
        }
        KubeconfigError::FindPath => Failure::run("there is no kubeconfig: no home directory")
            .advise("pass its path with --kubeconfig"),
        KubeconfigError::Parse(error) => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            Failure::run(format!("{name} does not parse: {line}"))
                .advise("`kubectl config view` with it, or another file")
        }
        KubeconfigError::CurrentContextNotSet => {
            Failure::run(format!("{name} names no current context"))
                .advise("pass one with --context; `kubectl config get-contexts` lists them")
        }
        KubeconfigError::LoadContext(context) => {
            Failure::run(format!("{name} has no context \"{context}\""))
                .advise("`kubectl config get-contexts` lists them")
        }
        KubeconfigError::ParseProxyUrl(error) => {
            Failure::run(format!("the proxy of {name}, or in HTTPS_PROXY, is no address: {error}"))
                .advise("write it as http://proxy.example.com:3128")
        }
        KubeconfigError::ParseNoProxy(error) => {
            Failure::run(format!("the client does not take what NO_PROXY holds: {error}"))
                .advise("entries such as example.com or 10.0.0.0/8, no empty ones")
        }
        error => Failure::run(format!("{name} cannot be used: {}", chain(error)))
            .advise("`kubectl config view` with it, or another file"),
    }
}

/// An error with what caused it, in one line.
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
