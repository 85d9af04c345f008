//! How the mirror reports: live, in plain lines, or with one JSON object in the end.

use super::{live, plain, summary};
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::notes::Notes;
use crate::report::{Sample, Summary};
use crate::target::Scope;
use crate::view::screen::{Screen, Size};
use crate::view::text;
use crate::view::{self, Form, PLAIN};

pub(super) struct View {
    form: Form,
    source: String,
    scope: String,
    /// Of a live view, until it ends.
    screen: Option<Screen>,
    /// What was shown last.
    shown: Option<Sample>,
    notes: Notes,
}

impl View {
    pub(super) fn new(form: Form, kinds: &[&str], cluster: &Cluster) -> Result<Self, Failure> {
        let source = cluster.name();
        let scope = cluster.scope.describe();
        let screen = match form {
            Form::Live => Some(Screen::open().map_err(|error| view::unwritten(&error))?),
            Form::Plain => {
                let of = format!(" of {source}{scope}");
                let room = PLAIN
                    .saturating_sub(text::width_of(&of))
                    .max(kinds.first().map_or(0, |kind| kind.len()));
                view::line(&(text::cut(&kinds.join(", "), room) + &of))?;
                None
            }
            Form::Json => None,
        };
        Ok(Self { form, source, scope, screen, shown: None, notes: Notes::default() })
    }

    pub(super) fn show(&mut self, sample: Sample) -> Result<(), Failure> {
        match self.form {
            Form::Live => {
                self.shown = Some(sample);
                self.redraw()?;
            }
            Form::Plain => {
                self.note_empty(&sample);
                plain::lines(&sample).iter().try_for_each(|line| view::line(line))?;
            }
            Form::Json => {
                self.note_empty(&sample);
                let kinds = sample.kinds.iter();
                kinds.for_each(|kind| self.notes.retry(&kind.name, &kind.progress));
            }
        }
        Ok(())
    }

    fn note_empty(&mut self, sample: &Sample) {
        if !sample.elapsed.is_zero() {
            for kind in sample.kinds.iter().filter(|kind| kind.is_empty()) {
                self.notes.note(format!("there are no {}{}", kind.name, self.scope));
            }
        }
    }

    /// Draws a live view again, on a terminal that may have another size.
    pub(super) fn redraw(&self) -> Result<(), Failure> {
        let (Some(screen), Some(sample)) = (&self.screen, &self.shown) else { return Ok(()) };
        let size = Size::now();
        let frame = live::frame(&self.source, &self.scope, sample, size);
        screen.draw(&frame, size).map_err(|error| view::unwritten(&error))
    }

    /// Stops the process, with the terminal as it was, until it is told to go on.
    pub(super) fn suspend(&self) -> Result<(), Failure> {
        if let Some(screen) = &self.screen {
            screen.suspend().map_err(|error| view::unwritten(&error))?;
        }
        self.redraw()
    }

    /// The run is over, but for what this says.
    pub(super) fn end(&mut self, text: &str) -> Result<(), Failure> {
        drop(self.screen.take());
        if self.form == Form::Json { Ok(()) } else { view::line(text) }
    }

    pub(super) fn finish(&self, summary: &Summary, scope: &Scope) -> Result<(), Failure> {
        match self.form {
            // Only numbers and strings: serialization cannot fail.
            Form::Json => view::json(&serde_json::to_string(summary).unwrap_or_default()),
            Form::Live => view::line(&summary::text(summary, scope, Size::now().width)),
            Form::Plain => view::line(&summary::text(summary, scope, PLAIN)),
        }
    }
}
