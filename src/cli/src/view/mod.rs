//! How the command reports while it runs, and in the end.

mod live;
mod plain;
mod text;

use std::io::{IsTerminal, Write};
use std::time::Duration;

use crate::args::Output;
use crate::report::{Sample, Summary};

#[derive(Debug)]
pub(crate) enum View {
    Live(live::Live),
    Plain(plain::Plain),
    Json,
}

impl View {
    /// `title` says what is mirrored.
    pub(crate) fn new(output: Option<Output>, title: &str) -> Self {
        let terminal = std::io::stdout().is_terminal();
        match output {
            Some(Output::Json) => Self::Json,
            Some(Output::Live) | None if terminal => Self::Live(live::Live::new(title)),
            _ => Self::Plain(plain::Plain::new(title)),
        }
    }

    /// How often a sample is worth showing.
    pub(crate) fn period(&self) -> Duration {
        match self {
            Self::Live(_) => Duration::from_millis(200),
            Self::Plain(_) | Self::Json => Duration::from_secs(1),
        }
    }

    pub(crate) fn show(&mut self, sample: &Sample) {
        match self {
            Self::Live(live) => live.show(sample),
            Self::Plain(plain) => plain.show(sample),
            Self::Json => {}
        }
    }

    /// Says what goes on after the run.
    pub(crate) fn note(&self, text: &str) {
        match self {
            Self::Live(live) => live.note(text),
            Self::Plain(_) => line(text),
            Self::Json => {}
        }
    }

    pub(crate) fn finish(&self, summary: &Summary) {
        match self {
            Self::Live(live) => live.clear(),
            Self::Plain(_) => {}
            Self::Json => {
                // Plain numbers and strings: nothing in it can fail to serialize.
                return line(&serde_json::to_string(summary).unwrap_or_default());
            }
        }
        line(&text::summary(summary));
    }
}

/// Prints a line. Where stdout is closed there is nobody to tell.
pub(crate) fn line(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}
