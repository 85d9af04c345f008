//! What happens while kinds are mirrored, one thing after the other.

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Interval, MissedTickBehavior};
use watchcache::reflector::Monitor;

use crate::failure::Failure;
use crate::kind::{Ended, Kind};
use crate::limit::Limit;
use crate::report::waiting_for;
use crate::signals::{self, Interrupts, TerminalSignals, Told};
use crate::view::Form;
use crate::view::text::count;

/// How often there is something new to show; and how often of the first lists, live.
const PERIOD: Duration = Duration::from_secs(1);
const LISTING: Duration = Duration::from_millis(200);
/// When a kind is refused, how long the others may take to be refused, too, and to be told with it.
const TOGETHER: Duration = Duration::from_secs(1);
/// How many kinds a sentence names.
const NAMED: usize = 5;

pub(crate) enum Event {
    /// Every first list is in.
    Synced,
    /// Nothing more comes of these kinds, which are not to be passed again.
    Ended(Vec<Ended>),
    /// It is time to show how things are.
    Tick,
    /// The terminal has another size.
    Resized,
    /// A live view is to let go of the terminal, and the process to stop until it is told to go on.
    Suspended,
    /// The time is up, or a signal came; an error if it was before every first list was in.
    End(Result<(), Failure>),
}

pub(crate) struct Course {
    limit: Limit,
    ticks: Interval,
    interrupts: Interrupts,
    terminal: TerminalSignals,
    synced: bool,
}

impl Course {
    pub(crate) fn new(limit: Limit, form: Form, interrupts: Interrupts) -> Self {
        Self {
            limit,
            ticks: every(if form == Form::Live { LISTING } else { PERIOD }),
            interrupts,
            terminal: TerminalSignals::new(form == Form::Live),
            synced: false,
        }
    }

    /// No first list is waited for any more, which may have been shown more often.
    pub(crate) fn begin(&mut self) {
        self.ticks = every(PERIOD);
    }

    /// Goes on for this long from now on.
    pub(crate) fn limit(&mut self, limit: Limit) {
        self.limit = limit;
    }

    /// From here on, the next signal ends the process at once.
    pub(crate) fn end(self) {
        self.interrupts.end_at_next();
        self.terminal.obey();
    }

    pub(crate) async fn next(&mut self, kinds: Vec<&mut Kind>) -> Event {
        let waited: Vec<_> =
            kinds.iter().map(|kind| (kind.name.clone(), kind.monitor.clone())).collect();
        let mut ended: FuturesUnordered<_> = kinds.into_iter().map(Kind::ended).collect();
        tokio::select! {
            biased;
            () = self.interrupts.next() => Event::End(match self.synced {
                true => Ok(()),
                false => Err(signals::too_early(&why_not_synced(&waited))),
            }),
            Some(first) = ended.next() => {
                let mut all = vec![first];
                if !self.synced {
                    let together = tokio::time::Instant::now() + TOGETHER;
                    while let Ok(Some(more)) = tokio::time::timeout_at(together, ended.next()).await {
                        all.push(more);
                    }
                }
                Event::Ended(all)
            }
            () = all_synced(&waited), if !self.synced => {
                self.synced = true;
                self.begin();
                Event::Synced
            }
            () = self.limit.passed() => Event::End(match self.synced {
                true => Ok(()),
                false => Err(self.limit.too_short(&why_not_synced(&waited))),
            }),
            told = self.terminal.next() => match told {
                Told::Resized => Event::Resized,
                Told::Suspended => Event::Suspended,
            },
            _ = self.ticks.tick() => Event::Tick,
        }
    }
}

/// Begins after one period.
fn every(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

async fn all_synced(kinds: &[(String, Monitor)]) {
    for (_, monitor) in kinds {
        if monitor.synced().await.is_err() {
            // That the reflector has ended is an event of its own.
            std::future::pending::<()>().await;
        }
    }
}

/// Of each kind that is not in, by its name if there are others.
fn why_not_synced(kinds: &[(String, Monitor)]) -> String {
    let alone = kinds.len() == 1;
    let waiting: Vec<_> = kinds
        .iter()
        .map(|(name, monitor)| (name, monitor.progress()))
        .filter(|(_, progress)| !progress.synced)
        .map(|(name, progress)| match waiting_for(&progress) {
            why if alone => why,
            why => format!("{name}: {why}"),
        })
        .collect();
    let more = waiting.len().saturating_sub(NAMED);
    let told = waiting[..waiting.len() - more].join("; ");
    match more {
        0 => told,
        more => format!("{told}; and {}", count(more as u64, "more kind")),
    }
}
