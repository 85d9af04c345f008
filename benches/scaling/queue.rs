//! As many producers as consumers, on the same keys.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use watchcache::Fifo;
use watchcache_benches::Item;

use crate::crew::{Worker, together};
use crate::queues::{DashmapSegqueue, MutexMap, Queue};
use crate::{Plan, report};

pub const SERIES: usize = 3;

const KEYS: usize = 10_000;
/// Adds before a producer asks whether it is to end.
const ADDS: usize = 64;

pub fn measure(plan: &Plan) {
    contestant::<Fifo<Item>>(plan);
    contestant::<MutexMap<true>>(plan);
    contestant::<DashmapSegqueue>(plan);
}

fn contestant<Q: Queue>(plan: &Plan) {
    let items: Vec<_> = (0..KEYS).map(|i| Arc::new(Item::new(i, 1))).collect();
    for &pairs in &plan.threads {
        let queue = Q::new();
        let producers = (0..pairs).map(|number| -> Worker<'_> {
            let (queue, mut items) = (&queue, items.iter().cycle());
            items.by_ref().take(number * KEYS / pairs).for_each(drop);
            Box::new(move || {
                items.by_ref().take(ADDS).for_each(|item| queue.add(item));
                ADDS as u64
            })
        });
        let (added, popped) = thread::scope(|scope| {
            let pop = || std::iter::from_fn(|| queue.pop_blocking()).count();
            let began = Instant::now();
            let consumers: Vec<_> = (0..pairs).map(|_| scope.spawn(pop)).collect();
            let added = together(producers.collect(), plan.each).iter().sum();
            queue.close();
            let popped = consumers.into_iter().map(|consumer| consumer.join().expect("no panic"));
            (added, popped.sum::<usize>() as f64 / began.elapsed().as_secs_f64())
        });
        report("queue: adds, by pairs", Q::NAME, pairs, added);
        report("queue: pops, by pairs", Q::NAME, pairs, popped);
    }
}
