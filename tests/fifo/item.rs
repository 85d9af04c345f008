//! What the tests put into a queue, and what they see of it.

use watchcache::{Fifo, Key, KeyRef, Listing, Object};

#[derive(Debug, PartialEq)]
pub(crate) struct Item {
    pub(crate) key: String,
    pub(crate) value: u64,
}

impl Object for Item {
    fn key(&self) -> KeyRef<'_> {
        (&self.key).into()
    }
}

pub(crate) fn item(key: &str, value: u64) -> Item {
    Item { key: key.to_owned(), value }
}

pub(crate) fn listing(keys: &[&str]) -> Listing<Item> {
    Listing::new(keys.iter().map(|key| item(key, 0)), None).unwrap()
}

pub(crate) fn keys(fifo: &Fifo<Item>) -> Vec<String> {
    fifo.keys().iter().map(Key::to_string).collect()
}

pub(crate) fn popped(fifo: &Fifo<Item>) -> Vec<(String, u64)> {
    std::iter::from_fn(|| fifo.try_pop().ok()).map(|item| (item.key.clone(), item.value)).collect()
}
