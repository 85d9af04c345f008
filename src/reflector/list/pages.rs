//! A list in pages, or at once.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::try_join;
use futures_util::{StreamExt, future};
use tokio::time::{Instant, timeout, timeout_at};

use super::STEP;
use super::draft::Draft;
use crate::panic::OneByOne;
use crate::reflector::config::NEVER;
use crate::reflector::failure::RequestKind;
use crate::reflector::run::{Run, too_late};
use crate::reflector::{Items, ListPage, ListRequest, Source, SourceError};

/// The most objects for which room is made in advance, as the source announces them.
const RESERVED: usize = 1 << 20;

/// The longest that a response which keeps arriving may take, and a whole list in any case: this many
/// times the limit of one response.
const LONGEST: u32 = 10;

/// How often, within the limit of a response, its arrival is checked.
const LOOKS: u32 = 8;

impl<S: Source> Run<'_, S> {
    /// All pages. One that has expired makes the list start over, once, without pages.
    pub(super) async fn pages(&mut self) -> Result<Draft<S::Object>, SourceError> {
        let limit = if self.lists.whole { None } else { self.config.page_size };
        // Whichever way fails, the other one is next: it may be the only one that works.
        self.lists.whole = false;
        match self.pages_of(limit).await {
            Err(error) if error.is_expired() && limit.is_some() => {
                tracing::info!(%error, "the list expired between two pages, asking for all of it");
                self.failed(RequestKind::List, &error, Duration::ZERO);
                self.shared.start_listing();
                self.pages_of(None).await
            }
            result => result,
        }
    }

    async fn pages_of(&mut self, limit: Option<u32>) -> Result<Draft<S::Object>, SourceError> {
        let mut draft = self.draft();
        let mut page = self.page(ListRequest { limit, continue_token: None }).await?;
        loop {
            draft.page_of(page.resource_version.take());
            draft.paging.page_of(page.count);
            let remaining = page.remaining;
            let Some(token) = page.continue_token.filter(|token| !token.is_empty()) else {
                self.decode(page.items, &mut draft, remaining).await?;
                self.check_size(&draft)?;
                return Ok(draft);
            };
            draft.paging.follow(&token).map_err(|why| self.astray(limit, why))?;
            let next = self.page_after(limit, token);
            // The next page travels while this one decodes.
            let decoded = self.decode(page.items, &mut draft, remaining);
            (page, ()) = try_join(next, decoded).await?;
            self.check_size(&draft)?;
            draft.paging.end_page().map_err(|why| self.astray(limit, why))?;
        }
    }

    /// The pages lead nowhere: without pages there is no token to go wrong.
    fn astray(&mut self, limit: Option<u32>, why: String) -> SourceError {
        self.lists.whole = limit.is_some();
        SourceError::Protocol(why)
    }

    async fn page(&self, request: ListRequest) -> Result<ListPage<S::Object>, SourceError> {
        let answer = self.config.limits.answer;
        let longest = answer.saturating_mul(LONGEST);
        let silence = if request.limit.is_some() { answer } else { longest };
        let page = self.while_it_comes(silence, longest, self.source.list(request)).await?;
        self.shared.contact(self.source.received_bytes());
        Ok(page)
    }

    /// The response, unless none of it arrives for as long as `silence`, or it takes longer than
    /// `longest`: a large page over a slow line is not a dead connection.
    async fn while_it_comes<T>(
        &self,
        silence: Duration,
        longest: Duration,
        answer: impl Future<Output = Result<T, SourceError>>,
    ) -> Result<T, SourceError> {
        let mut answer = pin!(timeout(longest, answer));
        let (mut received, mut heard) = (self.source.received_bytes(), Instant::now());
        loop {
            let look = (Instant::now() + silence / LOOKS).min(heard + silence);
            if let Ok(answered) = timeout_at(look, &mut answer).await {
                return answered.unwrap_or_else(|_| Err(too_late(longest)));
            }
            let before = std::mem::replace(&mut received, self.source.received_bytes());
            if received != before {
                heard = Instant::now();
            } else if heard.elapsed() >= silence {
                return Err(too_late(silence));
            }
        }
    }

    /// The page at `token`. If the list's version is gone, the source may offer the rest at a newer one;
    /// the watch from the list's own version then brings the first pages up to date.
    async fn page_after(
        &self,
        limit: Option<u32>,
        token: String,
    ) -> Result<ListPage<S::Object>, SourceError> {
        let expired = |message| SourceError::Expired { message, continue_token: None };
        let error = match self.page(ListRequest { limit, continue_token: Some(token) }).await {
            Err(SourceError::Expired { continue_token: Some(token), message }) => {
                tracing::info!(message, "the list expired, reading on at a newer version");
                match self.page(ListRequest { limit, continue_token: Some(token) }).await {
                    Err(error) if error.is_expired() => return Err(expired(error.to_string())),
                    result => return result,
                }
            }
            Err(error) => error,
            Ok(page) => return Ok(page),
        };
        // A token that is not understood does not count against the list as such.
        if error.is_unsupported() { Err(expired(error.to_string())) } else { Err(error) }
    }

    async fn decode(
        &self,
        items: Items<S::Object>,
        draft: &mut Draft<S::Object>,
        remaining: Option<u64>,
    ) -> Result<(), SourceError> {
        let announced = usize::try_from(remaining.unwrap_or(0)).unwrap_or(usize::MAX);
        draft.reserve(announced.min(RESERVED));
        let mut stretches = items.ready_chunks(STEP);
        let answer = self.config.limits.answer;
        let deadline = Instant::now() + answer.saturating_mul(LONGEST).min(NEVER);
        loop {
            // A source may take them from afar, one by one.
            let patience = deadline.min(Instant::now() + answer);
            let Ok(stretch) = timeout_at(patience, stretches.next()).await else {
                let message = "the objects of a page of the list did not come in time".to_owned();
                return Err(SourceError::Transport { message, error: None });
            };
            let Some(stretch) = stretch else { break };
            for item in OneByOne(stretch.into_iter()) {
                self.take(item, draft);
            }
            self.shared.listed(draft.len() as u64, None);
            yield_once().await;
        }
        self.shared.listed(draft.len() as u64, remaining);
        Ok(())
    }
}

/// Lets the other joined futures make progress.
async fn yield_once() {
    let mut yielded = false;
    future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
