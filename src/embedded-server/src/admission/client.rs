//! Asking a webhook.

use axum::body::Body;
use axum::http::{Request as HttpRequest, Uri, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use watchcache::Status;

use super::{Admission, FailurePolicy, Subject, review};
use crate::status::Failure;
use crate::write::Request;

/// The largest response.
const LIMIT: usize = 3 << 20;

/// A webhook, and the connections to it.
#[derive(Debug)]
pub(crate) struct Webhook {
    admission: Admission,
    /// With the timeout in its query, as the real server sends it.
    url: Uri,
    client: Client<HttpConnector, Body>,
}

impl Webhook {
    pub(crate) fn new(admission: Admission) -> Webhook {
        let (text, seconds) = (admission.url(), admission.timeout.as_secs().max(1));
        let sign = if text.contains('?') { '&' } else { '?' };
        let url = format!("{text}{sign}timeout={seconds}s").parse();
        Webhook {
            // It parsed before, and was only extended at its end.
            url: url.unwrap_or_else(|_| admission.url.clone()),
            admission,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// Asks about a write; returns warnings for the client, or why it is denied.
    pub(crate) async fn ask(
        &self,
        request: &Request,
        subject: &Subject,
    ) -> Result<Vec<String>, Failure> {
        let uid = crate::write::uid();
        let question = review::of(&uid, request, subject).to_string();
        let answer = tokio::time::timeout(self.admission.timeout, self.post(question));
        let answer = match answer.await {
            Ok(answered) => {
                answered.and_then(|body| review::read(&self.admission.url(), &uid, &body))
            }
            Err(_) => Err(format!("no answer within {:?}", self.admission.timeout)),
        };
        match (answer, self.admission.failure_policy) {
            (Ok(answer), _) => answer.denial.map_or(Ok(answer.warnings), Err),
            (Err(error), FailurePolicy::Ignore) => {
                tracing::warn!(webhook = %self.admission, error, "the webhook failed, the write is admitted");
                Ok(Vec::new())
            }
            (Err(error), FailurePolicy::Fail) => Err(Status::internal(format!(
                "failed calling webhook \"{}\": {error}",
                self.admission
            ))
            .into()),
        }
    }

    async fn post(&self, question: String) -> Result<Vec<u8>, String> {
        let request = HttpRequest::post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(Body::from(question))
            .map_err(|error| error.to_string())?;
        let response = self.client.request(request).await.map_err(|error| sentence(&error))?;
        let code = response.status();
        let body = axum::body::to_bytes(Body::new(response.into_body()), LIMIT)
            .await
            .map_err(|error| sentence(&error))?;
        if code.is_success() { Ok(body.to_vec()) } else { Err(format!("it answered {code}")) }
    }
}

/// An error with its causes.
fn sentence(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        text = format!("{text}: {error}");
        below = error.source();
    }
    text
}
