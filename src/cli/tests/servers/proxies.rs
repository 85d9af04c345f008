//! Proxies on the way, of the kubeconfig and of the environment.

use crate::proxy::Proxy;
use crate::{command, failed, kubeconfig, quiet, verified};

#[test]
fn proxies_of_the_kubeconfig() {
    let server = quiet();
    for (name, proxy, scheme) in [
        ("http", Proxy::http(&server.address), "http"),
        ("socks5", Proxy::socks5(&server.address), "socks5"),
        ("socks5h", Proxy::socks5(&server.address), "socks5h"),
    ] {
        let cluster = format!(", proxy-url: \"{scheme}://{}\"", proxy.address);
        // A name that only the proxy knows.
        let config =
            kubeconfig(&format!("proxy-{name}"), "http://api.example.invalid", &cluster, "");
        // The kubeconfig's own is for this very server, whatever the environment says.
        let mut command = command(&["--kubeconfig", &config, "--duration", "5s"]);
        verified(command.env("NO_PROXY", "*.invalid").env("HTTP_PROXY", "http://127.0.0.1:1"));
        assert!(proxy.used() > 0, "{name}");
    }
    let cluster = ", proxy-url: \"http://me:secret@127.0.0.1:1\"";
    let config = kubeconfig("proxy-dead", "http://api.example.invalid", cluster, "");
    let text = failed(&mut command(&["--kubeconfig", &config]));
    let words = "the proxy http://127.0.0.1:1 (proxy-url of the kubeconfig) does not answer";
    assert!(text.contains(words) && text.contains("NO_PROXY"), "{text}");
    assert!(!text.contains("secret"), "{text}");
    let config =
        kubeconfig("proxy-ftp", "http://api.example.invalid", ", proxy-url: \"ftp://p\"", "");
    let text = failed(&mut command(&["--kubeconfig", &config]));
    assert!(text.contains("the proxy ftp://p") && text.contains("socks5"), "{text}");
}

#[test]
fn proxies_of_the_environment() {
    let server = quiet();
    let proxy = Proxy::http(&server.address);
    let args = ["--server", "http://api.example.invalid", "--duration", "5s"];
    // Without a scheme, as curl and Go take it.
    verified(command(&args).env("HTTP_PROXY", &proxy.address));
    let used = proxy.used();
    assert!(used > 0);
    let mut direct = command(&args);
    direct.env("HTTP_PROXY", &proxy.address).env("NO_PROXY", "other, .example.invalid,");
    assert!(failed(&mut direct).contains("cannot be resolved"));
    let text = failed(command(&args).env("http_proxy", "http://127.0.0.1:1"));
    assert!(text.contains("the proxy http://127.0.0.1:1 (http_proxy)"), "{text}");
    // This machine is reached without it.
    let mut local = command(&["--duration", "5s"]);
    verified(local.args(["--server", &server.url()]).env("HTTP_PROXY", "http://127.0.0.1:1"));
    assert_eq!(proxy.used(), used);
}

#[test]
fn exceptions_from_the_proxy_may_be_empty() {
    let server = quiet();
    let config = kubeconfig("no-proxy", &server.url(), "", "");
    for exceptions in ["localhost,127.0.0.1,", "a,,b", ","] {
        let mut command = command(&["--kubeconfig", &config, "--duration", "3s"]);
        verified(command.env("NO_PROXY", exceptions).env("HTTPS_PROXY", "http://127.0.0.1:1"));
    }
    // For another scheme than the server's, it is nobody's.
    let mut command = command(&["--kubeconfig", &config, "--duration", "3s"]);
    verified(command.env("HTTPS_PROXY", "no address"));
}
