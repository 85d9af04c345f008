//! The group `apply_hot_key`: criterion's time is the mean write's; the longest one and the 99.9th
//! percentile are printed behind it.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};

use crate::Group;
use crate::contestants::{Reader, Writer, dashmap, rwlock_hashmap, watchcache};
use crate::hot_key::{Keys, OBJECTS, READERS, Writes, new_histogram};

pub fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("apply_hot_key");
    group.throughput(Throughput::Elements(1));
    let store = watchcache::filled(OBJECTS);
    contestant(&mut group, watchcache::NAME, Writes::new(&store.clone(), store));
    let map = dashmap::filled(OBJECTS);
    contestant(&mut group, dashmap::NAME, Writes::new(&map.clone(), map));
    let map = rwlock_hashmap::filled(OBJECTS);
    contestant(&mut group, rwlock_hashmap::NAME, Writes::new(&map.clone(), map));
}

fn contestant<R: Reader, W: Writer>(
    group: &mut Group<'_>,
    name: &str,
    mut writes: Writes<'_, R, W>,
) {
    for readers in READERS {
        for keys in Keys::ALL {
            let mut histogram = new_histogram();
            let kind = if keys == Keys::Hot { "hot" } else { "spread" };
            let id = format!("{name}, {readers} readers, {kind}");
            group.bench_function(BenchmarkId::new(id.as_str(), OBJECTS), |b| {
                b.iter_custom(|iterations| {
                    let (mut left, mut sum) = (iterations, Duration::ZERO);
                    writes.beside(readers, keys, |took| {
                        histogram.saturating_record(took.as_nanos() as u64);
                        sum += took;
                        left -= 1;
                        left > 0
                    });
                    sum
                });
            });
            // Nothing is written where a filter leaves the bench out.
            if !histogram.is_empty() {
                println!(
                    "{id}: longest write {:.1} us, p99.9 {:.1} us, of {}",
                    histogram.max() as f64 / 1e3,
                    histogram.value_at_quantile(0.999) as f64 / 1e3,
                    histogram.len()
                );
            }
        }
    }
}
