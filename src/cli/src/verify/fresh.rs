//! A list of the server that shares no code with the reflector's own.

use std::collections::{BTreeMap, HashSet};
use std::error::Error;
use std::pin::pin;
use std::time::Duration;

use futures_util::stream::{Stream, StreamExt};
use http_body_util::BodyExt;
use kube::Client;
use kube::api::{ApiResource, DynamicObject, ListParams, Request};
use kube::client::Body;
use kube::core::Resource;
use serde::Deserialize;
use serde_json::value::RawValue;
use watchcache::{Key, ResourceVersion, Status};

use super::content::Content;
use crate::connect::chain;
use crate::target::Scope;

/// How long a page may bring nothing. A large page over a slow line does not mean a dead server.
const SILENCE: Duration = Duration::from_secs(30);
/// How many pages in a row may bring nothing new. One is normal: the last.
const IDLE_PAGES: usize = 1_000;

/// Lists the mirrored objects again, and decodes them with another parser.
pub(crate) struct Fresh {
    client: Client,
    request: Request,
    scope: Scope,
}

/// Why there is no list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unlisted {
    pub(super) why: String,
    /// Nothing came for long, and asking again would take as long.
    pub(super) is_silence: bool,
}

impl From<String> for Unlisted {
    fn from(why: String) -> Self {
        Self { why, is_silence: false }
    }
}

/// The objects of a list.
pub(super) type Listed = BTreeMap<Key, Content>;

/// Allows for odd servers: any of these may be null or absent.
#[derive(Deserialize)]
struct Page<'a> {
    metadata: Option<ListMeta>,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

/// A part of the metadata; `remainingItemCount` may be any number.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ListMeta {
    resource_version: Option<String>,
    r#continue: Option<String>,
}

impl Fresh {
    pub(crate) fn new(client: Client, resource: &ApiResource, scope: Scope) -> Self {
        let path = DynamicObject::url_path(resource, scope.namespace.as_deref());
        Self { client, request: Request::new(path), scope }
    }

    /// All objects, and the version of the list.
    pub(super) async fn list(&self) -> Result<(Listed, ResourceVersion), Unlisted> {
        let mut objects = BTreeMap::new();
        let (mut named, mut idle) = (HashSet::new(), 0);
        let mut params = ListParams {
            label_selector: self.scope.labels.clone(),
            field_selector: self.scope.fields.clone(),
            limit: Some(200),
            ..ListParams::default()
        };
        loop {
            let text = self.page(&params).await?;
            // Elsewhere: a page of large objects takes a while to decode.
            let read = tokio::task::spawn_blocking(move || read(&text)).await;
            let (page, metadata) = read.map_err(|error| error.to_string())??;
            let before = objects.len();
            objects.extend(page);
            idle = if objects.len() == before { idle + 1 } else { 0 };
            match metadata.r#continue.filter(|token| !token.is_empty()) {
                Some(token) if !named.insert(token.clone()) => {
                    return Err("the server names the same next page again".to_owned().into());
                }
                Some(_) if idle == IDLE_PAGES => {
                    return Err(format!("{idle} pages in a row bring nothing new").into());
                }
                Some(token) => params.continue_token = Some(token),
                None => {
                    let version = metadata.resource_version.unwrap_or_default();
                    return Ok((objects, version.into()));
                }
            }
        }
    }

    /// A page as text. Anything that is not valid JSON text is replaced; the mirror has not decoded the
    /// object that contains it.
    async fn page(&self, params: &ListParams) -> Result<String, Unlisted> {
        let request = self.request.list(params).map_err(|error| error.to_string())?;
        let answer = in_time(SILENCE, self.client.send(request.map(Body::from))).await?;
        let answer = answer.map_err(|error| chain(&error))?;
        let status = answer.status();
        let body = whole(answer.into_body().into_data_stream(), SILENCE).await?;
        if !status.is_success() {
            let failure = Status::from_json(&body).map(|status| status.to_string());
            let why = failure.unwrap_or_else(|_| format!("the server answered {status}"));
            return Err(why.into());
        }
        Ok(String::from_utf8_lossy(&body).replace(|c: char| c.is_ascii_control(), " "))
    }
}

/// All chunks of a body, unless none arrives for too long.
async fn whole<P: AsRef<[u8]>, E: Error>(
    pieces: impl Stream<Item = Result<P, E>>,
    silence: Duration,
) -> Result<Vec<u8>, Unlisted> {
    let mut pieces = pin!(pieces);
    let mut bytes = Vec::new();
    while let Some(piece) = in_time(silence, pieces.next()).await? {
        bytes.extend_from_slice(piece.map_err(|error| chain(&error))?.as_ref());
    }
    Ok(bytes)
}

async fn in_time<T>(limit: Duration, answer: impl Future<Output = T>) -> Result<T, Unlisted> {
    let answer = tokio::time::timeout(limit, answer).await;
    answer.map_err(|_| Unlisted { why: format!("nothing came for {limit:?}"), is_silence: true })
}

/// What a page has. The mirror skips and counts objects without a name; so does this.
fn read(text: &str) -> Result<(Vec<(Key, Content)>, ListMeta), String> {
    let page: Page<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let items = page.items.iter().flatten().filter_map(|item| Content::read(item.get()));
    Ok((items.collect(), page.metadata.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_page_that_goes_on_coming_is_waited_for_and_silence_is_not() {
        let silence = Duration::from_secs(2);
        let slow = futures_util::stream::unfold(0, |piece| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            (piece < 30).then_some((Ok::<_, kube::Error>("x"), piece + 1))
        });
        assert_eq!(whole(slow, silence).await.map(|bytes| bytes.len()), Ok(30));
        let none = futures_util::stream::pending::<Result<&str, kube::Error>>();
        let silent = whole(none, Duration::from_millis(50)).await;
        let why = "nothing came for 50ms".to_owned();
        assert_eq!(silent, Err(Unlisted { why, is_silence: true }));
    }
}
