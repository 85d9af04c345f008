//! The reasons of a failure, their spellings and their HTTP codes.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a request did not succeed: the word that a program matches on.
///
/// The variants are the `StatusReason` constants of [apimachinery], plus
/// [`Working`](Self::Working) from 2014. Every reason has one HTTP code, but one code may have
/// several reasons (409, 410 and 500 do), so the reason is always the better thing to match.
///
/// Reasons are parsed from their API spelling and from the lower-case spelling of 2014
/// (`not_found`). A reason this crate does not know is kept word for word in
/// [`Other`](Self::Other).
///
/// ```
/// use watchcache::status::StatusReason;
///
/// assert_eq!(StatusReason::from("NotFound"), StatusReason::NotFound);
/// assert_eq!(StatusReason::from("not_found"), StatusReason::NotFound);
/// assert_eq!(StatusReason::NotFound.code(), 404);
/// assert_eq!(StatusReason::from_code(404), StatusReason::NotFound);
///
/// let odd = StatusReason::from("OutOfCheese");
/// assert!(!odd.is_known());
/// assert_eq!(odd.as_str(), "OutOfCheese");
/// ```
///
/// [apimachinery]: https://pkg.go.dev/k8s.io/apimachinery/pkg/apis/meta/v1#StatusReason
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum StatusReason {
    /// The server gave no reason; written as the empty string. Code 500.
    #[default]
    Unknown,
    /// The caller's credentials are missing or not accepted. Code 401.
    Unauthorized,
    /// The caller is known but may not do this. Code 403.
    Forbidden,
    /// A resource that the request needs does not exist. Code 404.
    NotFound,
    /// The resource to create exists already. Code 409.
    AlreadyExists,
    /// The change clashes with the current state; read it again and retry. Code 409.
    Conflict,
    /// The content is no longer available; today's servers say [`Expired`](Self::Expired). Code 410.
    Gone,
    /// The content, such as a resource version or a continue token, is too old. Code 410.
    Expired,
    /// The object failed validation; the causes name its fields. Code 422.
    Invalid,
    /// The server could not finish in time and the request may be retried. Code 500.
    ServerTimeout,
    /// Stored objects could not be decoded or decrypted. Code 500.
    StorageReadError,
    /// The request did not complete within its time limit. Code 504.
    Timeout,
    /// The caller should slow down and wait for the retry delay. Code 429.
    TooManyRequests,
    /// The request is malformed and can never succeed. Code 400.
    BadRequest,
    /// The resource does not support this action. Code 405.
    MethodNotAllowed,
    /// None of the content types the caller accepts can be produced. Code 406.
    NotAcceptable,
    /// The request body is too large. Code 413.
    RequestEntityTooLarge,
    /// The content type of the request body is not supported. Code 415.
    UnsupportedMediaType,
    /// Something went wrong unexpectedly, and the outcome is unknown. Code 500.
    InternalError,
    /// The service is unavailable at this time. Code 503.
    ServiceUnavailable,
    /// The request was accepted and is still being processed; servers of 2014 only. Code 202.
    Working,
    /// A reason this crate does not know, word for word. Code 500.
    ///
    /// Build it with `StatusReason::from`, which picks the named variant where one exists.
    Other(String),
}

/// Every reason with a name of its own.
static KNOWN: [StatusReason; 20] = [
    StatusReason::Unauthorized,
    StatusReason::Forbidden,
    StatusReason::NotFound,
    StatusReason::AlreadyExists,
    StatusReason::Conflict,
    StatusReason::Gone,
    StatusReason::Expired,
    StatusReason::Invalid,
    StatusReason::ServerTimeout,
    StatusReason::StorageReadError,
    StatusReason::Timeout,
    StatusReason::TooManyRequests,
    StatusReason::BadRequest,
    StatusReason::MethodNotAllowed,
    StatusReason::NotAcceptable,
    StatusReason::RequestEntityTooLarge,
    StatusReason::UnsupportedMediaType,
    StatusReason::InternalError,
    StatusReason::ServiceUnavailable,
    StatusReason::Working,
];

impl StatusReason {
    /// All reasons this crate knows by name.
    #[must_use]
    pub fn known() -> &'static [Self] {
        &KNOWN
    }

    /// Returns whether this is one of the named reasons, neither [`Unknown`](Self::Unknown) nor
    /// [`Other`](Self::Other).
    #[must_use]
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown | Self::Other(_))
    }

    /// The reason as the API spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Unknown => "",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "NotFound",
            Self::AlreadyExists => "AlreadyExists",
            Self::Conflict => "Conflict",
            Self::Gone => "Gone",
            Self::Expired => "Expired",
            Self::Invalid => "Invalid",
            Self::ServerTimeout => "ServerTimeout",
            Self::StorageReadError => "StorageReadError",
            Self::Timeout => "Timeout",
            Self::TooManyRequests => "TooManyRequests",
            Self::BadRequest => "BadRequest",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::NotAcceptable => "NotAcceptable",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
            Self::UnsupportedMediaType => "UnsupportedMediaType",
            Self::InternalError => "InternalError",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::Working => "Working",
            Self::Other(reason) => reason,
        }
    }

    /// The HTTP status code that goes with this reason.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::Working => 202,
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::AlreadyExists | Self::Conflict => 409,
            Self::Gone | Self::Expired => 410,
            Self::RequestEntityTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::TooManyRequests => 429,
            Self::ServiceUnavailable => 503,
            Self::Timeout => 504,
            Self::Unknown
            | Self::ServerTimeout
            | Self::StorageReadError
            | Self::InternalError
            | Self::Other(_) => 500,
        }
    }

    /// The reason to assume when only the HTTP status code is known.
    ///
    /// Where a code has several reasons this is the most general: `Conflict` for 409, `Expired`
    /// for 410, `InternalError` for 500 and for every server error without a reason of its own.
    /// Any other code gives [`Unknown`](Self::Unknown).
    ///
    /// ```
    /// use watchcache::status::StatusReason;
    ///
    /// assert_eq!(StatusReason::from_code(409), StatusReason::Conflict);
    /// assert_eq!(StatusReason::from_code(502), StatusReason::InternalError);
    /// assert_eq!(StatusReason::from_code(418), StatusReason::Unknown);
    /// ```
    #[must_use]
    pub fn from_code(code: u16) -> Self {
        match code {
            202 => Self::Working,
            400 => Self::BadRequest,
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            406 => Self::NotAcceptable,
            409 => Self::Conflict,
            410 => Self::Expired,
            413 => Self::RequestEntityTooLarge,
            415 => Self::UnsupportedMediaType,
            422 => Self::Invalid,
            429 => Self::TooManyRequests,
            503 => Self::ServiceUnavailable,
            504 => Self::Timeout,
            500.. => Self::InternalError,
            _ => Self::Unknown,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let reason = match text {
            "" => Self::Unknown,
            "not_found" => Self::NotFound,
            "already_exists" => Self::AlreadyExists,
            "conflict" => Self::Conflict,
            "invalid" => Self::Invalid,
            "working" => Self::Working,
            _ => return KNOWN.iter().find(|known| known.as_str() == text).cloned(),
        };
        Some(reason)
    }
}

impl From<&str> for StatusReason {
    fn from(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|| Self::Other(text.to_owned()))
    }
}

impl From<String> for StatusReason {
    fn from(text: String) -> Self {
        Self::parse(&text).unwrap_or(Self::Other(text))
    }
}

impl FromStr for StatusReason {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::from(text))
    }
}

impl From<StatusReason> for String {
    fn from(reason: StatusReason) -> Self {
        match reason {
            StatusReason::Other(text) => text,
            named => named.as_str().to_owned(),
        }
    }
}

impl fmt::Display for StatusReason {
    /// Prints the API spelling, and `Unknown` where the server gave no reason.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.pad("Unknown"),
            reason => f.pad(reason.as_str()),
        }
    }
}
