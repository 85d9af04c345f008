//! What happened over all seeds, so that a run shows that it tested something.

/// Counts, by name; a maximum is one whose name says so.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counts: Vec<(&'static str, u64)>,
}

impl Tally {
    pub(crate) fn of(counts: impl IntoIterator<Item = (&'static str, u64)>) -> Self {
        let mut tally = Self::default();
        counts.into_iter().for_each(|(name, count)| tally.count(name, count));
        tally
    }

    pub(crate) fn count(&mut self, name: &'static str, more: u64) {
        match self.counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) if name.starts_with("most") => *count = more.max(*count),
            Some((_, count)) => *count += more,
            None => self.counts.push((name, more)),
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        other.counts.iter().for_each(|(name, count)| self.count(name, *count));
    }

    pub(crate) fn assert_mixed(&self) {
        for (name, count) in &self.counts {
            assert!(*count > 0, "{name} never happened: {self:?}");
        }
    }
}
