//! The details of a status: what it is about, its causes, and how long to wait.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cause::StatusCause;
use super::wire::or_default;

/// What a [`Status`](super::Status) is about: the resource, the causes, and how long to wait.
///
/// This is [metav1.StatusDetails]. The `id` of the 2014 API is read as the name.
///
/// ```
/// use watchcache::status::StatusDetails;
///
/// let details = StatusDetails::new("apps", "deployments", "web");
/// assert_eq!(details.qualified_kind(), "deployments.apps");
/// assert_eq!(details.name(), "web");
/// ```
///
/// [metav1.StatusDetails]: https://pkg.go.dev/k8s.io/apimachinery/pkg/apis/meta/v1#StatusDetails
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "WireDetails", rename_all = "camelCase")]
pub struct StatusDetails {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) group: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) uid: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) causes: Vec<StatusCause>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) retry_after_seconds: u32,
}

impl StatusDetails {
    /// Details about one resource; the group is empty for the core API, and the name is empty
    /// where no single object is meant.
    #[must_use]
    pub fn new(group: impl Into<String>, kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self { name: name.into(), group: group.into(), kind: kind.into(), ..Self::default() }
    }

    /// Sets the unique id of the object.
    #[must_use]
    pub fn with_uid(mut self, uid: impl Into<String>) -> Self {
        self.uid = uid.into();
        self
    }

    /// Adds a cause.
    #[must_use]
    pub fn with_cause(mut self, cause: StatusCause) -> Self {
        self.causes.push(cause);
        self
    }

    /// Adds several causes.
    #[must_use]
    pub fn with_causes(mut self, causes: impl IntoIterator<Item = StatusCause>) -> Self {
        self.causes.extend(causes);
        self
    }

    /// Says how long to wait before another try.
    ///
    /// The API counts whole seconds in 32 signed bits: the delay is rounded up, and capped.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        let seconds = delay.as_secs().saturating_add(u64::from(delay.subsec_nanos() > 0));
        self.retry_after_seconds = cap_seconds(seconds);
        self
    }

    /// The name of the object; empty if there is no single one.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The API group; empty for the core API.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The kind, or more often the resource (`pods`), that the status is about.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The unique id of the object; empty if the server sent none.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The individual problems behind the failure, for example one for each invalid field.
    #[must_use]
    pub fn causes(&self) -> &[StatusCause] {
        &self.causes
    }

    /// How long to wait before another try, if the server said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        (self.retry_after_seconds > 0)
            .then(|| Duration::from_secs(u64::from(self.retry_after_seconds)))
    }

    /// Kind and group in one word, as messages have it: `pods`, `deployments.apps`.
    #[must_use]
    pub fn qualified_kind(&self) -> Cow<'_, str> {
        if self.group.is_empty() || self.kind.is_empty() {
            Cow::Borrowed(&self.kind)
        } else {
            Cow::Owned(format!("{}.{}", self.kind, self.group))
        }
    }
}

/// Go's int32 holds the delay, so a larger one could not be read by a Go client.
fn cap_seconds(seconds: u64) -> u32 {
    seconds.min(i32::MAX as u64) as u32
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference
fn is_zero(seconds: &u32) -> bool {
    *seconds == 0
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireDetails {
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    id: String,
    #[serde(deserialize_with = "or_default")]
    group: String,
    #[serde(deserialize_with = "or_default")]
    kind: String,
    #[serde(deserialize_with = "or_default")]
    uid: String,
    #[serde(deserialize_with = "or_default")]
    causes: Vec<StatusCause>,
    #[serde(deserialize_with = "or_default")]
    retry_after_seconds: i64,
}

impl From<WireDetails> for StatusDetails {
    fn from(wire: WireDetails) -> Self {
        Self {
            name: if wire.name.is_empty() { wire.id } else { wire.name },
            group: wire.group,
            kind: wire.kind,
            uid: wire.uid,
            causes: wire.causes,
            retry_after_seconds: cap_seconds(wire.retry_after_seconds.try_into().unwrap_or(0)),
        }
    }
}
