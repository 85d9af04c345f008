//! What no outside caller can cause, or see.

use std::time::Duration;

use super::Shared;
use crate::fifo::state::clock::Moment;
use crate::fifo::state::entry::Arrival;
use crate::fifo::state::queue::Priority;
use crate::fifo::{Fifo, ManualClock};
use crate::sync::Arc;
use crate::{Key, KeyRef, Listing, Object};

struct Item(String);

impl Object for Item {
    fn key(&self) -> KeyRef<'_> {
        (&self.0).into()
    }
}

fn item(key: impl ToString) -> Item {
    Item(key.to_string())
}

#[test]
fn a_replace_leaves_no_tickets_behind() {
    let fifo = Fifo::new();
    for key in 0..300 {
        fifo.add(item(key)).unwrap();
    }
    // Sweeps move those to the front.
    for key in 300..2_000 {
        fifo.add(item(key)).unwrap();
        fifo.delete(&key.to_string().parse::<Key>().unwrap());
    }
    fifo.replace(&Listing::new(Vec::<Item>::new(), None).unwrap()).unwrap();
    assert_eq!(fifo.shared.backlog(), 0);
}

#[test]
fn a_key_whose_time_is_over_when_it_gets_there_is_queued() {
    let clock = ManualClock::new();
    let fifo = Fifo::builder().clock(&clock).build().unwrap();
    let shared: &Shared<Item> = &fifo.shared;
    let due = Moment::default().after(Duration::from_secs(1));
    // As beside an add that has asked for the time, but has yet to get its shard.
    clock.advance(Duration::from_secs(1));
    let key: Key = "a".parse().unwrap();
    let hash = shared.keys.hash(key.as_ref());
    let (priority, since) = (Priority::Change, Moment::default());
    let arrival = Arrival { hash, seq: None, priority, since, initial: false, deletion: false };
    let mut section = shared.section(hash);
    let (shard, effects) = section.parts();
    shard.insert_delayed(shared.lines(), arrival, due, key, Arc::new(item("a")), effects);
    drop(section);
    assert_eq!(fifo.len(), 1);
}
