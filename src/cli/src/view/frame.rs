//! What a screen shows: lines, and what may go if there are too many.

use super::screen::Size;
use super::text::{count, fit, pad};

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

/// Those of the rows for which there is room, in their order; what is troubled is not what is left out.
pub(crate) fn chosen<T>(rows: &[T], room: usize, is_troubled: impl Fn(&T) -> bool) -> Vec<&T> {
    let troubled = rows.iter().filter(|row| is_troubled(row)).count().min(room);
    let mut others = room - troubled;
    let mut left = room;
    let mut fits = |row: &&T| {
        let of = if is_troubled(row) { &mut left } else { &mut others };
        let fits = *of > 0;
        *of -= usize::from(fits);
        fits
    };
    rows.iter().filter(|row| fits(row)).collect()
}

/// What of a table's kinds there is room for, beside so many other lines: all, or without two for the sum
/// and for how many are left out.
pub(crate) fn room_for_kinds(kinds: usize, others: usize, height: usize) -> usize {
    let room = height.saturating_sub(others);
    let sum = usize::from(kinds > 1);
    if kinds + sum <= room { kinds } else { room.saturating_sub(2).max(1).min(kinds) }
}

/// How many are not shown, if any.
pub(crate) fn and_more(left_out: usize, what: &str) -> Option<Line> {
    (left_out > 0).then(|| Line::heading(format!("and {}", count(left_out as u64, what))))
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
        Self { text: format!("{}  {time}", pad(&title, room)), style: Style::Title }
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
    fn what_is_troubled_is_not_left_out() {
        let rows: Vec<_> = (0..30).collect();
        assert_eq!(chosen(&rows, 4, |row| *row >= 28), [&0, &1, &28, &29]);
        assert_eq!(chosen(&rows, 2, |row| *row >= 27), [&27, &28]);
        assert_eq!(chosen(&rows, 40, |row| *row == 3).len(), 30);
        assert_eq!((room_for_kinds(30, 4, 24), room_for_kinds(19, 4, 24)), (18, 19));
    }

    #[test]
    fn the_time_stands_at_the_right() {
        let line = Line::title(&["watchcache top", "http://there"], "00:00:05", 40);
        assert_eq!(line.text, "watchcache top  http://there    00:00:05");
        let line = Line::title(&["watchcache top", "http://there"], "00:00:05", 30);
        assert_eq!(line.text, "watchcache top        00:00:05");
    }
}
