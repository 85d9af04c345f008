//! Tables that show what fits: the columns that matter least are left out first.

use std::cmp::Reverse;

use super::frame::Line;
use super::text::{cut, shorten, width_of};

/// Between two columns.
const GAP: usize = 2;
/// Less than this of a name or of words says nothing.
const FLEXIBLE: usize = 12;
/// Columns above this rank matter less than whole names.
const IMPORTANT: u8 = 3;

/// A column: its heading, and what may be done to it.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    heading: String,
    /// The first are left out last; those of rank 0 never.
    rank: u8,
    /// Numbers stand at the right.
    right: bool,
    /// So wide at least, so that the others keep their places while its numbers grow.
    least: usize,
    ending: Ending,
}

/// What becomes of a text that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// It always fits.
    Whole,
    /// It loses its middle: names differ at both ends.
    Middle,
    /// It loses its end.
    End,
}

impl Column {
    /// Of figures that are this wide as a rule.
    pub(crate) fn figures(heading: &str, rank: u8, least: usize) -> Self {
        let heading = heading.to_owned();
        Self { heading, rank, right: true, least, ending: Ending::Whole }
    }

    /// Of names, which take the room that is left.
    pub(crate) fn names(heading: &str, rank: u8) -> Self {
        let heading = heading.to_owned();
        Self { heading, rank, right: false, least: 0, ending: Ending::Middle }
    }

    /// So wide at least, whatever the names are at this moment.
    pub(crate) fn at_least(self, least: usize) -> Self {
        Self { least, ..self }
    }

    /// Of words, which take the room that is left.
    pub(crate) fn words(heading: &str, rank: u8) -> Self {
        let heading = heading.to_owned();
        Self { heading, rank, right: false, least: 0, ending: Ending::End }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    cells: Vec<String>,
    trouble: bool,
}

impl Table {
    pub(crate) fn new(columns: Vec<Column>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Without a column of which there is nothing to tell.
    pub(crate) fn leave_out_column(&mut self, heading: &str) {
        let at = self.columns.iter().position(|column| column.heading == heading);
        if let Some(at) = at {
            self.columns.remove(at);
            self.rows.iter_mut().for_each(|row| drop(row.cells.remove(at)));
        }
    }

    /// A cell for each column.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(Row { cells, trouble: false });
    }

    /// A row that should be seen.
    pub(crate) fn trouble(&mut self, cells: Vec<String>) {
        self.rows.push(Row { cells, trouble: true });
    }

    /// The heading and the rows, none of them wider than this; nothing without rows.
    pub(crate) fn lines(&self, width: usize) -> Vec<Line> {
        if self.rows.is_empty() {
            return Vec::new();
        }
        let shown = self.shown(width);
        let headings: Vec<_> = self.columns.iter().map(|column| &*column.heading).collect();
        let mut lines = vec![Line::heading(self.line(&headings, &shown, width))];
        for row in &self.rows {
            let cells: Vec<_> = row.cells.iter().map(String::as_str).collect();
            let text = self.line(&cells, &shown, width);
            lines.push(if row.trouble { Line::trouble(text) } else { Line::plain(text) });
        }
        lines
    }

    /// The columns that fit, by number, with their widths.
    fn shown(&self, width: usize) -> Vec<(usize, usize)> {
        let mut shown: Vec<_> = (0..self.columns.len()).map(|i| (i, self.wanted(i))).collect();
        // Names are shortened once only the more important columns are left, and words before that.
        self.leave_out(&mut shown, width, IMPORTANT, |i| match self.columns[i].ending {
            Ending::End => self.least(i),
            Ending::Whole | Ending::Middle => self.wanted(i),
        });
        self.leave_out(&mut shown, width, 0, |i| self.least(i));
        // What is still too much is taken from the less important ones first.
        let mut order: Vec<_> = (0..shown.len()).collect();
        order.sort_by_key(|at| Reverse((self.columns[shown[*at].0].rank, *at)));
        for at in order {
            let too_much = total(shown.iter().map(|(_, room)| *room)).saturating_sub(width);
            let (i, wanted) = shown[at];
            shown[at].1 = wanted.saturating_sub(too_much).max(self.least(i));
        }
        shown
    }

    /// Leaves out columns above a rank until the others fit, each in so much room.
    fn leave_out(
        &self,
        shown: &mut Vec<(usize, usize)>,
        width: usize,
        above: u8,
        room: impl Fn(usize) -> usize,
    ) {
        while total(shown.iter().map(|(i, _)| room(*i))) > width {
            let last = shown.iter().map(|(i, _)| *i).max_by_key(|i| self.columns[*i].rank);
            match last {
                Some(last) if self.columns[last].rank > above => shown.retain(|(i, _)| *i != last),
                _ => break,
            }
        }
    }

    /// How wide a column is at least.
    fn least(&self, i: usize) -> usize {
        let wanted = self.wanted(i);
        match self.columns[i].ending {
            Ending::Whole => wanted,
            Ending::Middle | Ending::End => {
                wanted.min(FLEXIBLE.max(width_of(&self.columns[i].heading)))
            }
        }
    }

    /// How wide a column would be if there were room.
    fn wanted(&self, i: usize) -> usize {
        let cells = self.rows.iter().map(|row| width_of(&row.cells[i])).max().unwrap_or(0);
        let column = &self.columns[i];
        cells.max(width_of(&column.heading)).max(column.least)
    }

    fn line(&self, cells: &[&str], shown: &[(usize, usize)], width: usize) -> String {
        let mut text = String::new();
        for (place, (i, room)) in shown.iter().enumerate() {
            if place > 0 {
                text.push_str(&" ".repeat(GAP));
            }
            let cell = match self.columns[*i].ending {
                Ending::Whole => cells[*i].to_owned(),
                Ending::Middle => shorten(cells[*i], *room),
                Ending::End => cut(cells[*i], *room),
            };
            let padding = " ".repeat(room.saturating_sub(width_of(&cell)));
            match self.columns[*i].right {
                true => text.extend([&*padding, &*cell]),
                false => text.extend([&*cell, &*padding]),
            }
        }
        text.truncate(text.trim_end().len());
        cut(&text, width)
    }
}

/// How much room columns take.
fn total(columns: impl ExactSizeIterator<Item = usize>) -> usize {
    GAP * columns.len().saturating_sub(1) + columns.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(width: usize) -> Vec<String> {
        let mut table = Table::new(vec![
            Column::names("KIND", 0),
            Column::figures("OBJECTS", 0, 9),
            Column::figures("LAG", 1, 6),
            Column::words("STATE", 2),
        ]);
        let cells = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        table.row(cells(["pods", "10,000", "0.1 s", "watching"]));
        table.trouble(cells([
            "endpointslices.discovery.k8s.io",
            "7",
            "1,234 s",
            "trying again: no",
        ]));
        table.lines(width).into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn it_shows_what_fits() {
        assert_eq!(
            texts(80),
            [
                "KIND                               OBJECTS      LAG  STATE",
                "pods                                10,000    0.1 s  watching",
                "endpointslices.discovery.k8s.io          7  1,234 s  trying again: no",
            ]
        );
        assert_eq!(
            texts(48),
            [
                "KIND              OBJECTS      LAG  STATE",
                "pods               10,000    0.1 s  watching",
                "endpoi….k8s.io          7  1,234 s  trying agai…",
            ]
        );
        assert_eq!(
            texts(40),
            [
                "KIND                    OBJECTS      LAG",
                "pods                     10,000    0.1 s",
                "endpoints…ery.k8s.io          7  1,234 s",
            ]
        );
        assert_eq!(
            texts(23),
            ["KIND            OBJECTS", "pods             10,000", "endpo…k8s.io          7"]
        );
    }

    #[test]
    fn no_line_is_wider_than_the_screen() {
        for width in 1..120 {
            for line in texts(width) {
                assert!(width_of(&line) <= width, "{width}: {line}");
            }
        }
    }
}
