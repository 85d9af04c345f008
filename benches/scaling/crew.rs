//! Threads that work at the same time.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// Does a little, and says how much.
pub type Worker<'a> = Box<dyn FnMut() -> u64 + Send + 'a>;

/// What each does in a second.
pub fn together(workers: Vec<Worker<'_>>, time: Duration) -> Vec<f64> {
    let start = Barrier::new(workers.len() + 1);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let threads: Vec<_> = workers
            .into_iter()
            .map(|mut work| {
                let (start, stop) = (&start, &stop);
                scope.spawn(move || {
                    let mut done = 0;
                    start.wait();
                    let began = Instant::now();
                    // ORDERING: only ends the loop; the join orders everything else.
                    while !stop.load(Relaxed) {
                        done += work();
                    }
                    done as f64 / began.elapsed().as_secs_f64()
                })
            })
            .collect();
        start.wait();
        thread::sleep(time);
        // ORDERING: as above.
        stop.store(true, Relaxed);
        threads.into_iter().map(|thread| thread.join().expect("no worker panics")).collect()
    })
}
