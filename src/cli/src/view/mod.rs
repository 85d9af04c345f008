//! What the reports of all commands share: where they go, tables by width, and figures that read well.

pub(crate) mod frame;
pub(crate) mod screen;
pub(crate) mod table;
pub(crate) mod text;

use std::io::{self, IsTerminal, Write};

use crate::args::Output;
use crate::failure::{self, Failure};
use screen::Size;

/// How wide a line of a plain report is at most.
pub(crate) const PLAIN: usize = 120;

/// The least that a live view needs.
const LEAST: Size = Size { width: 40, height: 10 };

/// How a command reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Live,
    Plain,
    Json,
}

impl Form {
    /// What was asked for; a live view only where it can be drawn.
    pub(crate) fn of(output: Option<Output>) -> Self {
        match (output, why_not_live()) {
            (Some(Output::Json), _) => Self::Json,
            (Some(Output::Live) | None, None) => Self::Live,
            (Some(Output::Live), Some(why)) => {
                failure::note(&format!("no live view: {why}"));
                Self::Plain
            }
            (Some(Output::Plain) | None, _) => Self::Plain,
        }
    }
}

fn why_not_live() -> Option<&'static str> {
    if !io::stdout().is_terminal() {
        return Some("the output is no terminal");
    }
    if std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        return Some("the terminal is a dumb one");
    }
    if std::env::var_os("RUST_LOG").is_some() && io::stderr().is_terminal() {
        return Some("the log that RUST_LOG asks for goes to the terminal");
    }
    let Size { width, height } = Size::now();
    (width < LEAST.width || height < LEAST.height).then_some("the terminal is too small")
}

/// Prints a line, or several of them, without what a server may have put there to move the cursor.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    json(&text::clean(text))
}

/// Prints a line of JSON.
pub(crate) fn json(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    written.map_err(|error| unwritten(&error))
}

/// Nobody is told any more what goes on.
pub(crate) fn unwritten(error: &io::Error) -> Failure {
    Failure::run(format!("the output cannot be written: {error}"))
}
