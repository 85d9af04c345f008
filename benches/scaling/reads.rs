//! Reads of random objects, alone and beside a writer at full speed.

use std::hint::black_box;

use watchcache_benches::shuffled;

use crate::contestants::{
    Borrow, Reader, Writer, dashmap, kube_runtime, rwlock_hashmap, watchcache,
};
use crate::crew::{Worker, together};
use crate::threads::batches;
use crate::{Plan, report};

/// Five contestants, each alone and beside a writer.
pub const SERIES: usize = 10;

/// Reads before a thread asks whether it is to end.
const READS: usize = 256;

pub fn measure(plan: &Plan) {
    let store = watchcache::filled(plan.objects);
    contestant(plan, watchcache::NAME, &store, store.clone(), got);
    contestant(plan, "watchcache, borrowed", &store, store.clone(), |store, key| {
        black_box(store.look(key));
    });
    let map = dashmap::filled(plan.objects);
    contestant(plan, dashmap::NAME, &map, map.clone(), got);
    let map = rwlock_hashmap::filled(plan.objects);
    contestant(plan, rwlock_hashmap::NAME, &map, map.clone(), got);
    let (reader, writer) = kube_runtime::filled(plan.objects);
    contestant(plan, kube_runtime::NAME, &reader, writer, got);
}

fn got<R: Reader>(reader: &R, key: &R::Key) {
    black_box(reader.get(key));
}

fn contestant<R: Reader, W: Writer>(
    plan: &Plan,
    name: &str,
    reader: &R,
    mut writer: W,
    read: fn(&R, &R::Key),
) {
    let keys: Vec<R::Key> = shuffled(plan.objects).into_iter().map(R::key).collect();
    let batches = batches::<W>(plan.objects);
    for &threads in &plan.threads {
        let readers = || {
            (0..threads).map(|number| -> Worker<'_> {
                let (from, mut keys) = (number * plan.objects / threads, keys.iter().cycle());
                keys.by_ref().take(from).for_each(drop);
                Box::new(move || {
                    keys.by_ref().take(READS).for_each(|key| read(reader, key));
                    READS as u64
                })
            })
        };
        let alone = together(readers().collect(), plan.each);
        report("reads", name, threads, alone.iter().sum());

        let mut batches = batches.iter().cycle();
        let writing: Worker<'_> = Box::new(|| {
            drop(writer.apply(batches.next().expect("there are batches").clone()));
            64
        });
        let beside = together([writing].into_iter().chain(readers()).collect(), plan.each);
        report("reads beside a writer", name, threads, beside[1..].iter().sum());
        report("the writer beside reads", name, threads, beside[0]);
    }
}
