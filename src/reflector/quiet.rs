//! Watches that say nothing: when a list has to show what they may have kept back.

use std::time::Duration;

use tokio::time::Instant;

/// How many watches in a row that were granted, but neither bring anything nor say that there is nothing
/// ...
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
    /// A hash of its keys and versions, if that is known.
    pub(super) content: Option<u64>,
    /// How often the sinks were told something new before it.
    pub(super) steps: u64,
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

    /// A watch ended that had been granted.
    pub(super) fn watched(&mut self) {
        if std::mem::take(&mut self.said) {
            // Watches work: what was waited for while they said nothing is no measure any more.
            (self.watches, self.asked, self.patience) = (0, None, FIRST);
        } else {
            self.watches = self.watches.saturating_add(1);
        }
    }

    /// Whether a list is due, which is to be asked for then. `lag`: since the content was known to be
    /// complete, beyond what the source takes while all is well.
    pub(super) fn is_due(&mut self, lag: Duration, now: Instant) -> bool {
        let early = self.asked.is_some_and(|asked| now.duration_since(asked) < self.patience);
        let due = self.watches >= WATCHES && lag >= self.patience && !early;
        if due {
            self.asked = Some(now);
        }
        due
    }

    /// Whether a list was asked for because one was due.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// The list that was due failed.
    pub(super) fn failed(&mut self) {
        self.wait_longer();
    }

    /// A list is asked for on another account: what it shows says nothing about the watches.
    pub(super) fn is_listed_anyway(&mut self) {
        self.asked = None;
    }

    /// A list came; `newer`: it holds an object that is newer than what the watches had come to.
    /// Whether it was due, and shows changes that they did not bring.
    pub(super) fn listed(&mut self, list: Listed, newer: bool) -> bool {
        let last = self.last.replace(list);
        self.watches = 0;
        if self.asked.take().is_none() {
            return false;
        }
        let other = |last: Listed| {
            let both = last.content.zip(list.content);
            last.steps == list.steps && both.is_some_and(|(last, list)| last != list)
        };
        let changed = newer || last.is_some_and(other);
        if changed {
            self.patience = FIRST;
        } else {
            self.wait_longer();
        }
        changed
    }

    fn wait_longer(&mut self) {
        self.patience = (self.patience * 2).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_secs(20);

    fn list(content: u64) -> Listed {
        Listed { content: Some(content), steps: 0 }
    }

    /// After how many quiet watches of 20 s a list is due.
    fn due_after(quiet: &mut Quiet) -> u32 {
        let start = Instant::now();
        let due = |n: &u32| {
            quiet.watched();
            quiet.is_due(STEP * *n, start + STEP * *n)
        };
        (1..1000).find(due).unwrap_or(0)
    }

    #[test]
    fn lists_that_find_nothing_become_rare_and_one_that_does_brings_them_back() {
        let mut quiet = Quiet::default();
        assert!(!quiet.listed(list(1), false));
        let mut found = Vec::new();
        for _ in 0..6 {
            found.push(due_after(&mut quiet));
            assert!(!quiet.listed(list(1), false));
        }
        assert_eq!(found, [6, 12, 24, 48, 90, 90]);
        due_after(&mut quiet);
        assert!(quiet.listed(list(2), false), "a deletion");
        assert_eq!(due_after(&mut quiet), 6);
        assert!(quiet.listed(list(2), true));
        due_after(&mut quiet);
        let unknown = Listed { content: None, steps: 0 };
        assert!(!quiet.listed(unknown, false), "what is not known is not compared");
    }

    #[test]
    fn a_watch_that_says_something_is_not_quiet() {
        let mut quiet = Quiet::default();
        let now = Instant::now();
        for _ in 0..100 {
            quiet.said();
            quiet.watched();
            assert!(!quiet.is_due(FIRST, now));
        }
        quiet.watched();
        assert!(!quiet.is_due(FIRST, now), "one is not enough");
        quiet.watched();
        assert!(quiet.is_due(FIRST, now));
    }
}
