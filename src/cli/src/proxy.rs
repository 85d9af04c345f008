//! The proxy by which a server is reached, chosen as kubectl chooses it.

use std::fmt;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

/// A proxy, and the setting that named it.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) uri: Uri,
    pub(crate) named_by: &'static str,
}

/// Looks up an environment variable; `None` if it is unset or empty.
type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Proxy {
    /// The proxy of the kubeconfig's cluster, which is for this very server.
    pub(crate) fn of_cluster(uri: Uri) -> Self {
        Self { uri, named_by: "proxy-url of the kubeconfig" }
    }

    /// The proxy that the environment names for this server, if it is to be reached by one.
    pub(crate) fn of_environment(server: &Uri) -> Result<Option<Self>, String> {
        Self::find(server, &|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn find(server: &Uri, environment: Environment<'_>) -> Result<Option<Self>, String> {
        let names = match server.scheme_str() {
            Some("https") => ["HTTPS_PROXY", "https_proxy"],
            _ => ["HTTP_PROXY", "http_proxy"],
        };
        let named = names.into_iter().find_map(|name| Some((name, environment(name)?)));
        let Some((named_by, value)) = named else { return Ok(None) };
        if is_loopback(server) {
            return Ok(None);
        }
        let exceptions = environment("NO_PROXY").or_else(|| environment("no_proxy"));
        let exceptions = for_port(&exceptions.unwrap_or_default(), port(server));
        let matcher = Matcher::builder().all("http://any").no(exceptions).build();
        if matcher.intercept(server).is_none() {
            return Ok(None);
        }
        // Without a scheme it means HTTP.
        let url = if value.contains("://") { value.clone() } else { format!("http://{value}") };
        // The client always has the proxy resolve names, which is all that the 'h' asks for.
        let url = url.replacen("socks5h://", "socks5://", 1);
        match url.parse::<Uri>() {
            Ok(uri) if uri.host().is_some() => Ok(Some(Self { uri, named_by })),
            _ => Err(format!("{named_by} is no address of a proxy: {}", without_password(&value))),
        }
    }
}

/// Returns whether the server is on this machine: Go never uses a proxy for that.
fn is_loopback(server: &Uri) -> bool {
    let host = server.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn port(server: &Uri) -> u16 {
    server.port_u16().unwrap_or(if server.scheme_str() == Some("https") { 443 } else { 80 })
}

/// The exceptions that concern this port, without the port, in the form that the matcher takes: Go's may
/// also name a port, and put a star before a domain.
fn for_port(exceptions: &str, port: u16) -> String {
    let for_port = exceptions.split(',').map(str::trim).filter_map(|exception| {
        let (host, wanted) = match exception.rsplit_once(':') {
            // Not an IPv6 address or a network.
            Some((host, digits)) if !host.contains(':') || host.ends_with(']') => {
                (host, digits.parse::<u16>().ok())
            }
            _ => (exception, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let host = if host.starts_with("*.") { &host[1..] } else { host };
        wanted.is_none_or(|wanted| wanted == port).then_some(host)
    });
    for_port.collect::<Vec<_>>().join(",")
}

fn without_password(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            if scheme.is_empty() { host.to_owned() } else { format!("{scheme}://{host}") }
        }
        None => url.to_owned(),
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.uri.to_string();
        write!(f, "{} ({})", without_password(url.trim_end_matches('/')), self.named_by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(server: &str, variables: &[(&str, &str)]) -> Option<String> {
        let find = |name: &str| {
            variables.iter().find(|(held, _)| *held == name).map(|(_, value)| (*value).to_owned())
        };
        let server = server.parse().expect("a URL");
        Proxy::find(&server, &find).expect("an address").map(|proxy| proxy.to_string())
    }

    const SECURE: (&str, &str) = ("HTTPS_PROXY", "http://user:secret@proxy.example.com:3128");
    const SERVER: &str = "https://api.example.com:6443";

    #[test]
    fn the_environment_names_a_proxy_for_each_scheme() {
        let shown = "http://proxy.example.com:3128 (HTTPS_PROXY)";
        assert_eq!(proxy(SERVER, &[SECURE]).as_deref(), Some(shown));
        assert_eq!(proxy("http://api.example.com", &[SECURE]), None);
        let plain = proxy("http://api.example.com", &[("http_proxy", "proxy:80")]);
        assert_eq!(plain.as_deref(), Some("http://proxy:80 (http_proxy)"));
        let socks = proxy(SERVER, &[("https_proxy", "socks5h://[::1]:1080")]);
        assert_eq!(socks.as_deref(), Some("socks5://[::1]:1080 (https_proxy)"));
        assert_eq!(proxy(SERVER, &[]), None);
    }

    #[test]
    fn no_proxy_is_about_the_server() {
        for exceptions in [
            "api.example.com",
            "example.com",
            ".example.com",
            "*.example.com",
            "other, api.example.com:6443,",
            "*",
        ] {
            assert_eq!(proxy(SERVER, &[SECURE, ("NO_PROXY", exceptions)]), None, "{exceptions}");
        }
        for exceptions in
            ["proxy.example.com", "api.example.com:443", "ample.com", ",", "10.0.0.0/8"]
        {
            let found = proxy(SERVER, &[SECURE, ("no_proxy", exceptions)]);
            assert!(found.is_some(), "{exceptions}");
        }
        let server = "https://10.1.2.3:6443";
        for exceptions in ["10.0.0.0/8", "10.1.2.3", "10.1.2.3:6443"] {
            assert_eq!(proxy(server, &[SECURE, ("NO_PROXY", exceptions)]), None, "{exceptions}");
        }
        let six = "https://[fd00::1]:6443";
        for exceptions in ["fd00::/8", "fd00::1", "[fd00::1]:6443"] {
            assert_eq!(proxy(six, &[SECURE, ("NO_PROXY", exceptions)]), None, "{exceptions}");
        }
    }

    #[test]
    fn this_machine_needs_no_proxy() {
        for server in ["https://localhost:6443", "https://127.0.0.1:6443", "https://[::1]:6443"] {
            assert_eq!(proxy(server, &[SECURE]), None, "{server}");
        }
    }

    #[test]
    fn what_is_no_address_is_an_error_without_the_password() {
        let find = |name: &str| (name == "HTTPS_PROXY").then(|| "http://me:secret@ a b".to_owned());
        let error = Proxy::find(&SERVER.parse().expect("a URL"), &find).expect_err("no address");
        assert!(error.contains("HTTPS_PROXY") && !error.contains("secret"), "{error}");
    }
}
