//! What no outside caller can cause, or see.

use std::cell::Cell;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use super::Shared;
use crate::fifo::state::clock::Moment;
use crate::fifo::state::entry::Arrival;
use crate::fifo::state::queue::Priority;
use crate::fifo::{Fifo, ManualClock, Observer};
use crate::sync::Arc;
use crate::waiters::Owes;
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

#[test]
fn whoever_has_spun_wakes_others_before_the_observer_hears_of_its_item() {
    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    struct Hears(Arc<Wakes>, Arc<AtomicUsize>);

    impl Observer for Hears {
        fn handed_out(&self, _: Duration) {
            self.1.store(self.0.0.load(Ordering::SeqCst), Ordering::SeqCst);
        }
    }

    type Attempt = fn(&Shared<Item>, Owes) -> Option<usize>;
    let attempts: [(Attempt, usize); 3] = [
        (|shared, owes| shared.pop(owes).map(|_| 1), 1),
        (|shared, owes| shared.pop_batch(1, owes).map(|batch| batch.unwrap().len()), 1),
        (|shared, owes| shared.pop_batch(3, owes).map(|batch| batch.unwrap().len()), 0),
    ];
    for (attempt, left) in attempts {
        let (woken, when_told) = (Arc::<Wakes>::default(), Arc::new(AtomicUsize::new(9)));
        let observer = Hears(Arc::clone(&woken), Arc::clone(&when_told));
        let fifo = Fifo::builder().observer(observer).build().unwrap();
        let shared: &Arc<Shared<Item>> = &fifo.shared;
        let mut sleeper = pin!(fifo.pop_async());
        let waker = Waker::from(Arc::clone(&woken));
        assert!(sleeper.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let spins = Cell::new(0);
        let popped = shared.waiters.wait(
            None,
            || {
                // While it spins, which leaves the waking to it.
                if spins.replace(1) == 0 {
                    fifo.add(item("a")).unwrap();
                    fifo.add(item("b")).unwrap();
                }
                shared.is_ready()
            },
            || None,
            |owes| attempt(shared, owes),
        );
        assert_eq!(popped, Some(2 - left));
        assert_eq!(
            (when_told.load(Ordering::SeqCst), woken.0.load(Ordering::SeqCst)),
            (left, left)
        );
    }
}
