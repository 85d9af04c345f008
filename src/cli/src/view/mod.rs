//! How the command reports while it runs, and in the end.

mod live;
mod plain;
mod text;

use std::io::{IsTerminal, Write};
use std::time::Duration;

use watchcache::reflector::Phase;

use crate::args::Output;
use crate::failure;
use crate::report::{Sample, Summary, waiting_for};

#[derive(Debug)]
pub(crate) enum View {
    Live(live::Live),
    Plain(plain::Plain),
    Json(Waiting),
}

/// The last note on stderr about why the first list has not arrived.
#[derive(Debug, Default)]
pub(crate) struct Waiting(String);

impl Waiting {
    fn show(&mut self, sample: &Sample) {
        if !sample.elapsed.is_zero() || sample.progress.phase != Phase::BackingOff {
            return;
        }
        let reason = waiting_for(&sample.progress);
        if reason != self.0 {
            failure::note(&format!("waiting for the first list, trying again: {reason}"));
            self.0 = reason;
        }
    }
}

impl View {
    /// `title` names what is mirrored.
    pub(crate) fn new(output: Option<Output>, title: &str) -> Self {
        let terminal = std::io::stdout().is_terminal();
        match output {
            Some(Output::Json) => Self::Json(Waiting::default()),
            Some(Output::Live) | None if terminal => Self::Live(live::Live::new(title)),
            _ => Self::Plain(plain::Plain::new(title)),
        }
    }

    /// How often a sample is worth showing.
    pub(crate) fn period(&self) -> Duration {
        match self {
            Self::Live(_) => Duration::from_millis(200),
            Self::Plain(_) | Self::Json(_) => Duration::from_secs(1),
        }
    }

    pub(crate) fn show(&mut self, sample: &Sample) {
        match self {
            Self::Live(live) => live.show(sample),
            Self::Plain(plain) => plain.show(sample),
            Self::Json(waiting) => waiting.show(sample),
        }
    }

    /// Prints what continues after the run.
    pub(crate) fn note(&self, text: &str) {
        match self {
            Self::Live(live) => live.note(text),
            Self::Plain(_) => line(text),
            Self::Json(_) => {}
        }
    }

    pub(crate) fn finish(&self, summary: &Summary) {
        match self {
            Self::Live(live) => live.clear(),
            Self::Plain(_) => {}
            Self::Json(_) => {
                // Only numbers and strings: serialization cannot fail.
                return line(&serde_json::to_string(summary).unwrap_or_default());
            }
        }
        line(&text::summary(summary));
    }
}

/// Prints a line. If stdout is closed, the command ends like a process that writes into a closed pipe:
/// `watchcache | head` stops.
pub(crate) fn line(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    if written.is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
        // A shell's code for SIGPIPE.
        std::process::exit(141);
    }
}
