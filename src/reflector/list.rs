//! The whole content: in pages, at once, or as the beginning of a watch.

use std::cmp::Ordering;
use std::sync::Arc;
use std::task::Poll;

use futures_util::future::join;
use futures_util::{StreamExt, future};

use super::run::{Opened, Run, in_time};
use super::{
    Item, Items, ListPage, ListRequest, Source, SourceError, Undecodable, WatchEvent, WatchStart,
};
use crate::{Key, Listing, Object, ResourceVersion};

/// How many objects are decoded between two looks at the page that is under way.
const STEP: usize = 64;

/// Most objects for which there is room before they come, on the source's word.
const RESERVED: usize = 1 << 20;

/// A whole list takes longer than a page: this many times the limit of one answer.
const WHOLE: u32 = 10;

/// What a list has brought so far.
struct Draft<T> {
    objects: Vec<(Key, Arc<T>)>,
    bad: Vec<Undecodable>,
    /// The first page's version: every change after it is still to come.
    version: Option<ResourceVersion>,
    /// Whether later pages are newer than the first.
    mixed: bool,
}

/// A streaming list and the watch that goes on after it.
type Streamed<S> = Result<(Draft<<S as Source>::Object>, Opened<S>), SourceError>;

impl<T> Draft<T> {
    fn new() -> Self {
        Self { objects: Vec::new(), bad: Vec::new(), version: None, mixed: false }
    }

    fn remove(&mut self, gone: &Key) {
        self.objects.retain(|(key, _)| key != gone);
        self.bad.retain(|bad| bad.key.as_ref() != Some(gone));
    }
}

impl<S: Source> Run<'_, S> {
    /// Lists, and replaces the sinks' content. A streaming list leaves its watch open.
    pub(super) async fn list(&mut self) -> Result<Option<Opened<S>>, SourceError> {
        self.shared.start_listing();
        let (draft, opened) = match self.stream().await {
            Some(streamed) => {
                let (draft, opened) = streamed?;
                (draft, Some(opened))
            }
            None => (self.pages().await?, None),
        };
        self.replace(draft)?;
        Ok(opened)
    }

    fn replace(&mut self, draft: Draft<S::Object>) -> Result<(), SourceError> {
        let Some(version) = draft.version else {
            let message = "the list carries no resource version to watch from";
            return Err(SourceError::Protocol(message.to_owned()));
        };
        if let Some(position) = &self.position
            && version.compare(position) == Some(Ordering::Less)
        {
            // From a server that lags: it would take the content back in time.
            let message = format!("the list is of version {version}, {position} is already known");
            return Err(SourceError::Protocol(message));
        }
        self.order.restart(&version);
        if draft.mixed {
            for (key, object) in &draft.objects {
                self.order.know(key, object.resource_version());
            }
        }
        // Should the older version be gone already, the next list must not be mixed again.
        self.whole = draft.mixed;
        let listing = Listing::from_keyed(draft.objects, Some(version.clone()));
        tracing::info!(objects = listing.len(), undecodable = draft.bad.len(), %version, "listed");
        for sink in &self.config.sinks {
            sink.replace(&listing);
        }
        self.shared.synced(&version, draft.bad);
        self.position = Some(version);
        Ok(())
    }

    /// All pages. One that has expired makes the list start over, once, without pages.
    async fn pages(&mut self) -> Result<Draft<S::Object>, SourceError> {
        let limit = if self.whole { None } else { self.config.page_size };
        match self.pages_of(limit).await {
            Err(error) if error.is_expired() && limit.is_some() => {
                tracing::info!(%error, "the list expired between two pages, asking for all of it");
                self.shared.failed(&error);
                self.shared.start_listing();
                self.pages_of(None).await
            }
            result => result,
        }
    }

    async fn pages_of(&self, limit: Option<u32>) -> Result<Draft<S::Object>, SourceError> {
        let mut draft = Draft::new();
        let mut page = self.page(ListRequest { limit, continue_token: None }).await?;
        loop {
            match (&draft.version, page.resource_version.take()) {
                (None, version) => draft.version = version,
                (Some(first), Some(version)) => draft.mixed |= *first != version,
                (Some(_), None) => {}
            }
            let remaining = page.remaining;
            let Some(token) = page.continue_token.filter(|token| !token.is_empty()) else {
                self.decode(page.items, &mut draft, remaining).await;
                return Ok(draft);
            };
            let next = self.page_after(limit, token);
            // The next page travels while this one decodes.
            let (next, ()) = join(next, self.decode(page.items, &mut draft, remaining)).await;
            page = next?;
        }
    }

    async fn page(&self, request: ListRequest) -> Result<ListPage<S::Object>, SourceError> {
        let limit = self.config.limits.answer * if request.limit.is_some() { 1 } else { WHOLE };
        let page = in_time(limit, self.source.list(request)).await?;
        self.shared.contact(self.source.received_bytes());
        Ok(page)
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
        draft.objects.reserve(announced.min(RESERVED));
        let mut stretches = items.ready_chunks(STEP);
        while let Some(stretch) = stretches.next().await {
            for item in stretch {
                self.take(item, draft);
            }
            self.shared.listed((draft.objects.len() + draft.bad.len()) as u64, None);
            yield_once().await;
        }
        self.shared.listed((draft.objects.len() + draft.bad.len()) as u64, remaining);
    }

    fn take(&self, item: Item<S::Object>, draft: &mut Draft<S::Object>) {
        let (object, held) = match item {
            Item::Object(object) => (object, false),
            Item::Held(object) => (object, true),
            Item::Undecodable(bad) => return self.take_bad(bad, draft),
        };
        let key = match object.key() {
            Ok(key) => key,
            Err(error) => {
                let bad = Undecodable { error: error.to_string(), ..Undecodable::default() };
                return self.take_bad(bad, draft);
            }
        };
        if !self.config.wants(key.as_ref()) {
            return;
        }
        let object = match held {
            true => object,
            false => self.held(&key, &object).unwrap_or_else(|| self.transformed(object)),
        };
        draft.objects.push((key, object));
    }

    fn take_bad(&self, bad: Undecodable, draft: &mut Draft<S::Object>) {
        if !self.wants_bad(&bad) {
            return;
        }
        self.shared.undecodable(&bad);
        draft.bad.push(bad);
    }

    /// What a sink holds of a listed object, if that is the same version: of a relist, only what
    /// changed is in memory twice.
    fn held(&self, key: &Key, listed: &Arc<S::Object>) -> Option<Arc<S::Object>> {
        self.position.as_ref()?;
        self.config.held(key.as_ref(), listed.uid(), listed.resource_version()?)
    }

    /// The initial events of a watch; `None` if the source is not to be asked for them.
    async fn stream(&mut self) -> Option<Streamed<S>> {
        if !self.streaming {
            return None;
        }
        let mut opened = match self.open(WatchStart::InitialEvents).await {
            Ok(opened) => opened,
            Err(error) => return self.without_stream(error),
        };
        let mut draft = Draft::new();
        let silence = self.config.limits.silence;
        loop {
            let Ok(event) = tokio::time::timeout(silence, opened.watch.next()).await else {
                // A server that does not know the option sends no end; it is not asked again.
                self.streaming = false;
                let message = "the streaming list fell silent before its end".to_owned();
                return Some(Err(SourceError::Transport { message, source: None }));
            };
            match event {
                Some(Ok(WatchEvent::InitialEventsEnd(version))) => {
                    draft.version = Some(version);
                    return Some(Ok((draft, opened)));
                }
                Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                    if !draft.bad.is_empty() {
                        draft.bad.retain(|bad| bad.key != object.key().ok());
                    }
                    self.take(Item::Object(object), &mut draft);
                    self.shared.listed(draft.objects.len() as u64, None);
                }
                Some(Ok(WatchEvent::Deleted(object))) => {
                    if let Ok(gone) = object.key() {
                        draft.remove(&gone);
                    }
                }
                Some(Ok(WatchEvent::Gone { key, .. })) => draft.remove(&key),
                Some(Ok(WatchEvent::Undecodable(bad))) => {
                    draft.objects.retain(|(key, _)| bad.key.as_ref() != Some(key));
                    if !bad.deleted {
                        self.take(Item::Undecodable(bad), &mut draft);
                    }
                }
                Some(Ok(WatchEvent::Bookmark(_))) => {}
                Some(Ok(WatchEvent::Unknown { event_type })) => {
                    self.shared.unknown_event(&event_type);
                }
                Some(Err(error)) => return self.without_stream(error),
                None => {
                    let message = "the streaming list ended before it was complete".to_owned();
                    return Some(Err(SourceError::Transport { message, source: None }));
                }
            }
        }
    }

    /// After a streaming list failed: pages, if the source does not take such lists at all.
    fn without_stream(&mut self, error: SourceError) -> Option<Streamed<S>> {
        if !error.is_unsupported() {
            return Some(Err(error));
        }
        tracing::info!(%error, "the source does not stream lists, asking for pages from now on");
        self.streaming = false;
        self.shared.start_listing();
        None
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
