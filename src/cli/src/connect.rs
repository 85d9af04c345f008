//! From a target to a client of a server that has answered, with each failure as a sentence.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use crate::failure::Failure;
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

/// The client's configuration for a cluster that is already there.
pub(crate) async fn configure(target: &Target) -> Result<Config, Failure> {
    match target {
        Target::Embedded(_) => Err(Failure::run("the embedded server has not been started")),
        Target::Server(url) => check_url(url),
        Target::InCluster => Config::incluster().map_err(|error| {
            Failure::run(format!("this does not run in a cluster's Pod: {error}"))
                .advise("leave out --in-cluster and pass --kubeconfig or --server")
        }),
        Target::Kubeconfig { path, context } => {
            let kubeconfig = match path {
                Some(path) => Kubeconfig::read_from(path),
                None => Kubeconfig::read(),
            };
            let options = KubeConfigOptions { context: context.clone(), ..Default::default() };
            let configured = match kubeconfig {
                Ok(kubeconfig) => Config::from_custom_kubeconfig(kubeconfig, &options).await,
                Err(error) => Err(error),
            };
            configured.map_err(|error| explain_kubeconfig(path.as_deref(), &error))
        }
    }
}

/// A client whose server has answered a first request.
pub(crate) async fn connect(mut config: Config) -> Result<Client, Failure> {
    config.connect_timeout = Some(PATIENCE);
    // The reflector retries, and shows that it does.
    config.default_retry = false;
    let url = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let client = Client::try_from(config).map_err(|error| {
        Failure::run(format!("the credentials for {url} cannot be used: {}", chain(&error)))
            .advise("`kubectl get nodes` with the same kubeconfig, or log in again")
    })?;
    match tokio::time::timeout(PATIENCE, client.apiserver_version()).await {
        Ok(Ok(_)) => Ok(client),
        // It has answered, though not this; the list will tell whether it answers that.
        Ok(Err(kube::Error::Api(status))) if status.code == 403 => Ok(client),
        Ok(Err(error)) => Err(explain(&url, &error)),
        Err(_) => Err(Failure::run(format!("{url} did not answer within {PATIENCE:?}"))
            .advise("check the address, and any VPN or proxy on the way")),
    }
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
        let cases: [(kube::Error, &str); 5] = [
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
