//! What happens while kinds are mirrored, one thing after the other.

use std::pin::Pin;
use std::time::Duration;

use futures_util::future::select_all;
use tokio::time::{Interval, MissedTickBehavior};
use watchcache::reflector::Monitor;

use crate::failure::Failure;
use crate::kind::Kind;
use crate::limit::Limit;
use crate::report::waiting_for;
use crate::signals::{Interrupts, TerminalSignals, Told};
use crate::view::Form;

/// How often there is something new to show; and how often of the first lists, live.
const PERIOD: Duration = Duration::from_secs(1);
const LISTING: Duration = Duration::from_millis(200);

pub(crate) enum Event {
    /// Every first list is in.
    Synced,
    /// It is time to show how things are.
    Tick,
    /// The terminal has another size.
    Resized,
    /// A live view is to let go of the terminal, and the process to stop until it is told to go on.
    Suspended,
    /// The time is up, or a signal came.
    End,
}

pub(crate) struct Course {
    limit: Limit,
    ticks: Interval,
    interrupts: Interrupts,
    terminal: TerminalSignals,
    synced: bool,
}

impl Course {
    pub(crate) fn new(limit: Limit, form: Form) -> Self {
        Self {
            limit,
            ticks: every(if form == Form::Live { LISTING } else { PERIOD }),
            interrupts: Interrupts::new(),
            terminal: TerminalSignals::new(form == Form::Live),
            synced: false,
        }
    }

    /// Goes on for this long from now on.
    pub(crate) fn limit(&mut self, limit: Limit) {
        self.limit = limit;
    }

    /// From here on, the next signal ends the process at once.
    pub(crate) fn end(self) {
        self.interrupts.end_at_next();
    }

    /// The next event; a failure if there is nothing to go on with.
    pub(crate) async fn next(&mut self, kinds: Vec<&mut Kind>) -> Result<Event, Failure> {
        let monitors: Vec<_> = kinds.iter().map(|kind| kind.monitor.clone()).collect();
        let ended = kinds
            .into_iter()
            .map(|kind| Box::pin(kind.ended()) as Pin<Box<dyn Future<Output = _>>>);
        tokio::select! {
            biased;
            () = self.interrupts.next() => match self.synced {
                true => Ok(Event::End),
                false => Err(Failure::run("stopped before the first list was complete")),
            },
            (failure, ..) = select_all(ended) => Err(failure),
            () = all_synced(&monitors), if !self.synced => {
                self.synced = true;
                self.ticks = every(PERIOD);
                Ok(Event::Synced)
            }
            () = self.limit.passed() => match self.synced {
                true => Ok(Event::End),
                false => Err(self.limit.too_short(&why_not_synced(&monitors))),
            },
            told = self.terminal.next() => match told {
                Told::Resized => Ok(Event::Resized),
                Told::Suspended => Ok(Event::Suspended),
            },
            _ = self.ticks.tick() => Ok(Event::Tick),
        }
    }
}

/// Begins after one period.
fn every(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

async fn all_synced(monitors: &[Monitor]) {
    for monitor in monitors {
        if monitor.synced().await.is_err() {
            // That the reflector has ended is an event of its own.
            std::future::pending::<()>().await;
        }
    }
}

fn why_not_synced(monitors: &[Monitor]) -> String {
    let progress = monitors.iter().map(Monitor::progress).find(|progress| !progress.synced);
    progress.as_ref().map(waiting_for).unwrap_or_default()
}
