//! Watches that say nothing: when a list has to show what they may have kept back.

use std::hash::BuildHasher;
use std::time::Duration;

use foldhash::fast::FixedState;
use tokio::time::Instant;

use crate::KeyRef;

/// How many watches in a row that neither bring anything nor say that there is nothing ...
const WATCHES: u32 = 2;

/// ... and for how long, before a list; at most, after lists that found nothing. An idle, healthy
/// source behind a proxy that cuts idle connections looks the same, and is not to be listed often.
const FIRST: Duration = Duration::from_secs(120);
const LONGEST: Duration = Duration::from_secs(1800);

#[derive(Debug)]
pub(super) struct Quiet {
    /// Whether the watch at hand said anything.
    said: bool,
    watches: u32,
    /// For how long the watches may be quiet.
    patience: Duration,
    /// When a list was last asked for on this account, if none has come since.
    asked: Option<Instant>,
    last: Option<Listed>,
}

/// A list, as far as it has to be told from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    content: u64,
    /// How often the sinks were told something new before it.
    steps: u64,
}

impl Listed {
    pub(super) fn new<'k>(
        objects: impl Iterator<Item = (KeyRef<'k>, Option<&'k str>)>,
        steps: u64,
    ) -> Self {
        let hasher = FixedState::default();
        // The order is the source's affair.
        let content = objects.fold(0_u64, |sum, object| sum.wrapping_add(hasher.hash_one(object)));
        Self { content, steps }
    }
}

impl Default for Quiet {
    fn default() -> Self {
        Self { said: false, watches: 0, patience: FIRST, asked: None, last: None }
    }
}

impl Quiet {
    /// The watch shows that the content is complete.
    pub(super) fn said(&mut self) {
        self.said = true;
    }

    /// A watch ended; `lag`: since the content was known to be complete. Whether a list is due.
    pub(super) fn watched(&mut self, lag: Duration, now: Instant) -> bool {
        if std::mem::take(&mut self.said) {
            (self.watches, self.asked) = (0, None);
            return false;
        }
        self.watches = self.watches.saturating_add(1);
        let early = self.asked.is_some_and(|asked| now.duration_since(asked) < self.patience);
        let due = self.watches >= WATCHES && lag >= self.patience && !early;
        if due {
            self.asked = Some(now);
        }
        due
    }

    /// A list came; `newer`: it holds an object that is newer than what the watches had come to.
    /// Whether it was due, and shows changes that they did not bring.
    pub(super) fn listed(&mut self, list: Listed, newer: bool) -> bool {
        let last = self.last.replace(list);
        self.watches = 0;
        if self.asked.take().is_none() {
            return false;
        }
        let changed = newer
            || last.is_some_and(|last| last.steps == list.steps && last.content != list.content);
        self.patience = if changed { FIRST } else { (self.patience * 2).min(LONGEST) };
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_secs(20);

    fn list(objects: &[(&str, &str)]) -> Listed {
        Listed::new(objects.iter().map(|(key, version)| ((*key).into(), Some(*version))), 0)
    }

    /// After how many quiet watches of 20 s a list is due.
    fn due_after(quiet: &mut Quiet) -> u32 {
        let start = Instant::now();
        (1..1000).find(|n| quiet.watched(STEP * *n, start + STEP * *n)).unwrap_or(0)
    }

    #[test]
    fn lists_that_find_nothing_become_rare_and_one_that_does_brings_them_back() {
        let mut quiet = Quiet::default();
        assert!(!quiet.listed(list(&[("a", "1")]), false));
        let mut found = Vec::new();
        for _ in 0..6 {
            found.push(due_after(&mut quiet));
            assert!(!quiet.listed(list(&[("a", "1")]), false));
        }
        assert_eq!(found, [6, 12, 24, 48, 90, 90]);
        due_after(&mut quiet);
        assert!(quiet.listed(list(&[]), false), "a deletion");
        assert_eq!(due_after(&mut quiet), 6);
        assert!(quiet.listed(list(&[]), true));
    }

    #[test]
    fn a_watch_that_says_something_is_not_quiet() {
        let mut quiet = Quiet::default();
        let now = Instant::now();
        for _ in 0..100 {
            quiet.said();
            assert!(!quiet.watched(FIRST, now));
        }
        assert!(!quiet.watched(FIRST, now), "one is not enough");
        assert!(quiet.watched(FIRST, now));
    }
}
