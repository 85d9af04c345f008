//! How a request ended.

use std::fmt;

/// How a request ended: the `status` property of a [`Status`](super::Status).
///
/// ```
/// use watchcache::Status;
/// use watchcache::status::Outcome;
///
/// assert_eq!(Status::success().outcome(), Outcome::Success);
/// assert_eq!(Status::bad_request("no").outcome(), Outcome::Failure);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The request did what it asked for.
    Success,
    /// The request failed; the reason says why.
    Failure,
    /// The request was accepted and is still being processed. Servers of 2014 sent this with
    /// code 202; today's never do.
    Working,
}

impl Outcome {
    /// The outcome as the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Failure => "Failure",
            Self::Working => "Working",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "Success" | "success" => Some(Self::Success),
            "Failure" | "failure" => Some(Self::Failure),
            "Working" | "working" => Some(Self::Working),
            _ => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
