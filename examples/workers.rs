//! Threads that work on what changes: one entry per key, one worker per key, nobody spins.
//!
//! ```sh
//! cargo run --example workers
//! ```

use std::sync::Arc;
use std::thread;

use watchcache::{Batch, Fifo, KeyError, KeyRef, Object, Sink, Store};

struct Deployment {
    name: String,
    replicas: u32,
}

impl Object for Deployment {
    fn key(&self) -> KeyRef<'_> {
        ("default", &*self.name).into()
    }
}

fn main() -> Result<(), KeyError> {
    let store = Arc::new(Store::<Deployment>::new());
    let fifo = Fifo::<Deployment>::new();

    let workers: Vec<_> = (0..2)
        .map(|worker| {
            let (store, fifo) = (Arc::clone(&store), fifo.clone());
            thread::spawn(move || {
                // Sleeps while there is nothing to do; ends once the queue is closed and drained.
                while let Ok(lease) = fifo.lease() {
                    // The queue says that something changed, the store says what is true now.
                    if let Some(deployment) = store.get(lease.key()) {
                        println!("worker {worker}: {} wants {}", lease.key(), deployment.replicas);
                    }
                    lease.done();
                }
            })
        })
        .collect();

    // What a reflector does with a real stream: the same batch goes to every sink.
    for replicas in 1..=3 {
        let mut batch = Batch::new();
        for name in ["web", "api", "db"] {
            batch.add(Deployment { name: name.to_owned(), replicas })?;
        }
        for sink in [&store as &dyn Sink<Deployment>, &fifo] {
            sink.apply(&batch);
        }
    }

    fifo.close();
    for worker in workers {
        worker.join().expect("no worker panics");
    }
    let stats = fifo.stats();
    println!("{} adds, {} of them coalesced", stats.adds, stats.coalesced);
    assert!(store.list().iter().all(|deployment| deployment.replicas == 3));
    Ok(())
}
