//! After the end of a watch: whether and when to resume it, or to relist.

use std::time::Duration;

use tokio::time::Instant;

use super::SourceError;
use super::progress::Cause;

/// A watch that lived this long was a working one: whatever ends it after that, such as a proxy that cuts
/// idle connections, does not count against the next.
const LIVED: Duration = Duration::from_secs(5);

/// A watch that ends sooner, even with progress, is followed by a pause. Otherwise a server that ends
/// each watch after one event would be asked in a tight loop.
const SHORT: Duration = Duration::from_secs(1);

/// The first and the longest of these pauses: the longest is as long as the watch may be short.
const AFTER_SHORT: Duration = Duration::from_millis(100);
const LONGEST_AFTER_SHORT: Duration = Duration::from_millis(1600);

/// How many failures at one place of the history make a list necessary.
const STUCK: u32 = 3;

/// How long that takes at least where a list would fail as well: while the source cannot be reached, or
/// asks for time.
const STUCK_FOR: Duration = Duration::from_secs(30);

/// How a watch ended.
#[derive(Debug)]
pub(super) enum End {
    /// The source ended it.
    Closed,
    /// Nothing came for too long: the connection is considered dead.
    Silent,
    /// It was not granted, broke, or the source ended it with a failure.
    Failed(SourceError),
}

/// A watch that ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) end: End,
    pub(super) granted: bool,
    /// Whether it made progress.
    pub(super) moved: bool,
    /// How long it lived, from when it was granted.
    pub(super) lasted: Duration,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) pause: Pause,
    /// `None`: watch again, where the last watch stopped.
    pub(super) relist: Option<Cause>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pause {
    None,
    /// Of about this length.
    Short(Duration),
    /// As long as the back-off.
    Backoff,
}

/// Watches in a row that worked badly.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// Failures at one place of the history.
    failures: u32,
    since: Option<Instant>,
    /// Watches in a row that ended soon, though with progress.
    short: u32,
}

impl Recovery {
    /// Returns whether the watch worked, so that delays are reset.
    pub(super) fn worked(ended: &Ended) -> bool {
        let cut = match &ended.end {
            End::Closed | End::Silent => true,
            End::Failed(error) => matches!(error, SourceError::Transport { .. }),
        };
        ended.moved || (cut && ended.lasted >= LIVED)
    }

    /// Judges a watch. `resumable`: there is a version to resume from. `may_list`: the last list was long
    /// enough ago.
    pub(super) fn judge(
        &mut self,
        ended: &Ended,
        resumable: bool,
        may_list: bool,
        now: Instant,
    ) -> Verdict {
        let worked = Self::worked(ended);
        if worked {
            (self.failures, self.since) = (0, None);
        }
        let short = worked && ended.lasted < SHORT;
        self.short = if short { self.short.saturating_add(1) } else { 0 };
        let mut verdict = match &ended.end {
            End::Failed(error) if error.is_expired() => relist(Cause::Expired),
            End::Failed(SourceError::Behind { .. }) => relist(Cause::Behind),
            End::Failed(SourceError::OutOfOrder { .. }) => relist(Cause::OutOfOrder),
            End::Failed(SourceError::Transport { .. }) | End::Closed if worked && !short => {
                resume(Pause::None)
            }
            End::Closed if worked => resume(Pause::Short(self.short_pause())),
            End::Silent if ended.lasted >= SHORT => resume(Pause::None),
            End::Failed(_) if ended.moved => resume(Pause::Backoff),
            end => self.strike(end, may_list, now),
        };
        if !resumable && verdict.relist.is_none() {
            verdict.relist = Some(Cause::Unversioned);
        }
        verdict
    }

    fn short_pause(&self) -> Duration {
        let doublings = self.short.saturating_sub(1).min(8);
        (AFTER_SHORT * (1 << doublings)).min(LONGEST_AFTER_SHORT)
    }

    /// One more failure without progress.
    fn strike(&mut self, end: &End, may_list: bool, now: Instant) -> Verdict {
        self.failures = self.failures.saturating_add(1);
        let since = *self.since.get_or_insert(now);
        let (cause, asked, away) = match end {
            End::Failed(error) => {
                let cause = match error {
                    error if error.is_version_too_large() => Cause::VersionTooLarge,
                    SourceError::Protocol(_) => Cause::Protocol,
                    _ => Cause::Stalled,
                };
                let asked = error.retry_after().is_some();
                let away = matches!(error, SourceError::Transport { .. });
                (cause, asked, away || (asked && cause == Cause::Stalled))
            }
            End::Closed | End::Silent => (Cause::Stalled, false, false),
        };
        let stuck = self.failures >= STUCK && (!away || now.duration_since(since) >= STUCK_FOR);
        if !stuck || !may_list {
            return resume(Pause::Backoff);
        }
        // The list follows the failure at once, so that it shows whether lists work where watches do not;
        // one request later the watch might have worked, too.
        Verdict { pause: if asked { Pause::Backoff } else { Pause::None }, relist: Some(cause) }
    }
}

fn resume(pause: Pause) -> Verdict {
    Verdict { pause, relist: None }
}

fn relist(cause: Cause) -> Verdict {
    Verdict { pause: Pause::None, relist: Some(cause) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;

    const NOTHING: Duration = Duration::from_millis(10);

    fn ended(end: End, moved: bool, lasted: Duration) -> Ended {
        Ended { end, granted: true, moved, lasted }
    }

    fn transport() -> End {
        End::Failed(SourceError::Transport { message: "reset".to_owned(), error: None })
    }

    fn internal() -> End {
        End::Failed(Status::internal("boom").into())
    }

    fn causes(ends: impl Fn() -> End, every: Duration, tries: u32) -> Vec<Option<Cause>> {
        let (mut recovery, start) = (Recovery::default(), Instant::now());
        (0..tries)
            .map(|n| {
                let ended = ended(ends(), false, NOTHING);
                recovery.judge(&ended, true, true, start + every * n).relist
            })
            .collect()
    }

    #[test]
    fn whatever_fails_at_one_place_leads_to_a_list() {
        let second = Duration::from_secs(1);
        let stalled = Some(Cause::Stalled);
        assert_eq!(causes(|| End::Closed, second, 4), [None, None, stalled, stalled]);
        assert_eq!(causes(internal, second, 3), [None, None, stalled]);
        let forbidden = || End::Failed(Status::forbidden("", "pods", "", "no").into());
        assert_eq!(causes(forbidden, second, 3), [None, None, stalled]);
        let garbage = || End::Failed(SourceError::Protocol("?".to_owned()));
        assert_eq!(causes(garbage, second, 3), [None, None, Some(Cause::Protocol)]);
        // A source that cannot be reached, or asks for time, cannot list either; but there is a limit.
        let eleven = Duration::from_secs(11);
        assert_eq!(causes(transport, eleven, 4), [None, None, None, stalled]);
        let busy = || End::Failed(Status::too_many_requests(second).into());
        assert_eq!(causes(busy, eleven, 4), [None, None, None, stalled]);
    }

    #[test]
    fn a_source_that_asks_for_time_gets_it_before_the_list() {
        let (mut recovery, now) = (Recovery::default(), Instant::now());
        let status = Status::resource_version_too_large(9, 7, Duration::from_secs(1));
        let ahead = || ended(End::Failed(status.clone().into()), false, NOTHING);
        let third = [(); 3].map(|()| recovery.judge(&ahead(), true, true, now)).into_iter().last();
        let relist = Some(Cause::VersionTooLarge);
        assert_eq!(third, Some(Verdict { pause: Pause::Backoff, relist }));
    }

    #[test]
    fn a_watch_that_lived_is_resumed_at_once_and_clears_what_was_before() {
        for end in [transport(), End::Closed] {
            let mut recovery = Recovery::default();
            let now = Instant::now();
            for _ in 0..2 {
                recovery.judge(&ended(internal(), false, NOTHING), true, true, now);
            }
            let idle = ended(end, false, Duration::from_secs(20));
            assert_eq!(recovery.judge(&idle, true, true, now), resume(Pause::None));
            let next = recovery.judge(&ended(internal(), false, NOTHING), true, true, now);
            assert_eq!(next, resume(Pause::Backoff));
        }
    }

    #[test]
    fn a_failure_that_takes_its_time_still_leads_to_a_list() {
        let (mut recovery, now) = (Recovery::default(), Instant::now());
        let slow = || ended(internal(), false, Duration::from_secs(40));
        let causes = [(); 3].map(|()| recovery.judge(&slow(), true, true, now).relist);
        assert_eq!(causes, [None, None, Some(Cause::Stalled)]);
    }

    #[test]
    fn a_list_waits_for_its_pace_and_the_watch_is_tried_meanwhile() {
        let (mut recovery, now) = (Recovery::default(), Instant::now());
        let failed = || ended(internal(), false, NOTHING);
        let verdicts = [(); 5].map(|()| recovery.judge(&failed(), true, false, now));
        assert!(verdicts.iter().all(|verdict| *verdict == resume(Pause::Backoff)));
        assert_eq!(recovery.judge(&failed(), true, true, now).relist, Some(Cause::Stalled));
    }

    #[test]
    fn short_watches_that_bring_something_are_spaced() {
        let (mut recovery, now) = (Recovery::default(), Instant::now());
        let pauses = [(); 6].map(|()| {
            match recovery.judge(&ended(End::Closed, true, NOTHING), true, true, now).pause {
                Pause::Short(pause) => pause.as_millis(),
                other => panic!("{other:?}"),
            }
        });
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 1600]);
    }

    #[test]
    fn without_a_version_only_a_list_can_follow() {
        let (mut recovery, now) = (Recovery::default(), Instant::now());
        let idle = ended(End::Closed, false, Duration::from_secs(30));
        assert_eq!(recovery.judge(&idle, false, true, now), relist(Cause::Unversioned));
        let failed = recovery.judge(&ended(internal(), false, NOTHING), false, true, now);
        let expected = Verdict { pause: Pause::Backoff, relist: Some(Cause::Unversioned) };
        assert_eq!(failed, expected);
    }

    #[test]
    fn a_watch_that_is_silent_at_once_is_no_tight_loop() {
        let (mut recovery, now) = (Recovery::default(), Instant::now());
        let verdict = recovery.judge(&ended(End::Silent, false, NOTHING), true, true, now);
        assert_eq!(verdict, resume(Pause::Backoff));
    }
}
