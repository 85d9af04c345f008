//! What observers and counters tell.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use watchcache::fifo::{Backoff, ManualClock, Observer};
use watchcache::{Fifo, Key};

use crate::item::{Item, item};

#[test]
fn an_observer_and_the_counters_tell_the_same_story() {
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<String>>>);
    impl Seen {
        fn push(&self, what: String) {
            self.0.lock().unwrap().push(what);
        }
    }
    impl Observer for Seen {
        fn added(&self) {
            self.push("added".into());
        }
        fn coalesced(&self) {
            self.push("coalesced".into());
        }
        fn handed_out(&self, queue_latency: Duration) {
            self.push(format!("handed out after {queue_latency:?}"));
        }
        fn finished(&self, work_duration: Duration) {
            self.push(format!("finished after {work_duration:?}"));
        }
        fn retried(&self, delay: Duration) {
            self.push(format!("retried in {delay:?}"));
        }
        fn abandoned(&self, key: &Key) {
            self.push(format!("{key} abandoned"));
        }
    }

    let (clock, seen) = (ManualClock::new(), Seen::default());
    let backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(5));
    let builder = Fifo::builder().observer(seen.clone()).backoff(backoff).clock(&clock);
    let fifo = builder.build().unwrap();
    let seconds = |n| clock.advance(Duration::from_secs(n));
    fifo.add(item("a", 1)).unwrap();
    seconds(1);
    fifo.add(item("a", 2)).unwrap();
    seconds(2);
    assert_eq!(fifo.oldest_age(), Some(Duration::from_secs(3)), "since the key came");
    let lease = fifo.lease().unwrap();
    assert_eq!(fifo.oldest_age(), None);
    seconds(4);
    let stats = fifo.stats();
    assert_eq!((stats.unfinished_work, stats.longest_running).0, Duration::from_secs(4));
    assert_eq!(stats.longest_running, Duration::from_secs(4));
    lease.retry();
    seconds(5);
    drop(fifo.lease().unwrap());
    assert_eq!(
        *seen.0.lock().unwrap(),
        [
            "added",
            "coalesced",
            "handed out after 3s",
            "finished after 4s",
            "retried in 5s",
            "handed out after 0ns",
            "finished after 0ns",
            "a abandoned"
        ]
    );
    assert_eq!((fifo.stats().longest_running, fifo.stats().delayed), (Duration::ZERO, 1));
    assert_eq!(Fifo::<Item>::new().oldest_age(), None);
}
