//! Notes on stderr, each once.

use std::collections::HashSet;

use watchcache::reflector::Progress;

use crate::failure;
use crate::report::{is_retrying, waiting_for};

/// So many at most: a server may tell each failure with other words.
const MOST: usize = 100;

#[derive(Debug, Default)]
pub(crate) struct Notes(HashSet<String>);

impl Notes {
    pub(crate) fn note(&mut self, text: String) {
        if self.0.len() < MOST && !self.0.contains(&text) {
            failure::note(&text);
            self.0.insert(text);
            if self.0.len() == MOST {
                failure::note("more than this is not noted");
            }
        }
    }

    /// Why the first list of this kind has not come, if it is tried again.
    pub(crate) fn retry(&mut self, kind: &str, progress: &Progress) {
        if !progress.synced && is_retrying(progress) {
            let why = waiting_for(progress);
            self.note(format!("waiting for the first list of {kind}, trying again: {why}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_often_the_words_change_there_is_an_end_of_them() {
        let mut notes = Notes::default();
        (0..10 * MOST).for_each(|i| notes.note(format!("try {i}")));
        assert_eq!(notes.0.len(), MOST);
    }
}
