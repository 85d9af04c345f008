//! The whole content: in pages, at once, or as the beginning of a watch.

use std::cmp::Ordering;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::join;
use futures_util::{StreamExt, future};
use tokio::time::{Instant, timeout, timeout_at};

use super::draft::{Content, Draft, Taken};
use super::facts::{Facts, version_of};
use super::failure::RequestKind;
use super::run::{Behind, Opened, Run, too_late};
use super::watch::GRACE;
use super::{
    Item, Items, ListPage, ListRequest, Source, SourceError, Undecodable, WatchEvent, WatchStart,
};
use crate::panic::catch_as_sentence;
use crate::{Listing, Object, ResourceVersion};

/// How many objects are taken between two looks at what else there is to do.
const STEP: usize = 64;

/// Most objects for which there is room before they come, on the source's word.
const RESERVED: usize = 1 << 20;

/// The longest that an answer of which something arrives all the while may take, and a whole list in
/// any case: this many times the limit of one answer.
const LONGEST: u32 = 10;

/// Most pages in a row that bring nothing but the promise of another.
const EMPTY_PAGES: u32 = 1000;

/// How many lists older than what is known, over how long, show that the source's history was set
/// back. One server that lags behind another catches up sooner.
const BEHIND_LISTS: u32 = 3;
const BEHIND_FOR: Duration = Duration::from_secs(5);

/// Streaming lists in a row that a source may ask to be tried later.
const POSTPONED: u32 = 2;

/// A streaming list and the watch that goes on after it.
type Streamed<S> = (Draft<<S as Source>::Object>, Opened<S>);

impl<S: Source> Run<'_, S> {
    /// Lists, and replaces the sinks' content. A streaming list leaves its watch open.
    pub(super) async fn list(&mut self) -> Result<Option<Opened<S>>, SourceError> {
        self.shared.start_listing();
        let mut confirming = false;
        if self.lists.streaming {
            match self.stream().await {
                // A server that knows the option by name only sends the end alone.
                Ok((draft, _)) if draft.is_empty() => confirming = true,
                Ok((draft, opened)) => {
                    self.lists.postponed = 0;
                    self.replace(draft)?;
                    return Ok(Some(opened));
                }
                Err(error) => self.without_stream(error)?,
            }
            self.shared.start_listing();
        }
        let draft = self.pages().await?;
        // The source lists in pages; it does not stream lists, or not all of them.
        if self.lists.streaming && !(confirming && draft.is_empty()) {
            tracing::info!("asking for pages from now on");
            self.lists.streaming = false;
        }
        self.replace(draft)?;
        Ok(None)
    }

    /// After a streaming list failed: an error where pages are not to be tried now either.
    fn without_stream(&mut self, error: SourceError) -> Result<(), SourceError> {
        self.lists.postponed += 1;
        if error.retry_after().is_some() && self.lists.postponed < POSTPONED {
            return Err(error);
        }
        tracing::info!(%error, "the streaming list failed, asking for pages");
        self.failed(RequestKind::List, &error, Duration::ZERO);
        Ok(())
    }

    fn replace(&mut self, draft: Draft<S::Object>) -> Result<(), SourceError> {
        let Content { objects, bad, version, mixed, ordered } = draft.finish();
        let restarted = self.is_restart(version.as_ref())?;
        let was_unordered = self.shared.is_synced() && !self.order.is_ordered();
        self.order.restart(version.as_ref(), ordered);
        if mixed {
            for (key, object) in objects.iter() {
                self.order.know(key, version_of(&**object));
            }
        }
        // Should the older version be gone already, the next list must not be mixed again.
        self.lists.whole = mixed;
        let mut listing = Listing::from_list(objects, version.clone());
        if restarted || was_unordered || !self.order.is_ordered() {
            listing = listing.unordered();
        }
        tracing::info!(objects = listing.len(), undecodable = bad.len(), ?version, "listed");
        let refused = self.shared.feed(
            || self.config.replace(&listing),
            |key, version| self.config.is_current(key, version) != Some(false),
            std::iter::empty(),
        );
        let listed = listing.objects().map(|(key, object)| (key, version_of(&**object)));
        self.shared.quarantine().relist(bad, listed);
        self.shared.refused(refused);
        self.shared.synced(version.as_ref(), restarted);
        self.unversioned = version.is_none();
        self.position = version;
        self.behind = Behind::default();
        self.pace.listed(Instant::now(), &mut self.jitter);
        Ok(())
    }

    /// Whether a list's version shows that the source's history was set back. A list that is older
    /// than what is known, from a server that lags, would take the content back in time.
    fn is_restart(&mut self, listed: Option<&ResourceVersion>) -> Result<bool, SourceError> {
        let (Some(version), Some(known)) = (listed, &self.position) else { return Ok(false) };
        if !self.order.is_ordered() || version.compare(known) != Some(Ordering::Less) {
            return Ok(false);
        }
        if self.behind.lists == 0 {
            // What comes next is to show which of the two it is.
            self.backoff.reset();
        }
        self.behind.lists = self.behind.lists.saturating_add(1);
        let since = self.behind.since.get_or_insert_with(Instant::now);
        if self.config.start_over
            && self.behind.lists >= BEHIND_LISTS
            && since.elapsed() >= BEHIND_FOR
        {
            tracing::warn!(%version, %known, "the source's history was set back, starting over");
            return Ok(true);
        }
        Err(SourceError::Behind { version: version.clone(), known: known.clone() })
    }

    /// Whether lists are being watched for a history that was set back.
    pub(super) fn may_start_over(&self) -> bool {
        self.config.start_over && self.behind.lists > 0
    }

    /// All pages. One that has expired makes the list start over, once, without pages.
    async fn pages(&mut self) -> Result<Draft<S::Object>, SourceError> {
        let limit = if self.lists.whole { None } else { self.config.page_size };
        match self.pages_of(limit).await {
            Err(error) if error.is_expired() && limit.is_some() => {
                tracing::info!(%error, "the list expired between two pages, asking for all of it");
                self.failed(RequestKind::List, &error, Duration::ZERO);
                self.shared.start_listing();
                self.pages_of(None).await
            }
            result => {
                // Without pages there is no token to go wrong.
                self.lists.whole |= matches!(result, Err(SourceError::Protocol(_)));
                result
            }
        }
    }

    async fn pages_of(&self, limit: Option<u32>) -> Result<Draft<S::Object>, SourceError> {
        let mut draft = self.draft();
        let mut empty = 0;
        let mut page = self.page(ListRequest { limit, continue_token: None }).await?;
        loop {
            draft.page_of(page.resource_version.take());
            let before = draft.len();
            let remaining = page.remaining;
            let Some(token) = page.continue_token.filter(|token| !token.is_empty()) else {
                self.decode(page.items, &mut draft, remaining).await;
                self.check_size(&draft)?;
                return Ok(draft);
            };
            if !draft.is_new_token(&token) {
                let message = format!("the continue token {token:?} leads back to itself");
                return Err(SourceError::Protocol(message));
            }
            let next = self.page_after(limit, token);
            // The next page travels while this one decodes.
            let (next, ()) = join(next, self.decode(page.items, &mut draft, remaining)).await;
            page = next?;
            self.check_size(&draft)?;
            empty = if draft.len() == before { empty + 1 } else { 0 };
            if empty >= EMPTY_PAGES {
                let message = format!("{EMPTY_PAGES} pages in a row without an object");
                return Err(SourceError::Protocol(message));
            }
        }
    }

    fn draft(&self) -> Draft<S::Object> {
        Draft::new(self.source.received_bytes(), self.shared.is_synced())
    }

    fn check_size(&self, draft: &Draft<S::Object>) -> Result<(), SourceError> {
        let (limit, bytes) =
            (self.config.limits.list_bytes, draft.bytes(self.source.received_bytes()));
        if bytes <= limit {
            return Ok(());
        }
        let message =
            format!("the list has more than {limit} bytes, which is the limit set for it");
        Err(SourceError::Protocol(message))
    }

    async fn page(&self, request: ListRequest) -> Result<ListPage<S::Object>, SourceError> {
        let answer = self.config.limits.answer;
        let longest = answer.saturating_mul(LONGEST);
        let silence = if request.limit.is_some() { answer } else { longest };
        let page = self.while_it_comes(silence, longest, self.source.list(request)).await?;
        self.shared.contact(self.source.received_bytes());
        Ok(page)
    }

    /// The answer, unless none of it arrives for as long as `silence`, or it takes longer than
    /// `longest`: a large page over a slow line is not a connection that is dead.
    async fn while_it_comes<T>(
        &self,
        silence: Duration,
        longest: Duration,
        answer: impl Future<Output = Result<T, SourceError>>,
    ) -> Result<T, SourceError> {
        let mut answer = pin!(timeout(longest, answer));
        loop {
            let before = self.source.received_bytes();
            match timeout(silence, &mut answer).await {
                Ok(answered) => return answered.unwrap_or_else(|_| Err(too_late(longest))),
                Err(_) if self.source.received_bytes() == before => return Err(too_late(silence)),
                Err(_) => {}
            }
        }
    }

    /// The page at `token`. Where the list's version is gone, the source may offer the rest at a
    /// newer one; the watch from the list's own version then brings the first pages up to date.
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
        // A token that is not understood says nothing about the list as such.
        if error.is_unsupported() { Err(expired(error.to_string())) } else { Err(error) }
    }

    async fn decode(
        &self,
        items: Items<S::Object>,
        draft: &mut Draft<S::Object>,
        remaining: Option<u64>,
    ) {
        let announced = usize::try_from(remaining.unwrap_or(0)).unwrap_or(usize::MAX);
        draft.reserve(announced.min(RESERVED));
        let mut stretches = items.ready_chunks(STEP);
        while let Some(stretch) = stretches.next().await {
            for item in stretch {
                self.take(item, draft);
            }
            self.shared.listed(draft.len() as u64, None);
            yield_once().await;
        }
        self.shared.listed(draft.len() as u64, remaining);
    }

    fn take(&self, item: Item<S::Object>, draft: &mut Draft<S::Object>) {
        let (object, held) = match item {
            Item::Object(object) => (object, false),
            Item::Held(object) => (object, true),
            Item::Undecodable(bad) => return self.take_bad(bad, draft),
        };
        let facts = Facts::of(&*object);
        let key = match facts.key {
            Ok(key) => key,
            Err(error) => {
                return self.take_bad(Undecodable { error, ..Undecodable::default() }, draft);
            }
        };
        if !self.config.wants(key) {
            return;
        }
        draft.saw(facts.version, || catch_as_sentence(|| object.size()).unwrap_or(0));
        // Of a relist, only what changed is in memory twice.
        let again = match (held, facts.version) {
            (false, Some(version)) if draft.is_relist() => {
                self.config.held(key, facts.uid, version)
            }
            _ => None,
        };
        let transform = self.config.transform.as_ref();
        let version = transform.and(facts.version).map(ResourceVersion::from);
        let pending = draft.key(key);
        if held || again.is_some() {
            return pending.push(Taken::Object(again.unwrap_or(object)));
        }
        match self.config.transformed(object) {
            Ok(object) => pending.push(Taken::Object(object)),
            Err(error) => {
                let key = Some(pending.key().to_key_unchecked());
                let bad =
                    Undecodable { key, resource_version: version, error, ..Undecodable::default() };
                self.take_bad(bad, draft);
            }
        }
    }

    fn take_bad(&self, bad: Undecodable, draft: &mut Draft<S::Object>) {
        if !self.config.wants_bad(&bad) {
            return;
        }
        self.shared.undecodable(&bad);
        let Some(key) = &bad.key else { return draft.nameless() };
        let pending = draft.key(key.as_ref());
        pending.push(Taken::Bad(Box::new(bad)));
    }

    /// The initial events of a watch.
    async fn stream(&mut self) -> Result<Streamed<S>, SourceError> {
        let mut opened = self.open(WatchStart::InitialEvents).await?;
        // A server that does not know the option sends no end, but bookmarks all the same.
        let deadline = Instant::now() + opened.timeout + GRACE;
        let mut draft = self.draft();
        let silence = self.config.limits.silence;
        let torn = |message: &str| SourceError::Transport {
            message: format!("the streaming list {message}"),
            source: None,
        };
        for events in 1_usize.. {
            let patience = deadline.min(Instant::now() + silence);
            let event = timeout_at(patience, opened.watch.next()).await;
            let event = event.map_err(|_| match patience == deadline {
                true => torn("did not come to its end in time"),
                false => torn("fell silent before its end"),
            })?;
            match event.ok_or_else(|| torn("ended before it was complete"))?? {
                WatchEvent::InitialEventsEnd(version) => {
                    if version.as_str().is_empty() {
                        return Err(torn("ended without a version"));
                    }
                    draft.page_of(Some(version));
                    self.shared.listed(draft.len() as u64, None);
                    return Ok((draft, opened));
                }
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    self.take(Item::Object(object), &mut draft);
                }
                WatchEvent::Deleted(object) => {
                    if let Ok(key) = Facts::of(&*object).key {
                        draft.key(key).push(Taken::Gone);
                    }
                }
                WatchEvent::Gone { key, .. } if !self.config.wants(key.as_ref()) => {}
                WatchEvent::Gone { key, .. } => draft.key(key.as_ref()).push(Taken::Gone),
                WatchEvent::Undecodable(Undecodable { key: Some(key), deleted: true, .. }) => {
                    draft.key(key.as_ref()).push(Taken::Gone);
                }
                WatchEvent::Undecodable(bad) => self.take_bad(bad, &mut draft),
                WatchEvent::Bookmark(_) => {}
                WatchEvent::Unknown { event_type } => self.shared.unknown_event(&event_type),
            }
            if events % STEP == 0 {
                self.shared.listed(draft.len() as u64, None);
                self.check_size(&draft)?;
                if Instant::now() >= deadline {
                    return Err(torn("did not come to its end in time"));
                }
                tokio::task::yield_now().await;
            }
        }
        unreachable!("more events than there are numbers")
    }
}

/// Lets whatever else this task joins make a step.
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
