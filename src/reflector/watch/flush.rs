//! Feeding a batch to the sinks.

use super::gathered::Gathered;
use crate::Change;
use crate::reflector::Source;
use crate::reflector::facts::version_of;
use crate::reflector::run::Run;
use crate::reflector::shared::Applied;

impl<S: Source> Run<'_, S> {
    /// Feeds the batch to the sinks.
    pub(super) fn flush(&mut self, gathered: &mut Gathered<S::Object>) {
        let batch = &mut gathered.batch;
        if gathered.moved {
            self.position = gathered.reached.version().map(Into::into);
            if let Some(position) = &self.position {
                batch.set_resource_version(position.clone());
            }
        }
        if !self.order.is_ordered() {
            batch.set_unordered();
        }
        if !batch.is_empty() || gathered.moved {
            self.steps += 1;
            let changed = batch.changes().map(|(key, change)| match change {
                Change::Add(object) => (key, version_of(&**object)),
                Change::Delete(_) => (key, None),
            });
            let refused = self.shared.feed(
                || self.config.apply(batch),
                |key, version| self.config.is_current(key, version) != Some(false),
                changed,
            );
            self.shared.refused(refused);
        } else {
            self.shared.verify(|key, version| self.config.is_current(key, version) != Some(false));
        }
        if gathered.complete {
            self.quiet.said();
        }
        let version = self.position.as_ref();
        tracing::trace!(events = batch.len(), stale = gathered.stale, ?version, "applied");
        self.shared.applied(Applied {
            events: batch.len() as u64,
            stale: gathered.stale,
            version,
            complete: gathered.complete,
            bytes: self.source.received_bytes(),
        });
        (gathered.events, gathered.stale) = (0, 0);
        (gathered.moved, gathered.complete) = (false, false);
        // Runs destructors, so it comes last.
        gathered.batch.clear();
    }
}
