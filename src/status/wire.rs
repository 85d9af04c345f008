//! The JSON form of a [`Status`], read and written.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Outcome, Status, StatusDetails, StatusParseError, StatusReason};

/// Reads `null` as the default: Go writes it for a nil slice or pointer.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metadata {
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub(super) resource_version: String,
    #[serde(
        rename = "continue",
        deserialize_with = "or_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub(super) continue_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remaining_item_count: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct WireStatus {
    pub(super) kind: Option<String>,
    pub(super) api_version: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) metadata: Metadata,
    pub(super) status: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) message: String,
    pub(super) reason: Option<StatusReason>,
    pub(super) details: Option<StatusDetails>,
    pub(super) code: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypeMeta {
    kind: String,
    #[serde(default)]
    api_version: String,
}

impl WireStatus {
    fn is_status(&self) -> bool {
        match self.kind.as_deref() {
            Some(kind) => kind == "Status",
            None => self.status.is_some() || self.reason.is_some() || self.code.is_some(),
        }
    }

    pub(super) fn from_json(json: &[u8]) -> Result<Self, StatusParseError> {
        serde_json::from_slice(json).map_err(|error| {
            // In most other kinds `status` is an object, which fails before the kind is checked. The
            // kind is the better thing to report.
            match serde_json::from_slice::<TypeMeta>(json) {
                Ok(TypeMeta { kind, api_version }) if kind != "Status" => {
                    StatusParseError::UnexpectedObject { kind, api_version }
                }
                _ => error.into(),
            }
        })
    }

    pub(super) fn into_status(self) -> Status {
        let reason = self.reason.unwrap_or_default();
        let code = self.code.map_or(0, |code| code.try_into().unwrap_or(0));
        let outcome = self
            .status
            .as_deref()
            .and_then(Outcome::parse)
            .unwrap_or_else(|| infer_outcome(&reason, code));
        Status {
            outcome,
            reason,
            message: self.message,
            details: self.details.map(Box::new),
            code,
            metadata: self.metadata,
        }
    }
}

/// client-go takes everything but an explicit success for an error. Here a code of success counts, too, if
/// the server said nothing else.
pub(super) fn infer_outcome(reason: &StatusReason, code: u16) -> Outcome {
    match (reason, code) {
        (StatusReason::Working, _) | (StatusReason::Unknown, 202) => Outcome::Working,
        (StatusReason::Unknown, 200..=299) => Outcome::Success,
        _ => Outcome::Failure,
    }
}

impl TryFrom<WireStatus> for Status {
    type Error = StatusParseError;

    fn try_from(wire: WireStatus) -> Result<Self, StatusParseError> {
        if wire.is_status() {
            Ok(wire.into_status())
        } else {
            Err(StatusParseError::UnexpectedObject {
                kind: wire.kind.unwrap_or_default(),
                api_version: wire.api_version.unwrap_or_default(),
            })
        }
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        WireStatus::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Form<'a> {
            kind: &'static str,
            api_version: &'static str,
            metadata: &'a Metadata,
            status: &'static str,
            #[serde(skip_serializing_if = "str::is_empty")]
            message: &'a str,
            #[serde(skip_serializing_if = "str::is_empty")]
            reason: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            details: Option<&'a StatusDetails>,
            #[serde(skip_serializing_if = "Option::is_none")]
            code: Option<u16>,
        }
        Form {
            kind: "Status",
            api_version: "v1",
            metadata: &self.metadata,
            status: self.outcome.as_str(),
            message: &self.message,
            reason: self.reason.as_str(),
            details: self.details(),
            code: (self.code != 0).then_some(self.code),
        }
        .serialize(serializer)
    }
}
