//! A screen of its own, drawn anew each time: whatever was there before, and whatever a new size has made
//! of it, is written over. What was on the terminal comes back at the end.

use std::io::{self, Write};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::style::Stylize;
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap,
    EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
};
use crossterm::{execute, queue};

use super::frame::{Frame, Style};
use super::text::cut;
use crate::signals;

/// In characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl Size {
    /// The terminal's, on standard output; a usual one if it does not say.
    pub(crate) fn now() -> Self {
        match terminal_size::terminal_size_of(io::stdout()) {
            Some((width, height)) if width.0 > 0 && height.0 > 0 => {
                Self { width: width.0.into(), height: height.0.into() }
            }
            _ => Self { width: 80, height: 24 },
        }
    }
}

/// The screen, until this is dropped.
#[derive(Debug)]
pub(crate) struct Screen(());

impl Screen {
    pub(crate) fn open() -> io::Result<Self> {
        // First, so that it is left again if only a part of this succeeds.
        let screen = Self(());
        enter()?;
        Ok(screen)
    }

    /// Gives the terminal back while the process is stopped.
    pub(crate) fn suspend(&self) -> io::Result<()> {
        leave()?;
        signals::suspend();
        enter()
    }

    pub(crate) fn draw(&self, frame: &Frame, size: Size) -> io::Result<()> {
        let mut bytes = Vec::new();
        queue!(bytes, BeginSynchronizedUpdate)?;
        let lines = frame.fitted(size);
        let row = |row: usize| MoveTo(0, u16::try_from(row).unwrap_or(u16::MAX));
        for (at, line) in lines.iter().enumerate() {
            queue!(bytes, row(at))?;
            // Before the text: at the last column, it would take the last letter with it.
            queue!(bytes, Clear(ClearType::UntilNewLine))?;
            let text = cut(&line.text, size.width);
            match line.style {
                Style::Plain => write!(bytes, "{text}")?,
                Style::Title => write!(bytes, "{}", text.bold())?,
                Style::Heading => write!(bytes, "{}", text.dim())?,
                Style::Trouble => write!(bytes, "{}", text.red())?,
            }
        }
        if lines.len() < size.height {
            queue!(bytes, row(lines.len()), Clear(ClearType::FromCursorDown))?;
        }
        queue!(bytes, EndSynchronizedUpdate)?;
        let mut stdout = io::stdout().lock();
        stdout.write_all(&bytes)?;
        stdout.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // If the terminal is gone, there is nothing to give back.
        let _ = leave();
    }
}

fn enter() -> io::Result<()> {
    execute!(io::stdout(), EnterAlternateScreen, Hide, DisableLineWrap)
}

fn leave() -> io::Result<()> {
    execute!(io::stdout(), EnableLineWrap, Show, LeaveAlternateScreen)
}
