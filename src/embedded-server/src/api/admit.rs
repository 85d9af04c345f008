//! Review of writes by a webhook, if there is one.

use std::sync::Arc;

use serde_json::Value;

use super::path::Subresource;
use crate::admission::{Operation, Subject, Webhook};
use crate::status::Failure;
use crate::write::{Deleted, Planned, Request, Review, Written, scale};

/// How often a webhook is asked about one write, if the object keeps changing.
const TRIES: usize = 32;

/// Takes one request's writes past the webhook.
pub(super) struct Admitting<'a> {
    webhook: Option<&'a Webhook>,
    subresource: Option<Subresource>,
    /// The written object, if it is another than the one that changes.
    written: Option<Value>,
    warnings: Vec<String>,
}

impl<'a> Admitting<'a> {
    pub(super) fn new(webhook: Option<&'a Webhook>, subresource: Option<Subresource>) -> Self {
        Admitting { webhook, subresource, written: None, warnings: Vec::new() }
    }

    /// Has the webhook asked about this object, and not about the one that changes by it.
    pub(super) fn is_of(&mut self, written: &Value) {
        self.written = Some(written.clone());
    }

    /// The webhook's warnings.
    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    pub(super) async fn write(
        &mut self,
        request: &Request,
        write: impl Fn(&Request) -> Result<Written, Failure>,
    ) -> Result<Written, Failure> {
        self.admitted(request, false, write).await
    }

    pub(super) async fn delete(
        &mut self,
        request: &Request,
        delete: impl Fn(&Request) -> Result<Deleted, Failure>,
    ) -> Result<Deleted, Failure> {
        self.admitted(request, true, delete).await
    }

    /// Does a write once its result is admitted.
    async fn admitted<R>(
        &mut self,
        request: &Request,
        deletes: bool,
        write: impl Fn(&Request) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let Some(webhook) = self.webhook else { return write(request) };
        let review = Arc::new(Review::default());
        let request = Request { review: Some(Arc::clone(&review)), ..request.clone() };
        for _ in 0..TRIES {
            let result = write(&request)?;
            let Some(planned) = review.noted() else { return Ok(result) };
            let subject = self.subject(&request, deletes, &planned);
            self.warnings = webhook.ask(&request, &subject).await?;
            if request.dry_run {
                return Ok(result);
            }
            review.admit(planned);
        }
        Err(Failure::modified(&request.definition, ""))
    }

    fn subject(&self, request: &Request, deletes: bool, planned: &Planned) -> Subject {
        let is_binding = self.subresource == Some(Subresource::Binding);
        let operation = match planned.expected {
            _ if deletes => Operation::Delete,
            _ if is_binding => Operation::Create,
            None => Operation::Create,
            Some(_) => Operation::Update,
        };
        let definition = &request.definition;
        let as_scale =
            |object: &Option<Value>| Some(scale::of(definition.scale.as_ref()?, object.as_ref()?));
        let (object, old) = match self.subresource {
            _ if deletes => (None, planned.old.clone()),
            Some(Subresource::Binding) => (self.written.clone(), None),
            Some(Subresource::Scale) => (as_scale(&planned.object), as_scale(&planned.old)),
            _ => (planned.object.clone(), planned.old.clone()),
        };
        let (subresource, kind) = match self.subresource {
            None => (None, None),
            Some(Subresource::Status) => (Some("status"), None),
            Some(Subresource::Finalize) => (Some("finalize"), None),
            Some(Subresource::Binding) => (Some("binding"), Some(("v1", "Binding"))),
            Some(Subresource::Scale) => (Some("scale"), Some(("autoscaling/v1", "Scale"))),
        };
        Subject { operation, subresource, kind, name: planned.name.clone(), object, old }
    }
}
