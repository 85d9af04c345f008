//! Admission by a webhook: the program that runs the server can reject each write of a client.

mod client;
mod review;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::http::Uri;

pub(crate) use client::Webhook;
pub(crate) use review::{Operation, Subject};

/// A webhook that is asked about each write of a client's, as by a ValidatingWebhookConfiguration
/// whose rules match everything.
///
/// It is sent an `AdmissionReview` of `admission.k8s.io/v1` once the write is decoded, defaulted and
/// valid, and before it is committed: with the object, the old object, the operation and whether it
/// is a dry run. If the object changes in between, it is asked again about the new result. A denial
/// reaches the client as the Status that the webhook returns. Writes of the server's own controllers are
/// not reviewed.
///
/// ```
/// use std::time::Duration;
/// use watchcache_embedded_server::{Admission, AdmissionError, Config, FailurePolicy};
///
/// let admission: Admission = "http://127.0.0.1:9443/validate".parse()?;
/// let admission = admission.timeout(Duration::from_secs(2)).failure_policy(FailurePolicy::Ignore);
/// let config = Config { admission: Some(admission), ..Config::default() };
/// assert!(config.admission.is_some_and(|admission| admission.url().ends_with("/validate")));
/// assert_eq!("https://example.com".parse::<Admission>().err(), Some(AdmissionError::Scheme));
/// # Ok::<(), AdmissionError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    url: Uri,
    failure_policy: FailurePolicy,
    timeout: Duration,
}

/// What happens to a write while the webhook cannot be reached, or does not respond as it should.
///
/// ```
/// use watchcache_embedded_server::{Admission, AdmissionError, FailurePolicy};
///
/// // As a ValidatingWebhookConfiguration has it that leaves it out:
/// assert_eq!(FailurePolicy::default(), FailurePolicy::Fail);
/// // A webhook that is not there yet keeps nobody from writing.
/// let admission: Admission = "http://127.0.0.1:9443/validate".parse()?;
/// let admission = admission.failure_policy(FailurePolicy::Ignore);
/// # let _ = admission;
/// # Ok::<(), AdmissionError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum FailurePolicy {
    /// It fails, with an internal error (500) that gives the reason.
    #[default]
    Fail,
    /// It is admitted.
    Ignore,
}

/// Why an address is not a webhook's.
///
/// ```
/// use watchcache_embedded_server::{Admission, AdmissionError};
///
/// let of = |url: &str| url.parse::<Admission>().err();
/// assert_eq!(of("https://127.0.0.1:9443/validate"), Some(AdmissionError::Scheme));
/// assert_eq!(of("127.0.0.1:9443"), Some(AdmissionError::Scheme));
/// assert!(matches!(of("http://127.0.0.1/a webhook"), Some(AdmissionError::Url(_))));
/// assert_eq!(of("http://127.0.0.1:9443/validate"), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdmissionError {
    /// It is not a URL.
    #[error("it is no URL: {0}")]
    Url(String),
    /// It is not `http`: the server serves no TLS itself, and uses none for webhooks.
    #[error("write it as http://127.0.0.1:9443/validate: a webhook is asked over plain HTTP")]
    Scheme,
    /// It names no host.
    #[error("it names no host: write it as http://127.0.0.1:9443/validate")]
    Host,
}

impl Admission {
    /// Where the webhook is.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.to_string()
    }

    /// What happens to a write while the webhook fails. Default: it fails, too.
    #[must_use]
    pub fn failure_policy(mut self, policy: FailurePolicy) -> Admission {
        self.failure_policy = policy;
        self
    }

    /// How long a response may take. Default: 10 s, as for the real server.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Admission {
        self.timeout = timeout;
        self
    }
}

impl FromStr for Admission {
    type Err = AdmissionError;

    fn from_str(url: &str) -> Result<Admission, AdmissionError> {
        let url: Uri = url.parse().map_err(|error| AdmissionError::Url(format!("{error}")))?;
        if url.scheme_str() != Some("http") {
            return Err(AdmissionError::Scheme);
        }
        if url.host().is_none_or(str::is_empty) {
            return Err(AdmissionError::Host);
        }
        let (failure_policy, timeout) = (FailurePolicy::default(), Duration::from_secs(10));
        Ok(Admission { url, failure_policy, timeout })
    }
}

impl fmt::Display for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}
