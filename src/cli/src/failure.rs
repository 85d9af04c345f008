//! Why the command ends without having done its work: a sentence, advice, an exit code.

use std::io::Write;
use std::process::ExitCode;

use crate::view::text;

#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
    advice: Option<String>,
}

/// Prints a note to stderr: stdout is for the report.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "note: {}", text::clean(text));
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

    /// Several at once, which are not of one kind of object only.
    pub(crate) fn all(failures: Vec<Self>) -> Self {
        let code = failures.iter().map(|failure| failure.code).max().unwrap_or(1);
        let messages: Vec<_> = failures.iter().map(|failure| &*failure.message).collect();
        let mut advice: Vec<_> = failures.iter().filter_map(|one| one.advice.as_deref()).collect();
        advice.dedup();
        let advice = (!advice.is_empty()).then(|| advice.join("; "));
        Self { code, message: messages.join("; "), advice }
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// For whoever reads JSON.
    pub(crate) fn json(&self) -> String {
        let (message, advice) = (&self.message, &self.advice);
        serde_json::json!({ "error": { "message": message, "advice": advice, "exit_code": self.code } })
            .to_string()
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
        let _ = std::io::stderr().write_all(text::clean(&text).as_bytes());
    }
}
