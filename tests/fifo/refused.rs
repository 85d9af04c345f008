//! A process that gets no more threads: what is delayed is handed out in time all the same.
#![cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]

use std::thread;
use std::time::Duration;

use watchcache::Fifo;
use watchcache::fifo::Backoff;

use crate::common::child::in_a_process_of_its_own;
use crate::common::refused::refuse_threads;
use crate::common::watchdog::watched;
use crate::item::{Item, item};

const SOON: Duration = Duration::from_millis(5);

#[test]
fn a_thread_that_falls_asleep_wakes_up_for_what_comes_due() {
    in_a_process_of_its_own(|| {
        watched(|| {
            refuse_threads();
            let builder = Fifo::<Item>::builder().backoff(Backoff::new(SOON, SOON));
            let fifo = builder.build().unwrap();
            fifo.add(item("a", 1)).unwrap();
            for failures in 0..3 {
                let lease = fifo.lease().unwrap();
                assert_eq!(lease.failures(), failures);
                lease.retry();
            }
        });
    });
}

#[test]
fn threads_that_sleep_wake_up_for_what_comes_due() {
    in_a_process_of_its_own(|| {
        watched(|| {
            let fifo = Fifo::<Item>::new();
            let sleepers = [(); 3].map(|()| {
                let fifo = fifo.clone();
                thread::spawn(move || fifo.pop().unwrap().value)
            });
            thread::sleep(Duration::from_millis(20));
            refuse_threads();
            for key in ["a", "b", "c"] {
                fifo.add_after(item(key, 1), SOON).unwrap();
            }
            assert_eq!(sleepers.map(|sleeper| sleeper.join().unwrap()), [1; 3]);
        });
    });
}

#[test]
fn tasks_wake_up_for_what_comes_due() {
    in_a_process_of_its_own(|| {
        watched(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            refuse_threads();
            let fifo = Fifo::<Item>::new();
            runtime.block_on(async {
                let (popped, _) = tokio::join!(fifo.pop_async(), async {
                    fifo.add_after(item("a", 1), SOON).unwrap();
                });
                assert_eq!(popped.unwrap().value, 1, "it slept before");
                fifo.add_after(item("a", 2), SOON).unwrap();
                assert_eq!(fifo.lease_async().await.unwrap().value, 2, "it falls asleep");
            });
        });
    });
}
