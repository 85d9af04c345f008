//! A [`Status`] from the `kube` crate's, and from its errors; and back.

use std::error::Error as StdError;
use std::io;

use ::kube::core::response as theirs;

use super::wire::{Metadata, WireStatus, infer_outcome};
use super::{CauseType, Outcome, Status, StatusCause, StatusDetails, StatusReason};

impl From<theirs::Status> for Status {
    fn from(status: theirs::Status) -> Self {
        let metadata = status.metadata.unwrap_or_default();
        WireStatus {
            metadata: Metadata {
                resource_version: metadata.resource_version.unwrap_or_default(),
                continue_token: metadata.continue_.unwrap_or_default(),
                remaining_item_count: metadata.remaining_item_count,
            },
            status: status.status.map(|summary| match summary {
                theirs::StatusSummary::Success => "Success".to_owned(),
                theirs::StatusSummary::Failure => "Failure".to_owned(),
            }),
            message: status.message,
            reason: Some(status.reason.into()),
            details: status.details.map(Into::into),
            code: Some(status.code.into()),
            ..WireStatus::default()
        }
        .into_status()
    }
}

impl From<&theirs::Status> for Status {
    fn from(status: &theirs::Status) -> Self {
        status.clone().into()
    }
}

impl From<theirs::StatusDetails> for StatusDetails {
    fn from(details: theirs::StatusDetails) -> Self {
        let causes = details.causes.into_iter().map(StatusCause::from);
        let retry_after = std::time::Duration::from_secs(details.retry_after_seconds.into());
        Self::new(details.group, details.kind, details.name)
            .with_uid(details.uid)
            .with_causes(causes)
            .with_retry_after(retry_after)
    }
}

impl From<theirs::StatusCause> for StatusCause {
    fn from(cause: theirs::StatusCause) -> Self {
        Self::new(cause.reason, cause.message).with_field(cause.field)
    }
}

/// Whole, but for what kube's cannot say: work in progress ([`Outcome::Working`]) has no outcome there, but its
/// reason or code. Where they say something else, the reason becomes [`StatusReason::Working`]. So what is made of it
/// here again is the same, but for that.
///
/// ```
/// use watchcache::Status;
///
/// let status = Status::not_found("apps", "deployments", "web");
/// let theirs = kube::core::Status::from(status.clone());
/// assert!(theirs.is_not_found());
/// assert_eq!(Status::from(theirs), status);
/// ```
impl From<Status> for theirs::Status {
    fn from(status: Status) -> Self {
        let Status { outcome, reason, message, details, code, metadata } = status;
        let Metadata { resource_version, continue_token, remaining_item_count } = metadata;
        let is_told = outcome != Outcome::Working || infer_outcome(&reason, code) == outcome;
        let reason = if is_told { reason } else { StatusReason::Working };
        let some = |text: String| (!text.is_empty()).then_some(text);
        let nothing = Self::default().metadata.unwrap_or_default();
        let mut metadata = nothing.clone();
        metadata.resource_version = some(resource_version);
        metadata.continue_ = some(continue_token);
        metadata.remaining_item_count = remaining_item_count;
        Self {
            status: match outcome {
                Outcome::Success => Some(theirs::StatusSummary::Success),
                Outcome::Failure => Some(theirs::StatusSummary::Failure),
                Outcome::Working => None,
            },
            code,
            message,
            metadata: Some(metadata).filter(|metadata| *metadata != nothing),
            reason: reason.into(),
            details: details.map(|details| (*details).into()),
        }
    }
}

impl From<StatusDetails> for theirs::StatusDetails {
    fn from(details: StatusDetails) -> Self {
        let StatusDetails { name, group, kind, uid, causes, retry_after_seconds } = details;
        let causes = causes.into_iter().map(Into::into).collect();
        Self { name, group, kind, uid, causes, retry_after_seconds }
    }
}

impl From<StatusCause> for theirs::StatusCause {
    fn from(StatusCause { cause, message, field }: StatusCause) -> Self {
        Self { reason: cause.into(), message, field }
    }
}

/// The server's own answers carry over whole. Errors of the client become the failure that a
/// caller would treat in the same way, for example `ServiceUnavailable` for a lost connection.
impl From<&::kube::Error> for Status {
    fn from(error: &::kube::Error) -> Self {
        use ::kube::Error;

        let message = error.to_string();
        match error {
            Error::Api(status) => status.as_ref().into(),
            Error::Auth(_) => Self::unauthorized(message),
            Error::BuildRequest(_) => Self::bad_request(message),
            Error::SerdeError(_) | Error::FromUtf8(_) | Error::LinesCodecMaxLineLengthExceeded => {
                let cause = StatusCause::new(CauseType::UnexpectedServerResponse, message.clone());
                Self::failure(StatusReason::InternalError, message).with_cause(cause)
            }
            Error::HyperError(_) | Error::Service(_) | Error::ReadEvents(_) => {
                if timed_out(error) {
                    Self::failure(StatusReason::Timeout, message)
                } else {
                    Self::service_unavailable(message)
                }
            }
            _ => Self::failure(StatusReason::InternalError, message),
        }
    }
}

impl From<::kube::Error> for Status {
    fn from(error: ::kube::Error) -> Self {
        match error {
            ::kube::Error::Api(status) => (*status).into(),
            other => (&other).into(),
        }
    }
}

fn timed_out(error: &::kube::Error) -> bool {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        next = error.source();
    }
    false
}
