//! One write after another beside readers that never pause, and how long the longest of them takes:
//! of one key, which every write changes, and of all keys in turn.

use std::iter::once;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use hdrhistogram::Histogram;
use watchcache_benches::shuffled;

use crate::contestants::{Reader, Writer};
use crate::threads::time_of;

pub const OBJECTS: usize = 10_000;
pub const READERS: [usize; 4] = [0, 2, 8, 80];

/// Which keys the writes change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    Hot,
    Spread,
}

impl Keys {
    pub const ALL: [Self; 2] = [Self::Hot, Self::Spread];
}

/// A store of `OBJECTS` objects and what is to be written to it.
pub struct Writes<'a, R: Reader, W: Writer> {
    reader: &'a R,
    writer: W,
    keys: Vec<R::Key>,
    order: Vec<usize>,
    version: u64,
}

impl<'a, R: Reader, W: Writer> Writes<'a, R, W> {
    pub fn new(reader: &'a R, writer: W) -> Self {
        let order = shuffled(OBJECTS);
        let keys = order.iter().map(|&i| R::key(i)).collect();
        Self { reader, writer, keys, order, version: 1 }
    }

    /// Writes, and tells of each write how long it took, until that says stop. The readers get
    /// random objects all the while.
    pub fn beside(
        &mut self,
        readers: usize,
        keys: Keys,
        mut record: impl FnMut(Duration) -> bool + Send,
    ) {
        let Self { reader, writer, keys: read, order, version } = self;
        let (reader, read) = (*reader, &*read);
        let start = Barrier::new(readers + 1);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for number in 0..readers {
                let (start, stop) = (&start, &stop);
                scope.spawn(move || {
                    start.wait();
                    for key in read.iter().cycle().skip(number * OBJECTS / readers) {
                        std::hint::black_box(reader.get(key));
                        // ORDERING: only ends the loop; the scope's join orders everything else.
                        if stop.load(Relaxed) {
                            break;
                        }
                    }
                });
            }
            start.wait();
            for &key in order.iter().cycle() {
                *version += 1;
                let key = if keys == Keys::Hot { order[0] } else { key };
                let batch = W::batch(once(key), *version);
                let (spent, took) = time_of(|| writer.apply(batch));
                drop(spent);
                if !record(took) {
                    break;
                }
            }
            stop.store(true, Relaxed);
        });
    }
}

/// In nanoseconds; a write that takes longer than a minute counts as a minute.
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are in order")
}
