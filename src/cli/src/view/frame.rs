//! What a screen shows: lines, and what may go if there are too many.

use super::screen::Size;
use super::text::fit;

/// How a line looks. What it says does not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Title,
    Heading,
    Trouble,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) style: Style,
}

/// Sections below each other, with an empty line before each but the first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frame {
    sections: Vec<Vec<Line>>,
}

impl Frame {
    pub(crate) fn section(&mut self, lines: Vec<Line>) {
        if !lines.is_empty() {
            self.sections.push(lines);
        }
    }

    /// As many lines as there is room for: without the empty ones where they do not fit, and then without
    /// what is before the last, which says how to stop.
    pub(crate) fn fitted(&self, size: Size) -> Vec<Line> {
        let gaps = self.sections.len().saturating_sub(1);
        let lines: usize = self.sections.iter().map(Vec::len).sum();
        let with_gaps = lines + gaps <= size.height;
        let mut fitted = Vec::with_capacity(lines + gaps);
        for section in &self.sections {
            if with_gaps && !fitted.is_empty() {
                fitted.push(Line::plain(String::new()));
            }
            fitted.extend_from_slice(section);
        }
        if let Some(too_many) = fitted.len().checked_sub(size.height) {
            let last = fitted.len().saturating_sub(1);
            fitted.drain(last.saturating_sub(too_many)..last);
            fitted.truncate(size.height);
        }
        fitted
    }
}

impl Line {
    pub(crate) fn plain(text: String) -> Self {
        Self { text, style: Style::Plain }
    }

    pub(crate) fn heading(text: String) -> Self {
        Self { text, style: Style::Heading }
    }

    pub(crate) fn trouble(text: String) -> Self {
        Self { text, style: Style::Trouble }
    }

    /// What is shown, and for how long it has been.
    pub(crate) fn title(parts: &[&str], time: &str, width: usize) -> Self {
        let room = width.saturating_sub(time.len() + 2);
        let title = fit(parts.iter().map(|part| (*part).to_owned()), room);
        Self { text: format!("{title:<room$}  {time}"), style: Style::Title }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(height: usize) -> Vec<String> {
        let mut frame = Frame::default();
        for section in [&["title"][..], &[], &["KIND", "pods", "nodes"], &["end"]] {
            frame.section(section.iter().map(|text| Line::plain((*text).to_owned())).collect());
        }
        let lines = frame.fitted(Size { width: 80, height });
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn what_is_too_much_goes_before_the_last_line() {
        assert_eq!(fitted(7), ["title", "", "KIND", "pods", "nodes", "", "end"]);
        assert_eq!(fitted(6), ["title", "KIND", "pods", "nodes", "end"]);
        assert_eq!(fitted(4), ["title", "KIND", "pods", "end"]);
        assert_eq!(fitted(1), ["end"]);
        assert!(fitted(0).is_empty());
    }

    #[test]
    fn the_time_stands_at_the_right() {
        let line = Line::title(&["watchcache top", "http://there"], "00:00:05", 40);
        assert_eq!(line.text, "watchcache top  http://there    00:00:05");
        let line = Line::title(&["watchcache top", "http://there"], "00:00:05", 30);
        assert_eq!(line.text, "watchcache top        00:00:05");
    }
}
