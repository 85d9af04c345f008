//! The queue as a stream.

use std::task::Poll;

use futures_util::StreamExt;
use watchcache::Fifo;

use crate::item::{Item, item};
use crate::parked::Parked;

#[tokio::test]
async fn a_queue_is_a_stream_until_it_is_closed() {
    let fifo = Fifo::new();
    let worker = tokio::spawn({
        let fifo: Fifo<Item> = fifo.clone();
        async move {
            let mut values = Vec::new();
            let mut leases = fifo.leases();
            while let Some(lease) = leases.next().await {
                values.push(lease.value);
                lease.done();
            }
            assert!(leases.next().await.is_none(), "it stays ended");
            values
        }
    });
    for value in 0..5 {
        fifo.add(item(&value.to_string(), value)).unwrap();
        tokio::task::yield_now().await;
    }
    fifo.close();
    assert_eq!(worker.await.unwrap(), [0, 1, 2, 3, 4]);
    assert_eq!(fifo.pops().count().await, 0);
}

#[test]
fn a_dropped_stream_passes_its_wakeup_on() {
    let fifo = Fifo::new();
    let mut stream = fifo.pops();
    let first = Parked::new(async { stream.next().await });
    let mut second = Parked::new(fifo.pop_async());
    fifo.add(item("a", 1)).unwrap();
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
    drop(first);
    drop(stream);
    assert_eq!(second.wakes(), 1);
    assert!(matches!(second.poll(), Poll::Ready(Ok(got)) if got.value == 1));
}
