//! A kubeconfig, without the proxy that `kube`'s loader would choose for it.

use std::path::{Path, PathBuf};

use kube::Config;
use kube::config::{
    Cluster, Context, ExecAuthCluster, KubeConfigOptions, Kubeconfig, KubeconfigError,
};

use crate::connect::chain;
use crate::failure::Failure;

/// The proxy that the kubeconfig itself names, if it is an address.
pub(crate) type OwnProxy = Result<http::Uri, http::uri::InvalidUri>;

/// The configuration of a context, and its own proxy.
pub(crate) async fn load(
    path: Option<&Path>,
    context: Option<&str>,
) -> Result<(Config, Option<OwnProxy>), Failure> {
    let fail = |error| explain(path, &error);
    let kubeconfig = match path {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let kubeconfig = kubeconfig.map_err(fail)?;
    let own_proxy = proxy_url(&kubeconfig, context);
    let options =
        KubeConfigOptions { context: context.map(ToOwned::to_owned), ..Default::default() };
    let config = match Config::from_custom_kubeconfig(kubeconfig.clone(), &options).await {
        // An error about the environment, where other programs accept more, and which may not even concern
        // this server.
        Err(error @ (KubeconfigError::ParseNoProxy(_) | KubeconfigError::ParseProxyUrl(_))) => {
            without_proxy(&kubeconfig, context).ok_or(error)
        }
        loaded => loaded,
    };
    Ok((config.map_err(fail)?, own_proxy))
}

/// The proxy that the kubeconfig names for the cluster of a context.
fn proxy_url(kubeconfig: &Kubeconfig, context: Option<&str>) -> Option<OwnProxy> {
    let (_, cluster) = of_context(kubeconfig, context)?;
    let url = cluster.proxy_url.as_deref().filter(|url| !url.is_empty())?;
    Some(url.replacen("socks5h://", "socks5://", 1).parse())
}

fn of_context<'a>(
    kubeconfig: &'a Kubeconfig,
    context: Option<&str>,
) -> Option<(&'a Context, &'a Cluster)> {
    let name = context.or(kubeconfig.current_context.as_deref())?;
    let context = kubeconfig.contexts.iter().find(|context| context.name == name)?;
    let context = context.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter().find(|cluster| cluster.name == context.cluster)?;
    Some((context, cluster.cluster.as_ref()?))
}

/// The configuration as the loader makes it. The loader reads the proxy last, so everything else was
/// valid.
fn without_proxy(kubeconfig: &Kubeconfig, context: Option<&str>) -> Option<Config> {
    let (context, cluster) = of_context(kubeconfig, context)?;
    // Reads the certificate authorities, wherever they are.
    let described = ExecAuthCluster::try_from(cluster).ok()?;
    let mut config = Config::new(cluster.server.as_deref()?.parse().ok()?);
    if let Some(namespace) = &context.namespace {
        config.default_namespace.clone_from(namespace);
    }
    if let Some(authorities) = &described.certificate_authority_data {
        config.root_cert = Some(certificates(authorities)?);
    }
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
    config.disable_compression = cluster.disable_compression.unwrap_or(false);
    config.tls_server_name.clone_from(&cluster.tls_server_name);
    if let Some(name) = &context.user {
        let user = kubeconfig.auth_infos.iter().find(|user| user.name == *name);
        config.auth_info = user.and_then(|user| user.auth_info.clone()).unwrap_or_default();
    }
    if let Some(plugin) = &mut config.auth_info.exec
        && plugin.provide_cluster_info
    {
        plugin.cluster = Some(described);
    }
    Some(config)
}

fn certificates(authorities: &[u8]) -> Option<Vec<Vec<u8>>> {
    let blocks = pem::parse_many(authorities).ok()?;
    let certificates = blocks.into_iter().filter(|block| block.tag() == "CERTIFICATE");
    Some(certificates.map(pem::Pem::into_contents).collect())
}

fn explain(path: Option<&Path>, error: &KubeconfigError) -> Failure {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_proxy_it_is_what_the_loader_makes() {
        let text = "
current-context: test
contexts: [{ name: test, context: { cluster: c, user: u, namespace: here } }]
clusters: [{ name: c, cluster: { server: 'https://there:6443', tls-server-name: x, disable-compression: true,
  certificate-authority-data: \"LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkFRSUQKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=\" } }]
users: [{ name: u, user: { exec: { apiVersion: client.authentication.k8s.io/v1, command: p,
  interactiveMode: Never, provideClusterInfo: true } } }]
";
        let kubeconfig = Kubeconfig::from_yaml(text).expect("a kubeconfig");
        let made = without_proxy(&kubeconfig, None).expect("all is there");
        let options = KubeConfigOptions::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let loaded = runtime.block_on(Config::from_custom_kubeconfig(kubeconfig, &options));
        let mut loaded = loaded.expect("it loads");
        assert_eq!(made.root_cert, Some(vec![vec![1, 2, 3]]));
        // From the environment of the test.
        loaded.proxy_url = None;
        assert_eq!(format!("{made:?}"), format!("{loaded:?}"));
    }
}
