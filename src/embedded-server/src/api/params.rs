//! The query of a list or a watch.

use axum::extract::Query;
use axum::http::Uri;

use watchcache::status::CauseType;

use crate::status::Failure;

/// Which versions satisfy the resourceVersion of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VersionMatch {
    Exact,
    NotOlderThan,
}

/// How the rows of a table include their objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IncludeObject {
    Nothing,
    Metadata,
    Object,
}

/// The parameters of a request, each as far as it can be read alone.
#[derive(Debug)]
pub(crate) struct Params {
    pub(crate) watch: bool,
    pub(crate) limit: Option<usize>,
    pub(crate) continue_token: Option<String>,
    /// `None` when absent or empty; `Some(0)` for "any version".
    pub(crate) version: Option<u64>,
    pub(crate) version_match: Option<VersionMatch>,
    pub(crate) bookmarks: bool,
    pub(crate) send_initial_events: Option<bool>,
    pub(crate) timeout_seconds: Option<u64>,
    pub(crate) label_selector: String,
    pub(crate) field_selector: String,
    pub(crate) include_object: IncludeObject,
}

impl Params {
    pub(crate) fn parse(query: &str) -> Result<Params, Failure> {
        let mut params = Params {
            watch: false,
            limit: None,
            continue_token: None,
            version: None,
            version_match: None,
            bookmarks: false,
            send_initial_events: None,
            timeout_seconds: None,
            label_selector: String::new(),
            field_selector: String::new(),
            include_object: IncludeObject::Metadata,
        };
        for (name, value) in pairs(query)?.into_iter().filter(|(_, value)| !value.is_empty()) {
            match name.as_str() {
                "watch" => params.watch = flag(&value),
                "limit" => {
                    params.limit =
                        usize::try_from(number(&name, &value)?).ok().filter(|limit| *limit > 0)
                }
                "continue" => params.continue_token = Some(value),
                "resourceVersion" => params.version = Some(version(&value)?),
                "resourceVersionMatch" => params.version_match = Some(version_match(&value)?),
                "allowWatchBookmarks" => params.bookmarks = flag(&value),
                "sendInitialEvents" => params.send_initial_events = Some(flag(&value)),
                "timeoutSeconds" => {
                    params.timeout_seconds =
                        u64::try_from(number(&name, &value)?).ok().filter(|&s| s > 0);
                }
                "labelSelector" => params.label_selector = value,
                "fieldSelector" => params.field_selector = value,
                "includeObject" => params.include_object = include_object(&value)?,
                // The real server ignores unknown parameters.
                _ => {}
            }
        }
        params.validate()?;
        Ok(params)
    }

    /// The combinations the real server's validation refuses.
    fn validate(&self) -> Result<(), Failure> {
        let forbidden = |field, why: &str| {
            Err(Failure::invalid_options(
                field,
                CauseType::FieldValueForbidden,
                &format!("Forbidden: {why}"),
            ))
        };
        let field = "resourceVersionMatch";
        if self.watch {
            match (self.send_initial_events, self.version_match) {
                (None, Some(_)) => {
                    return forbidden(
                        field,
                        "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                    );
                }
                (Some(_), None | Some(VersionMatch::Exact)) => {
                    return forbidden(
                        field,
                        "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                    );
                }
                _ => {}
            }
            if self.send_initial_events.is_some() && self.continue_token.is_some() {
                return forbidden(
                    field,
                    "resourceVersionMatch is forbidden when continue is provided",
                );
            }
            return Ok(());
        }
        if self.send_initial_events.is_some() {
            return forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
        }
        if self.version_match.is_some() {
            if self.continue_token.is_some() {
                return forbidden(
                    field,
                    "resourceVersionMatch is forbidden when continue is provided",
                );
            }
            if self.version.is_none() {
                return forbidden(
                    field,
                    "resourceVersionMatch is forbidden unless resourceVersion is provided",
                );
            }
            if self.version_match == Some(VersionMatch::Exact) && self.version == Some(0) {
                return forbidden(
                    field,
                    "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
                );
            }
        }
        if self.continue_token.is_some() && self.version.is_some_and(|version| version != 0) {
            return Err(Failure::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        Ok(())
    }
}

pub(super) fn pairs(query: &str) -> Result<Vec<(String, String)>, Failure> {
    let malformed = || Failure::bad_request("the query string is malformed");
    let uri: Uri = format!("/?{query}").parse().map_err(|_| malformed())?;
    let Query(pairs) = Query::try_from_uri(&uri).map_err(|_| malformed())?;
    Ok(pairs)
}

/// As the real server reads it: any other value is true.
fn flag(value: &str) -> bool {
    !matches!(value, "false" | "False" | "FALSE" | "0")
}

pub(super) fn number(name: &str, value: &str) -> Result<i64, Failure> {
    value.parse().map_err(|_| {
        Failure::bad_request(format!(
            "{name}: strconv.ParseInt: parsing \"{value}\": invalid syntax"
        ))
    })
}

fn version(value: &str) -> Result<u64, Failure> {
    value.parse().map_err(|_| {
        Failure::bad_request(format!(
            "resourceVersion: Invalid value: \"{value}\": strconv.ParseUint: parsing \"{value}\": invalid syntax"
        ))
    })
}

fn version_match(value: &str) -> Result<VersionMatch, Failure> {
    match value {
        "Exact" => Ok(VersionMatch::Exact),
        "NotOlderThan" => Ok(VersionMatch::NotOlderThan),
        other => Err(Failure::invalid_options(
            "resourceVersionMatch",
            CauseType::FieldValueNotSupported,
            &format!(
                "Unsupported value: \"{other}\": supported values: \"Exact\", \"NotOlderThan\", \"\""
            ),
        )),
    }
}

fn include_object(value: &str) -> Result<IncludeObject, Failure> {
    match value {
        "None" => Ok(IncludeObject::Nothing),
        "Metadata" => Ok(IncludeObject::Metadata),
        "Object" => Ok(IncludeObject::Object),
        other => Err(Failure::bad_request(format!("unrecognized includeObject value: {other:?}"))),
    }
}
