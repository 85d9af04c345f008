//! The token that continues a list: opaque to clients, the real server's form inside.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::status::Failure;

const VERSION: &str = "meta.k8s.io/v1";

/// Where a list continues, and at which version.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContinueToken {
    v: String,
    rv: i64,
    start: String,
    /// How many objects remained when it was made. The real server counts again for each page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left: Option<usize>,
}

impl ContinueToken {
    /// Continues at `start`; without a version the rest of the list is read at the newest one.
    pub(crate) fn new(
        version: Option<u64>,
        start: impl Into<String>,
        left: Option<usize>,
    ) -> ContinueToken {
        let rv = version.and_then(|version| i64::try_from(version).ok()).unwrap_or(-1);
        ContinueToken { v: VERSION.to_owned(), rv, start: start.into(), left }
    }

    /// The same place in the newest version.
    pub(crate) fn at_newest(&self) -> ContinueToken {
        ContinueToken::new(None, self.start(), None)
    }

    pub(crate) fn parse(text: &str) -> Result<ContinueToken, Failure> {
        let invalid = |why: &str| Failure::bad_request(format!("continue key is not valid: {why}"));
        let bytes = URL_SAFE_NO_PAD
            .decode(text.trim_end_matches('='))
            .map_err(|_| invalid("it is not base64"))?;
        let token: ContinueToken =
            serde_json::from_slice(&bytes).map_err(|_| invalid("it holds no position"))?;
        if token.v != VERSION || token.start.is_empty() || token.rv == 0 {
            return Err(invalid("server does not recognize this encoded version"));
        }
        Ok(token)
    }

    pub(crate) fn encode(&self) -> String {
        // Text and numbers: that is always JSON.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// The version of the first page; `None` for the newest.
    pub(crate) fn version(&self) -> Option<u64> {
        u64::try_from(self.rv).ok()
    }

    pub(crate) fn remaining(&self) -> Option<usize> {
        self.left
    }

    pub(crate) fn start(&self) -> &str {
        &self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        for version in [Some(7), None] {
            let token = ContinueToken::new(version, "ns/name", Some(3));
            let parsed = ContinueToken::parse(&token.encode()).expect("own token");
            assert_eq!(parsed.version(), version);
            assert_eq!(parsed, token);
        }
        assert!(ContinueToken::parse("nonsense!").is_err());
        assert!(ContinueToken::parse("bm9uZQ").is_err());
    }
}
