//! The store beside its peers: `GROUP/CONTESTANT/OBJECTS`. What a filter leaves out is not even filled:
//! `cargo bench -p watchcache-benches --bench store -- /1000000$` is the largest stores alone.
#![allow(missing_docs, unreachable_pub)]

/// Has `$bench` called with each contestant: `all`; the `shared` ones, which threads can read and
/// write at once; or the `maps`, which lend what they hold.
macro_rules! for_each {
    ($field:expr, $bench:ident($group:expr), all) => {
        for_each!(@ $field, $bench($group), watchcache hashbrown_unsync rwlock_hashmap dashmap papaya kube_runtime)
    };
    ($field:expr, $bench:ident($group:expr), shared) => {
        for_each!(@ $field, $bench($group), watchcache rwlock_hashmap dashmap papaya kube_runtime)
    };
    ($field:expr, $bench:ident($group:expr), maps) => {
        for_each!(@ $field, $bench($group), watchcache hashbrown_unsync rwlock_hashmap dashmap papaya)
    };
    (@ $field:expr, $bench:ident($group:expr), $($contestant:ident)*) => {
        $( $bench(
            $group,
            criterion::BenchmarkId::new($crate::contestants::$contestant::NAME, $field.objects),
            &mut $field.$contestant,
        ); )*
    };
}

mod churn;
mod contestants;
mod field;
mod hot_key;
mod hot_key_bench;
mod reads;
mod scans;
mod threads;
mod writes;

use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};

// One good allocator for all, so that it is not the allocator that is compared.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Group<'c> = BenchmarkGroup<'c, WallTime>;

const SIZES: [usize; 3] = [10_000, 100_000, 1_000_000];

fn settings() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
        .nresamples(2_000)
}

fn all(c: &mut Criterion) {
    // `cargo test --benches` only wants to know that it runs.
    let test = std::env::args().any(|argument| argument == "--test");
    for objects in if test { vec![1_000] } else { SIZES.into() } {
        let mut field = field::Field::new(objects);
        reads::bench(c, &mut field);
        scans::bench(c, &mut field);
        // Last: they leave the objects in other places than the filling did.
        writes::bench(c, &mut field);
        churn::bench(c, objects);
    }
    hot_key_bench::bench(c);
}

criterion_group! { name = benches; config = settings(); targets = all }
criterion_main!(benches);
