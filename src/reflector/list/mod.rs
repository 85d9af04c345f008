//! The whole content: in pages, at once, or as the beginning of a watch.

mod draft;
mod pages;
mod paging;
mod stream;

use std::cmp::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use self::draft::{Content, Draft, Taken};
use super::facts::{Facts, version_of};
use super::failure::RequestKind;
use super::quiet::Listed;
use super::run::{Behind, Opened, Run};
use super::shared::Synced;
use super::{Item, Source, SourceError, Undecodable};
use crate::panic::catch_as_sentence;
use crate::{KeyRef, Listing, Object, ResourceVersion};

/// How many objects are processed before other work gets a turn.
const STEP: usize = 64;

/// How many lists older than what is known, over how long, show that the source's history was set back. A
/// server that merely lags behind another catches up sooner.
const BEHIND_LISTS: u32 = 3;
const BEHIND_FOR: Duration = Duration::from_secs(5);

/// After how many streaming lists in a row that a source postponed pages are asked for, once it is time.
const POSTPONED: u32 = 2;

impl<S: Source> Run<'_, S> {
    /// Lists, and replaces the sinks' content. A streaming list leaves its watch open.
    pub(super) async fn list(&mut self) -> Result<Option<Opened<S>>, SourceError> {
        self.shared.start_listing();
        let mut confirming = false;
        let postponed = self.lists.postponed >= POSTPONED;
        if postponed {
            // As long as that lasts, pages may be had.
            self.lists.postponed = 0;
        }
        if self.lists.streaming && !postponed {
            match self.stream().await {
                // A server that knows the option only by name sends nothing but the end.
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

    /// After a streaming list failed: an error if pages are not to be tried now either.
    fn without_stream(&mut self, error: SourceError) -> Result<(), SourceError> {
        self.lists.postponed = self.lists.postponed.saturating_add(1);
        if error.retry_after().is_some() {
            return Err(error);
        }
        tracing::info!(%error, "the streaming list failed, asking for pages");
        self.failed(RequestKind::List, &error, Duration::ZERO);
        Ok(())
    }

    fn replace(&mut self, draft: Draft<S::Object>) -> Result<(), SourceError> {
        let content = draft.finish();
        let restarted = self.is_restart(content.version.as_ref())?;
        self.compare(&content);
        let Content { objects, bad, version, mixed, exceeded, .. } = content;
        let was_unordered = self.shared.is_synced() && !self.order.is_ordered();
        if exceeded && !std::mem::replace(&mut self.unordered, true) {
            tracing::warn!(
                "a list has an object that is newer than itself: versions have no order"
            );
        }
        self.order.restart(version.as_ref(), !self.unordered);
        if mixed {
            for (key, object) in objects.iter() {
                self.order.know(key, version_of(&**object));
            }
        }
        // If the older version is gone already, the next list must not be mixed again.
        self.lists.whole = mixed;
        let mut listing = Listing::from_list(objects, version.clone());
        if restarted || was_unordered {
            listing = listing.starting_over();
        }
        if !self.order.is_ordered() {
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
        let unordered = !self.order.is_ordered();
        self.shared.synced(Synced { version: version.as_ref(), unordered, restarted });
        self.unversioned = version.is_none();
        self.position = version;
        self.behind = Behind::default();
        self.pace.listed(Instant::now(), &mut self.jitter);
        Ok(())
    }

    /// Tells of it if the list shows that watches which seemed to work do not.
    fn compare(&mut self, list: &Content<S::Object>) {
        let listed = Listed { content: list.content, steps: self.steps };
        let known = self.position.as_ref().and_then(ResourceVersion::number);
        let newer = self.order.is_ordered() && known.is_some() && list.newest > known;
        self.doubt.listed(list.unheld);
        if self.quiet.listed(listed, newer || list.unheld) {
            let message =
                "the list shows changes that the watches before it did not bring, and may keep back"
                    .to_owned();
            let error = SourceError::Transport { message, error: None };
            self.failed(RequestKind::Watch, &error, Duration::ZERO);
        }
    }

    /// Whether a list's version shows that the source's history was set back. A list that is older
    /// than what is known, from a server that lags, would take the content back in time.
    fn is_restart(&mut self, listed: Option<&ResourceVersion>) -> Result<bool, SourceError> {
        let (Some(version), Some(known)) = (listed, self.delivered()) else { return Ok(false) };
        if !self.order.is_ordered() || version.compare(&known) != Some(Ordering::Less) {
            return Ok(false);
        }
        if self.behind.lists == 0 {
            // The next lists show which of the two it is.
            self.backoff.reset();
        }
        self.behind.lists = self.behind.lists.saturating_add(1);
        let since = *self.behind.since.get_or_insert_with(Instant::now);
        if self.config.start_over
            && self.behind.lists >= BEHIND_LISTS
            && since.elapsed() >= BEHIND_FOR
        {
            tracing::warn!(%version, %known, "the source's history was set back, starting over");
            return Ok(true);
        }
        let behind = SourceError::Behind { version: version.clone(), known };
        // A list that is refused is one like any other: those that follow have their pace.
        self.pace.listed(Instant::now(), &mut self.jitter);
        Err(behind)
    }

    /// The newest version of which the sinks have anything: past the position if a watch broke within it.
    fn delivered(&self) -> Option<ResourceVersion> {
        let position = self.position.clone()?;
        let reached = self.order.reached().filter(|reached| Some(*reached) > position.number());
        Some(reached.map_or(position, |reached| reached.to_string().into()))
    }

    /// Returns whether lists are being checked for a history that was set back.
    pub(super) fn may_start_over(&self) -> bool {
        self.config.start_over && self.behind.lists > 0
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
        Err(SourceError::ListTooLarge { limit })
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
        draft.paging.key(key);
        if !self.config.wants(key) {
            return;
        }
        draft.saw(key, facts.version, || catch_as_sentence(|| object.size()).unwrap_or(0));
        // Of a relist, only the changes are in memory twice.
        let again = match (held, facts.version) {
            (false, Some(version)) if draft.is_relist() => {
                self.config.held(key, facts.uid, version)
            }
            _ => None,
        };
        let changed = !held && again.is_none();
        let asked = self.quiet.is_asked() || self.doubt.stands();
        if changed && asked && self.is_lacking(key, facts.version) {
            draft.lacks();
        }
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

    /// Returns whether some sink says that it does not hold this version, nor is it quarantined.
    fn is_lacking(&self, key: KeyRef<'_>, version: Option<&str>) -> bool {
        let held = version.and_then(|version| self.config.is_held(key, version));
        held == Some(false) && !self.is_set_aside(key, version)
    }

    fn take_bad(&self, bad: Undecodable, draft: &mut Draft<S::Object>) {
        if let Some(key) = &bad.key {
            draft.paging.key(key.as_ref());
        }
        if !self.config.wants_bad(&bad) {
            return;
        }
        self.shared.undecodable(&bad);
        let Some(key) = &bad.key else { return draft.nameless() };
        draft.saw_key(key.as_ref(), bad.resource_version.as_ref().map(ResourceVersion::as_str));
        let pending = draft.key(key.as_ref());
        pending.push(Taken::Bad(Box::new(bad)));
    }
}
