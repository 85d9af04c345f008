//! As many changes at one revision as etcd makes.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Client, DeleteOptions, Txn, TxnOp};
use watchcache::reflector::{EtcdSource, Monitor};
use watchcache::{Reflector, Store};

use crate::server::Etcd;
use crate::{Endpoint, Found, in_time, port, put, truth};

/// Most operations in a transaction, unless etcd is told otherwise (`--max-txn-ops`).
const MOST_OPERATIONS: u32 = 128;

/// Most bytes in a request, unless etcd is told otherwise (`--max-request-bytes`).
const MOST_BYTES: usize = 1024 * 1024 * 3 / 2;

const KEYS: u32 = 100_000;

/// Pages of the default size, and a small batch limit, which a revision may exceed.
async fn mirror(address: &str) -> (Arc<Store<Found>>, Monitor) {
    let client = Client::connect([address], None).await.unwrap();
    let store = Arc::new(Store::new());
    let source = EtcdSource::<Endpoint>::json(&client, "/services/");
    let reflector = Reflector::builder(source).sink(store.clone()).batch_limit(100).build();
    let monitor = reflector.monitor();
    tokio::spawn(reflector.run(std::future::pending()));
    in_time(monitor.synced()).await.unwrap();
    (store, monitor)
}

/// Looks at the store until it tells this revision: how many objects there were before, and then.
async fn watch_lengths(store: Arc<Store<Found>>, revision: i64) -> (Vec<usize>, usize) {
    let mut before = Vec::new();
    loop {
        let snapshot = store.snapshot();
        let told = snapshot.resource_version().map(|version| version.as_str().parse::<i64>());
        if told.is_some_and(|told| told.unwrap() >= revision) {
            return (before, snapshot.len());
        }
        if before.last() != Some(&snapshot.len()) {
            before.push(snapshot.len());
        }
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_by_prefix_of_very_many_keys_arrives_whole() {
    let etcd = Etcd::start().await;
    let mut client = etcd.client().await;
    for first in (0..KEYS).step_by(MOST_OPERATIONS as usize) {
        let numbers = first..KEYS.min(first + MOST_OPERATIONS);
        let puts: Vec<_> =
            numbers.map(|n| TxnOp::put(format!("/services/t/{n}"), port(1), None)).collect();
        client.txn(Txn::new().and_then(puts)).await.unwrap();
    }
    let kept = put(&mut client, "kept", &port(1)).await;
    let (store, monitor) = mirror(&etcd.address).await;
    let all = KEYS as usize + 1;
    assert_eq!(store.len(), all);

    let looks = tokio::spawn(watch_lengths(store.clone(), kept + 1));
    let options = DeleteOptions::new().with_prefix();
    let deleted = client.delete("/services/t/", Some(options)).await.unwrap();
    assert_eq!(deleted.deleted(), i64::from(KEYS));
    let (before, then) = in_time(looks).await.unwrap();
    assert_eq!((before.as_slice(), then), (&[all][..], 1), "all of it at once");
    // The figures follow what the store holds.
    in_time(async {
        while monitor.progress().events < u64::from(KEYS) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let progress = monitor.progress();
    assert_eq!((progress.relists, progress.failures), (0, 0), "{progress:?}");
    assert_eq!(progress.events, u64::from(KEYS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_at_the_limit_arrives_whole() {
    let etcd = Etcd::start().await;
    let mut client = etcd.client().await;
    let (store, monitor) = mirror(&etcd.address).await;
    let before = put(&mut client, "first", &port(1)).await;
    in_time(monitor.wait_for(&before.to_string().as_str().into())).await.unwrap();

    // Spaces are no part of a value of JSON, and keys take some bytes, too.
    let wide = MOST_BYTES / MOST_OPERATIONS as usize - 60;
    let transaction = |operations: u32, wide: usize| {
        let value = |n| format!("{:wide$}", port(u16::try_from(n).unwrap()));
        let puts = (0..operations).map(|n| TxnOp::put(format!("/services/t/{n}"), value(n), None));
        Txn::new().and_then(puts.collect::<Vec<_>>())
    };
    // It is the limit: neither one more nor larger ones are taken.
    for beyond in [transaction(MOST_OPERATIONS + 1, 20), transaction(MOST_OPERATIONS, wide + 60)] {
        client.txn(beyond).await.unwrap_err();
    }
    let looks = tokio::spawn(watch_lengths(store.clone(), before + 1));
    client.txn(transaction(MOST_OPERATIONS, wide)).await.unwrap();
    let (lengths, then) = in_time(looks).await.unwrap();
    assert_eq!((lengths.as_slice(), then), (&[1][..], MOST_OPERATIONS as usize + 1));
    let progress = monitor.progress();
    assert_eq!((progress.relists, progress.failures), (0, 0), "{progress:?}");
    let found = truth(&mut client).await;
    assert_eq!(crate::content(&store), found);
}
