//! Any handler, however slow, over any history: each call follows what it was told last, and all of them
//! together are the content.

use std::future::Future;
use std::pin::Pin;

use proptest::prelude::*;
use watchcache::store::FeedLimits;
use watchcache::store::feed::Registration;
use watchcache::{Fifo, Store};

use crate::handlers::{Calls, Known, drive, take};
use crate::thing::{Thing, app, batch, listing, put};

const KEYS: [&str; 5] = ["a/0", "a/1", "b/0", "b/1", "c"];

#[derive(Clone, Debug)]
enum Step {
    Apply(Vec<(usize, Option<u32>)>),
    Replace(Vec<(usize, u32)>),
    /// Many changes, so that the log goes on.
    Churn(u32),
    /// Adds a handler, of all or of some objects.
    Handle(bool),
    Drive(usize),
    Remove(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..KEYS.len();
    let change = (key.clone(), prop::option::of(0..10_u32));
    prop_oneof![
        4 => prop::collection::vec(change, 1..8).prop_map(Step::Apply),
        2 => prop::collection::vec((key, 0..10_u32), 0..6).prop_map(Step::Replace),
        1 => (1..200_u32).prop_map(Step::Churn),
        2 => any::<bool>().prop_map(Step::Handle),
        4 => (0..8_usize).prop_map(Step::Drive),
        1 => (0..8_usize).prop_map(Step::Remove),
    ]
}

/// A handler, what it knows, and the queue of keys that is fed beside it.
struct Handled {
    odd_only: bool,
    task: Pin<Box<dyn Future<Output = Calls>>>,
    calls: Calls,
    known: Known,
    registration: Registration<Thing>,
    feeds: Pin<Box<dyn Future<Output = ()>>>,
    fifo: Fifo<Thing>,
    waiting: Known,
}

impl Handled {
    fn new(store: &Store<Thing>, odd_only: bool) -> Self {
        let subscribe = || match odd_only {
            true => store.subscribe().labels("app=odd".parse().unwrap()),
            false => store.subscribe(),
        };
        let calls = Calls::default();
        let handling = subscribe().handle(calls.clone()).unwrap();
        let registration = handling.registration();
        let fifo = Fifo::builder().deletions().build().unwrap();
        let feeding = subscribe().enqueue(&fifo).unwrap();
        Self {
            odd_only,
            task: Box::pin(handling.run_async()),
            calls,
            known: Known::new(),
            registration,
            feeds: Box::pin(async { drop(feeding.run_async().await) }),
            fifo,
            waiting: Known::new(),
        }
    }

    fn check(&mut self, store: &Store<Thing>) {
        drive(self.task.as_mut());
        drive(self.feeds.as_mut());
        for call in self.calls.in_order() {
            take(&mut self.known, &call);
        }
        self.calls.take();
        while let Ok(lease) = self.fifo.try_lease() {
            let key = lease.key().to_string();
            match lease.is_deleted() {
                true => drop(self.waiting.remove(&key)),
                false => drop(self.waiting.insert(key, lease.value)),
            }
            lease.done();
        }
        let snapshot = store.snapshot();
        let about = |thing: &Thing| !self.odd_only || app(thing.value) == "odd";
        let content: Known = snapshot
            .iter()
            .filter(|(_, thing)| about(thing))
            .map(|(key, thing)| (key.to_string(), thing.value))
            .collect();
        assert_eq!(self.known, content);
        assert_eq!(self.waiting, content);
        assert_eq!(self.registration.is_synced(), snapshot.is_synced());
    }
}

fn run(limits: FeedLimits, steps: Vec<Step>) {
    let store = Store::builder().feed(limits).build();
    let mut handlers: Vec<Handled> = Vec::new();
    for step in steps {
        match step {
            Step::Apply(changes) => {
                let changes: Vec<_> =
                    changes.iter().map(|(key, value)| (KEYS[*key], *value)).collect();
                drop(store.apply(&batch(&changes)));
            }
            Step::Replace(things) => {
                let things: Vec<_> =
                    things.iter().map(|(key, value)| (KEYS[*key], *value)).collect();
                drop(store.replace(&listing(&things, None)));
            }
            Step::Churn(times) => {
                (0..times).for_each(|i| put(&store, KEYS[i as usize % 3], i));
            }
            Step::Handle(odd_only) => handlers.push(Handled::new(&store, odd_only)),
            Step::Drive(who) if !handlers.is_empty() => {
                let who = who % handlers.len();
                handlers[who].check(&store);
            }
            Step::Remove(who) if !handlers.is_empty() => {
                let who = who % handlers.len();
                let mut handled = handlers.swap_remove(who);
                handled.registration.remove();
                assert!(drive(handled.task.as_mut()), "it has ended");
                assert!(handled.calls.take().is_empty(), "it was told something");
            }
            Step::Drive(_) | Step::Remove(_) => {}
        }
    }
    handlers.iter_mut().for_each(|handled| handled.check(&store));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 200 }))]

    #[test]
    fn what_a_handler_was_told_is_the_content(
        log in 1..60_usize,
        behind in 1..100_usize,
        steps in prop::collection::vec(step(), 1..60),
    ) {
        run(FeedLimits::default().log(log, usize::MAX).behind(behind, usize::MAX), steps);
    }
}
