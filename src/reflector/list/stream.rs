//! A list as the beginning of a watch.

use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::STEP;
use super::draft::{Draft, Taken};
use crate::reflector::facts::Facts;
use crate::reflector::run::{Opened, Run};
use crate::reflector::watch::GRACE;
use crate::reflector::{Item, Source, SourceError, Undecodable, WatchEvent, WatchStart};

/// A streaming list and the watch that goes on after it.
type Streamed<S> = (Draft<<S as Source>::Object>, Opened<S>);

impl<S: Source> Run<'_, S> {
    /// The initial events of a watch.
    pub(super) async fn stream(&mut self) -> Result<Streamed<S>, SourceError> {
        let mut opened = self.open(WatchStart::InitialEvents).await?;
        // A server that does not know the option never ends the list, but still sends bookmarks.
        let deadline = Instant::now() + opened.timeout + GRACE;
        let mut draft = self.draft();
        let silence = self.config.limits.silence;
        let torn = |message: &str| SourceError::Transport {
            message: format!("the streaming list {message}"),
            error: None,
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
