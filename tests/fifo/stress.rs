//! Everything at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use watchcache::fifo::{Closed, Lease, PopError};
use watchcache::{Batch, Fifo};

use crate::common::watchdog::watched;
use crate::item::{Item, item};

#[test]
fn no_key_is_ever_in_two_hands() {
    watched(|| {
        const KEYS: usize = 8;
        const ADDS: u64 = if cfg!(miri) { 100 } else { 20_000 };
        let fifo = Fifo::<Item>::new();
        let held: Arc<[AtomicBool; KEYS]> = Arc::default();
        let newest: Arc<Mutex<HashMap<String, u64>>> = Arc::default();
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let (fifo, held, newest) = (fifo.clone(), Arc::clone(&held), Arc::clone(&newest));
                thread::spawn(move || {
                    let mut runs = worker;
                    while let Ok(lease) = fifo.lease() {
                        let slot: usize = lease.key.parse().unwrap();
                        assert!(!held[slot].swap(true, Ordering::SeqCst));
                        {
                            let mut newest = newest.lock().unwrap();
                            let seen = newest.entry(lease.key.clone()).or_default();
                            assert!(lease.value >= *seen, "an older value after a newer one");
                            *seen = lease.value;
                        }
                        thread::yield_now();
                        held[slot].store(false, Ordering::SeqCst);
                        runs += 1;
                        match runs % 5 {
                            0 => lease.retry(),
                            1 => drop(lease),
                            _ => lease.done(),
                        }
                    }
                })
            })
            .collect();
        for value in 1..=ADDS {
            fifo.add(item(&(value as usize % KEYS).to_string(), value)).unwrap();
        }
        fifo.close();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        let stats = fifo.stats();
        assert_eq!((stats.depth, stats.processing), (0, 0));
        let newest = newest.lock().unwrap();
        for slot in 0..KEYS as u64 {
            let last = (ADDS - 7..=ADDS).find(|value| value % KEYS as u64 == slot).unwrap();
            assert_eq!(newest[&slot.to_string()], last, "the newest value was run");
        }
    });
}

#[test]
fn threads_and_tasks_share_one_queue() {
    watched(|| {
        const PRODUCERS: u64 = 3;
        const EACH: u64 = if cfg!(miri) { 50 } else { 5_000 };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        let fifo = Fifo::<Item>::new();
        let sum = Arc::new(AtomicU64::new(0));
        let mut threads = Vec::new();
        for mode in 0..3 {
            let (fifo, sum) = (fifo.clone(), Arc::clone(&sum));
            threads.push(thread::spawn(move || {
                loop {
                    let value = match mode {
                        0 => fifo.pop().map(|got| got.value),
                        1 => match fifo.pop_timeout(Duration::from_micros(50)) {
                            Err(PopError::Timeout) => continue,
                            got => got.map(|got| got.value).map_err(|_| Closed),
                        },
                        _ => fifo.lease().map(|lease| {
                            let value = lease.value;
                            lease.done();
                            value
                        }),
                    };
                    let Ok(value) = value else { break };
                    sum.fetch_add(value, Ordering::Relaxed);
                }
            }));
        }
        let mut tasks = Vec::new();
        for _ in 0..3 {
            let (task_fifo, task_sum) = (fifo.clone(), Arc::clone(&sum));
            tasks.push(runtime.spawn(async move {
                loop {
                    // Cancelled again and again, woken or not.
                    let got = tokio::select! {
                        biased;
                        () = tokio::task::yield_now() => continue,
                        got = task_fifo.pop_async() => got,
                    };
                    let Ok(got) = got else { break };
                    task_sum.fetch_add(got.value, Ordering::Relaxed);
                }
            }));
            let (task_fifo, task_sum) = (fifo.clone(), Arc::clone(&sum));
            tasks.push(runtime.spawn(async move {
                while let Ok(lease) = task_fifo.lease_async().await {
                    tokio::task::yield_now().await;
                    task_sum.fetch_add(lease.value, Ordering::Relaxed);
                    lease.done();
                }
            }));
        }
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|producer| {
                let fifo = fifo.clone();
                thread::spawn(move || {
                    for i in (0..EACH).step_by(5) {
                        // Every value has its own key, so none coalesces away.
                        let object = |i| item(&format!("{producer}/{i}"), producer * EACH + i);
                        fifo.add(object(i)).unwrap();
                        let mut batch = Batch::new();
                        (i + 1..i + 5).for_each(|i| batch.add(object(i)).unwrap());
                        fifo.apply(&batch).unwrap();
                    }
                })
            })
            .collect();
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        fifo.close();
        threads.into_iter().for_each(|consumer| consumer.join().unwrap());
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
        let total = PRODUCERS * EACH;
        assert_eq!(sum.load(Ordering::Relaxed), total * (total - 1) / 2);
        assert_eq!(fifo.stats().popped, total);
    });
}

/// A consumer that only ever sleeps: if one wakeup were lost, this would hang.
#[test]
fn ping_pong_never_stalls() {
    watched(|| {
        let (ping, pong) = (Fifo::<Item>::new(), Fifo::<Item>::new());
        let echo = thread::spawn({
            let (ping, pong) = (ping.clone(), pong.clone());
            move || {
                while let Ok(got) = ping.pop() {
                    pong.add(got).unwrap();
                }
            }
        });
        for value in 0..if cfg!(miri) { 50 } else { 5_000 } {
            ping.add(item("ball", value)).unwrap();
            assert_eq!(pong.pop().unwrap().value, value);
        }
        ping.close();
        echo.join().unwrap();
    });
}

#[test]
fn futures_and_handles_are_send() {
    fn send<T: Send>(value: T) -> T {
        value
    }
    fn sync<T: Sync>() {}
    let fifo = Fifo::<Item>::new();
    drop(send(fifo.clone()));
    drop(send(fifo.pop_async()));
    drop(send(fifo.lease_async()));
    sync::<Fifo<Item>>();
    sync::<Lease<Item>>();
    send::<Option<Lease<Item>>>(None);
}
