//! Whether a list in pages gets anywhere.

use std::collections::HashSet;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use crate::KeyRef;

/// Most pages in a row that bring no key which is new to the list, ...
const WITHOUT_NEWS: u32 = 1000;

/// ... and most of them that bring keys again.
const REPEATED: u32 = 100;

/// Most pages in a row of which the source left out every object, because nobody wants it: a small
/// shard of a large source. Their keys are not known, so they may repeat.
const FOREIGN: u32 = 100_000;

/// How much of a token is told, in characters.
const QUOTED: usize = 80;

/// What a source promises by its continue tokens, and what it keeps of that.
#[derive(Default)]
pub(super) struct Paging {
    /// Hashes of the continue tokens that were followed.
    tokens: HashSet<u64, RandomState>,
    /// Hashes of the keys that came, unless there is but one page.
    keys: HashSet<u64, RandomState>,
    hasher: RandomState,
    /// What the page at hand brings.
    page: Page,
    /// Pages since one that brought something new, and those of them that were not empty.
    without_news: u32,
    repeated: u32,
    /// Pages of objects that were all left out, since then.
    foreign: u32,
}

#[derive(Default)]
struct Page {
    any: bool,
    new: bool,
    /// Objects that did not come, as far as is known by now.
    left_out: usize,
}

impl Paging {
    /// The current page promises another; returns why that is not to be requested.
    pub(super) fn follow(&mut self, token: &str) -> Result<(), String> {
        match self.tokens.insert(self.hasher.hash_one(token)) {
            true => Ok(()),
            false => {
                let token: String = token.chars().take(QUOTED).collect();
                Err(format!("the continue token {token:?} leads back to itself"))
            }
        }
    }

    /// The page at hand has so many objects at the source, of which it may leave some out.
    pub(super) fn page_of(&mut self, count: usize) {
        self.page.left_out = count;
    }

    /// An object came, and nobody knows its key: whether it is new does not show.
    pub(super) fn nameless(&mut self) {
        self.page.left_out = self.page.left_out.saturating_sub(1);
    }

    /// A key came.
    pub(super) fn key(&mut self, key: KeyRef<'_>) {
        if !self.tokens.is_empty() {
            self.page.any = true;
            self.page.new |= self.keys.insert(self.hasher.hash_one(key));
        }
    }

    /// The current page is complete; returns why no other is to be requested.
    pub(super) fn end_page(&mut self) -> Result<(), String> {
        let page = std::mem::take(&mut self.page);
        if page.new {
            (self.without_news, self.repeated, self.foreign) = (0, 0, 0);
            return Ok(());
        }
        if page.left_out > 0 && !page.any {
            self.foreign += 1;
            return match self.foreign < FOREIGN {
                true => Ok(()),
                false => Err(format!("{FOREIGN} pages in a row without an object of this shard")),
            };
        }
        self.without_news += 1;
        self.repeated += u32::from(page.any);
        if self.repeated >= REPEATED {
            return Err(format!("{REPEATED} pages repeat what came before them"));
        }
        if self.without_news >= WITHOUT_NEWS {
            return Err(format!("{WITHOUT_NEWS} pages in a row without a new object"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many pages are read where the n-th has these keys.
    fn pages_of(keys: impl Fn(u32) -> Vec<String>) -> (u32, String) {
        let mut paging = Paging::default();
        for n in 0..10_000 {
            paging.follow(&n.to_string()).expect("a new token");
            keys(n).iter().for_each(|key| paging.key(key.as_str().into()));
            if let Err(error) = paging.end_page() {
                return (n + 1, error);
            }
        }
        (10_000, String::new())
    }

    #[test]
    fn pages_that_repeat_keys_come_to_an_end_and_others_do_not() {
        let name = |n: u32| format!("a/{n}");
        assert_eq!(pages_of(|n| vec![name(n)]).0, 10_000);
        assert_eq!(pages_of(|_| vec![name(1), name(2)]).0, 101);
        assert_eq!(pages_of(|n| vec![name(n % 40), name(7)]).0, 140);
        // Empty pages among them change nothing.
        assert_eq!(pages_of(|n| vec![name(1); n as usize % 2]).0, 202);
        assert_eq!(pages_of(|_| vec![]).0, 1000);
        // As little as one new key in 99 pages is progress.
        assert_eq!(pages_of(|n| vec![name(n / 99)]).0, 10_000);
    }

    #[test]
    fn pages_of_other_shards_are_progress_but_not_for_ever() {
        let mut paging = Paging::default();
        let read = (1..).find(|n| {
            paging.follow(&n.to_string()).expect("a new token");
            paging.page_of(5);
            paging.end_page().is_err()
        });
        assert_eq!(read, Some(FOREIGN));
    }

    #[test]
    fn pages_of_objects_without_a_name_are_no_other_shards() {
        let mut paging = Paging::default();
        let read = (1..).find(|n| {
            paging.follow(&n.to_string()).expect("a new token");
            paging.page_of(5);
            (0..5).for_each(|_| paging.nameless());
            paging.end_page().is_err()
        });
        assert_eq!(read, Some(WITHOUT_NEWS));
    }

    #[test]
    fn of_a_single_page_nothing_is_kept() {
        let mut paging = Paging::default();
        paging.key("a/1".into());
        assert!(paging.keys.is_empty());
    }
}
