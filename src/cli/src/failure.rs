//! Why the command ends without having done its work: a sentence, advice, an exit code.

use std::io::Write;
use std::process::ExitCode;

#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
    advice: Option<String>,
}

/// Prints a note to stderr: stdout is for the report.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "note: {text}");
}

impl Failure {
    /// The command line is wrong, which is found before anything is started. Exit code 2, as clap's.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into(), advice: None }
    }

    /// Something else is wrong. Exit code 1.
    pub(crate) fn run(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into(), advice: None }
    }

    /// What to do about it.
    #[must_use]
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        self.code.into()
    }

    pub(crate) fn print(&self) {
        let mut text = format!("error: {}\n", self.message);
        if let Some(advice) = &self.advice {
            text.push_str(&format!("  try: {advice}\n"));
        }
        if self.code == 2 {
            text.push_str("\nFor more information, try '--help'.\n");
        }
        // If stderr is closed, no one can be told.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}
