//! Threads that work through a kind's Fifo, as a controller would.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::hint::black_box;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

use watchcache::{Fifo, Object, Store};

use crate::mirrored::Mirrored;

#[derive(Debug)]
pub(crate) struct Workers {
    fifo: Fifo<Mirrored>,
    done: Arc<Done>,
    threads: Vec<JoinHandle<()>>,
    panics: u64,
}

/// What the threads have done, all together.
#[derive(Debug, Default)]
struct Done {
    items: AtomicU64,
    /// When the objects of the first list were all worked off, and how many items that took: they are a
    /// backlog, and no rate.
    first_list: OnceLock<(Instant, u64)>,
}

/// The items that came after those of the first list, and how long they have been coming.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Items {
    pub(crate) count: u64,
    pub(crate) seconds: f64,
}

impl Workers {
    pub(crate) fn start(
        count: usize,
        fifo: &Fifo<Mirrored>,
        store: &Arc<Store<Mirrored>>,
    ) -> io::Result<Self> {
        let mut workers =
            Self { fifo: fifo.clone(), done: Arc::default(), threads: Vec::new(), panics: 0 };
        for number in 0..count {
            let (fifo, store) = (fifo.clone(), Arc::clone(store));
            let done = Arc::clone(&workers.done);
            workers.threads.push(
                std::thread::Builder::new()
                    .name(format!("worker-{number}"))
                    .spawn(move || work(&fifo, &store, &done))?,
            );
        }
        Ok(workers)
    }

    /// Items done so far, those of the first list included.
    pub(crate) fn all_items(&self) -> u64 {
        self.done.items.load(Ordering::Relaxed)
    }

    pub(crate) fn items(&self) -> Items {
        let Some((since, before)) = self.done.first_list.get() else { return Items::default() };
        let count = self.all_items().saturating_sub(*before);
        Items { count, seconds: since.elapsed().as_secs_f64() }
    }

    /// Closes the queue; the workers finish what waits in it.
    pub(crate) fn stop(&mut self) {
        self.fifo.close();
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

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop();
    }
}

fn work(fifo: &Fifo<Mirrored>, store: &Store<Mirrored>, done: &Done) {
    while let Ok(lease) = fifo.lease() {
        // The newest state counts, not the one that was queued; the object may have been deleted.
        if let Some(object) = store.get(lease.key()) {
            black_box(digest(&object));
        }
        // Before the queue knows: once it has synced, all items of the first list are counted.
        done.items.fetch_add(1, Ordering::Relaxed);
        lease.done();
        if done.first_list.get().is_none() && fifo.has_synced() {
            let items = done.items.load(Ordering::Relaxed);
            // Another thread may have seen it, too.
            let _ = done.first_list.set((Instant::now(), items));
        }
    }
}

/// A piece of work that reads the object.
fn digest(object: &Mirrored) -> u64 {
    let mut hasher = DefaultHasher::new();
    (object.uid(), object.resource_version()).hash(&mut hasher);
    object.labels().for_each(|label| label.hash(&mut hasher));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_counted() {
        let (fifo, store) = (Fifo::new(), Arc::new(Store::new()));
        let mut workers = Workers::start(1, &fifo, &store).expect("a thread");
        workers.threads.push(std::thread::spawn(|| panic!("as it is told")));
        workers.stop();
        assert_eq!(workers.panics(), 1);
    }
}
