//! Measuring with a second thread.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use watchcache_benches::shuffled;

use crate::contestants::Writer;

/// The time that doing `read` as often as told takes.
pub fn timed<T>(iterations: u64, mut read: impl FnMut() -> T) -> Duration {
    let began = Instant::now();
    for _ in 0..iterations {
        black_box(read());
    }
    began.elapsed()
}

/// The time in which each of two threads does what it is given as often as told.
pub fn two<T, F: FnMut() -> T>(iterations: u64, read_of: impl Fn(usize) -> F + Sync) -> Duration {
    let start = Barrier::new(2);
    let run = |thread| {
        let read = read_of(thread);
        start.wait();
        timed(iterations, read)
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| run(1));
        let here = run(0);
        other.join().expect("a reader does not panic").max(here)
    })
}

/// Batches of 64 that always change something: one after the other, over and over.
pub fn batches<W: Writer>(objects: usize) -> Vec<W::Batch> {
    let mut order = shuffled(objects);
    order.truncate(16_384);
    // Twice, so that no batch puts what the one before it on the same keys has put.
    order.chunks(64).chain(order.chunks(64)).map(|n| W::batch(n.iter().copied(), 0)).collect()
}

/// Runs `read` beside a writer that applies batches at full speed.
pub fn beside_writer<W: Writer, T>(
    writer: &mut W,
    batches: &[W::Batch],
    read: impl FnOnce() -> T,
) -> T {
    let start = Barrier::new(2);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            start.wait();
            for batch in batches.iter().cycle() {
                // ORDERING: only ends the loop; the scope's join orders everything else.
                if stop.load(Relaxed) {
                    break;
                }
                black_box(writer.apply(batch.clone()));
            }
        });
        start.wait();
        let result = read();
        stop.store(true, Relaxed);
        result
    })
}

/// The longest that one `read` took while `relist` ran, of a thread that does nothing but read.
/// Reads in which another program took the core away count for nothing; waiting is not that.
pub fn longest_read(read: impl Fn(usize) + Sync, relist: impl FnOnce()) -> Duration {
    let start = Barrier::new(2);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            start.wait();
            let mut before = preempted();
            let mut last = Instant::now();
            for i in 0.. {
                read(i);
                let took = last.elapsed();
                if took > longest || i % CHECK_EVERY == 0 {
                    let now = preempted();
                    if now == before {
                        longest = longest.max(took);
                    }
                    before = now;
                }
                last = Instant::now();
                // ORDERING: only ends the loop; the join orders everything else.
                if stop.load(Relaxed) {
                    break;
                }
            }
            longest
        });
        start.wait();
        relist();
        stop.store(true, Relaxed);
        reader.join().expect("a reader does not panic")
    })
}

/// What `write` returns, and how long it took.
///
/// By the clock, so that waiting counts, for a lock or for a reader. Only where the scheduler took the
/// core away, to run one of the readers or another program, the clock tells nothing about the store:
/// then it is the time for which this thread ran. (With 80 readers on two cores each turn away lasts
/// a hundred milliseconds.)
pub fn time_of<T>(write: impl FnOnce() -> T) -> (T, Duration) {
    let before = Usage::of_this_thread();
    let began = Instant::now();
    let result = write();
    let took = began.elapsed();
    let now = Usage::of_this_thread();
    let took = match now.preempted == before.preempted {
        true => took,
        false => took.min(now.ran.saturating_sub(before.ran)),
    };
    (result, took)
}

/// Often enough that few reads are left out for a preemption before them, and seldom enough not to
/// be what is measured.
const CHECK_EVERY: usize = 256;

/// How often the scheduler took the core away from this thread.
fn preempted() -> i64 {
    Usage::of_this_thread().preempted
}

/// What the system says about the calling thread.
struct Usage {
    /// How often the scheduler took the core away from it.
    preempted: i64,
    /// For how long it has run.
    ran: Duration,
}

impl Usage {
    #[cfg(target_os = "linux")]
    fn of_this_thread() -> Self {
        use nix::sys::resource::{UsageWho, getrusage};
        use nix::time::{ClockId, clock_gettime};
        let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("a thread may ask about itself");
        // The times in `usage` are of the scheduler's last tick, milliseconds ago.
        let ran = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has this clock");
        Self { preempted: usage.involuntary_context_switches(), ran: ran.into() }
    }

    /// Elsewhere nothing is known, and every time is the clock's.
    #[cfg(not(target_os = "linux"))]
    fn of_this_thread() -> Self {
        Self { preempted: 0, ran: Duration::ZERO }
    }
}
