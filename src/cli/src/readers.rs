//! Threads that read from the stores continuously, and how long their reads take.

use std::hint::black_box;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::Rng;
use watchcache::{Key, Store};

use crate::latency::{Latency, Quantiles};
use crate::mirrored::Mirrored;

/// Gets between two checks for other work.
const BLOCK: usize = 4096;
/// One in so many gets is timed, since reading the clock takes as long as a get.
const TIMED: usize = 16;
/// Blocks of gets for one list.
const BLOCKS_PER_LIST: u64 = 16;
/// Blocks of gets from a store before its keys are fetched again, so that the reads keep hitting.
const BLOCKS_PER_KEYS: u64 = 256;

#[derive(Debug)]
pub(crate) struct Readers {
    stop: Arc<AtomicBool>,
    lanes: Vec<Arc<Lane>>,
    threads: Vec<JoinHandle<()>>,
    panics: u64,
}

/// One thread's measurements. Only that thread writes them, once per block.
#[derive(Debug)]
struct Lane {
    reads: AtomicU64,
    measured: Mutex<Measured>,
}

#[derive(Debug)]
struct Measured {
    gets: Latency,
    lists: Latency,
}

/// The measurements of all threads together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reads {
    pub(crate) count: u64,
    pub(crate) get_ns: Option<Quantiles>,
    pub(crate) list_us: Option<Quantiles>,
}

impl Readers {
    pub(crate) fn start(count: usize, stores: &[Arc<Store<Mirrored>>]) -> io::Result<Self> {
        let mut readers =
            Self { stop: Arc::default(), lanes: Vec::new(), threads: Vec::new(), panics: 0 };
        for number in 0..count {
            let lane = Arc::new(Lane::new());
            let (stop, stores) = (Arc::clone(&readers.stop), stores.to_vec());
            readers.lanes.push(Arc::clone(&lane));
            readers.threads.push(
                std::thread::Builder::new()
                    .name(format!("reader-{number}"))
                    .spawn(move || lane.run(&stores, &stop))?,
            );
        }
        Ok(readers)
    }

    pub(crate) fn count(&self) -> usize {
        self.lanes.len()
    }

    pub(crate) fn measured(&self) -> Reads {
        let (mut gets, mut lists, mut count) = (Latency::new(), Latency::new(), 0);
        for lane in &self.lanes {
            let measured = lane.measured.lock().unwrap_or_else(PoisonError::into_inner);
            gets.merge(&measured.gets);
            lists.merge(&measured.lists);
            count += lane.reads.load(Ordering::Relaxed);
        }
        Reads { count, get_ns: gets.nanos(), list_us: lists.micros() }
    }

    pub(crate) fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // The thread has printed its panic.
            self.panics += u64::from(thread.join().is_err());
        }
    }

    /// Threads that were found to have panicked when they were stopped.
    pub(crate) fn panics(&self) -> u64 {
        self.panics
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Lane {
    fn new() -> Self {
        let measured = Measured { gets: Latency::new(), lists: Latency::new() };
        Self { reads: AtomicU64::new(0), measured: Mutex::new(measured) }
    }

    /// Reads a block from each store in turn.
    fn run(&self, stores: &[Arc<Store<Mirrored>>], stop: &AtomicBool) {
        let mut keys = vec![Vec::new(); stores.len()];
        let mut took = Vec::with_capacity(BLOCK / TIMED);
        let mut round: u64 = 0;
        while !stop.load(Ordering::Relaxed) {
            for (store, keys) in stores.iter().zip(&mut keys) {
                if keys.is_empty() || round.is_multiple_of(BLOCKS_PER_KEYS) {
                    *keys = store.keys();
                }
                if !keys.is_empty() && !stop.load(Ordering::Relaxed) {
                    self.read(store, keys, &mut took, round.is_multiple_of(BLOCKS_PER_LIST));
                }
            }
            if keys.iter().all(Vec::is_empty) {
                std::thread::sleep(Duration::from_millis(10));
            }
            round += 1;
        }
    }

    fn read(&self, store: &Store<Mirrored>, keys: &[Key], took: &mut Vec<Duration>, list: bool) {
        get_block(store, keys, took);
        let listed = list.then(|| {
            let start = Instant::now();
            black_box(store.list());
            start.elapsed()
        });
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        took.drain(..).for_each(|took| measured.gets.record(took));
        if let Some(took) = listed {
            measured.lists.record(took);
        }
        drop(measured);
        self.reads.fetch_add(BLOCK as u64 + u64::from(list), Ordering::Relaxed);
    }
}

fn get_block(store: &Store<Mirrored>, keys: &[Key], took: &mut Vec<Duration>) {
    let mut random = rand::rng();
    for i in 0..BLOCK {
        let key = &keys[random.random_range(0..keys.len())];
        if i.is_multiple_of(TIMED) {
            let start = Instant::now();
            black_box(store.get(key));
            took.push(start.elapsed());
        } else {
            black_box(store.get(key));
        }
    }
}
