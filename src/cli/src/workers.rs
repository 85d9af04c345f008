//! Threads that work through the Fifo, as a controller would.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use watchcache::{Fifo, Object, Store};

use crate::mirrored::Mirrored;

#[derive(Debug)]
pub(crate) struct Workers {
    fifo: Fifo<Mirrored>,
    items: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    pub(crate) fn start(
        count: usize,
        fifo: &Fifo<Mirrored>,
        store: &Arc<Store<Mirrored>>,
    ) -> io::Result<Self> {
        let mut workers = Self { fifo: fifo.clone(), items: Arc::default(), threads: Vec::new() };
        for number in 0..count {
            let (fifo, store) = (fifo.clone(), Arc::clone(store));
            let items = Arc::clone(&workers.items);
            workers.threads.push(
                std::thread::Builder::new()
                    .name(format!("worker-{number}"))
                    .spawn(move || work(&fifo, &store, &items))?,
            );
        }
        Ok(workers)
    }

    /// Items done so far.
    pub(crate) fn items(&self) -> u64 {
        self.items.load(Ordering::Relaxed)
    }

    /// Closes the queue; the workers finish what waits in it.
    pub(crate) fn stop(&mut self) {
        self.fifo.close();
        for thread in self.threads.drain(..) {
            // The thread has printed its panic.
            let _ = thread.join();
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop();
    }
}

fn work(fifo: &Fifo<Mirrored>, store: &Store<Mirrored>, items: &AtomicU64) {
    while let Ok(lease) = fifo.lease() {
        // The newest state counts, not the one that was queued; the object may have been deleted.
        if let Some(object) = store.get(lease.key()) {
            black_box(digest(&object));
        }
        lease.done();
        items.fetch_add(1, Ordering::Relaxed);
    }
}

/// A piece of work that reads the object.
fn digest(object: &Mirrored) -> u64 {
    let mut hasher = DefaultHasher::new();
    (object.uid(), object.resource_version()).hash(&mut hasher);
    object.labels().for_each(|label| label.hash(&mut hasher));
    hasher.finish()
}
