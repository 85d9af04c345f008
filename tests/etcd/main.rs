//! The etcd source against a real etcd, which `.ci/etcd` installs. Without one these tests fail.
#![allow(clippy::unwrap_used, missing_docs)]

mod large;
mod proxy;
mod server;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Client, Compare, CompareOp, PutOptions, Txn, TxnOp};
use serde::Deserialize;
use watchcache::reflector::{EtcdObject, EtcdSource, Monitor, Shard, SourceError};
use watchcache::{Key, Object, Reflector, Sink, Store};

use proxy::Proxy;
use server::Etcd;

#[derive(Debug, Deserialize)]
struct Endpoint {
    port: u16,
}

type Found = EtcdObject<Endpoint>;

struct Mirror {
    store: Arc<Store<Found>>,
    monitor: Monitor,
}

impl Mirror {
    async fn of(address: &str) -> Self {
        let store = Arc::new(Store::new());
        let monitor = Self::start(address, store.clone()).await;
        Self { store, monitor }
    }

    /// Pages of three.
    async fn start(address: &str, sink: impl Sink<Found> + 'static) -> Monitor {
        let client = Client::connect([address], None).await.unwrap();
        let source = EtcdSource::<Endpoint>::json(&client, "/services/");
        let reflector = Reflector::builder(source).sink(sink).page_size(Some(3)).build();
        let monitor = reflector.monitor();
        tokio::spawn(reflector.run(std::future::pending()));
        in_time(monitor.synced()).await.unwrap();
        monitor
    }

    async fn reach(&self, revision: i64) {
        in_time(self.monitor.wait_for(&revision.to_string().as_str().into())).await.unwrap();
    }

    fn content(&self) -> BTreeMap<String, (u16, String)> {
        content(&self.store)
    }
}

fn content(store: &Store<Found>) -> BTreeMap<String, (u16, String)> {
    let port = |found: &Found| (found.value().port, found.mod_revision().to_owned());
    store.list().iter().map(|found| (found.key().to_string(), port(found))).collect()
}

async fn in_time<T>(wanted: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), wanted).await.expect("in time")
}

async fn put(client: &mut Client, name: &str, value: &str) -> i64 {
    let put = client.put(format!("/services/{name}"), value, None::<PutOptions>).await.unwrap();
    put.header().unwrap().revision()
}

async fn delete(client: &mut Client, name: &str) -> i64 {
    let deleted = client.delete(format!("/services/{name}"), None).await.unwrap();
    deleted.header().unwrap().revision()
}

/// What etcd itself says is there.
async fn truth(client: &mut Client) -> BTreeMap<String, (u16, String)> {
    let options = etcd_client::GetOptions::new().with_prefix();
    let found = client.get("/services/", Some(options)).await.unwrap();
    let entry = |kv: &etcd_client::KeyValue| {
        let value: Endpoint = serde_json::from_slice(kv.value()).unwrap();
        let key = kv.key_str().unwrap().trim_start_matches("/services/").to_owned();
        (key, (value.port, kv.mod_revision().to_string()))
    };
    found.kvs().iter().map(entry).collect()
}

fn port(number: u16) -> String {
    format!(r#"{{"port":{number}}}"#)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_lists_in_pages_and_follows() {
    let etcd = Etcd::start().await;
    let mut client = etcd.client().await;
    for n in 0..10 {
        put(&mut client, &format!("web/{n}"), &port(8000 + n)).await;
    }
    client.put("/elsewhere/x", "not below the prefix", None).await.unwrap();
    let mirror = Mirror::of(&etcd.address).await;
    assert_eq!(mirror.content(), truth(&mut client).await);
    assert_eq!(mirror.content().len(), 10);
    let before = mirror.store.get("web/0").unwrap();

    put(&mut client, "web/0", &port(9000)).await;
    put(&mut client, "alone", &port(1)).await;
    delete(&mut client, "web/1").await;
    // A key that is there again is another object.
    delete(&mut client, "web/2").await;
    let last = put(&mut client, "web/2", &port(2)).await;
    mirror.reach(last).await;
    assert_eq!(mirror.content(), truth(&mut client).await);
    let after = mirror.store.get("web/0").unwrap();
    assert_eq!(after.create_revision(), before.create_revision());
    assert_eq!((before.value().port, after.value().port), (8000, 9000));
    assert_eq!(mirror.store.get("web/2").unwrap().uid(), Some(last.to_string().as_str()));
    let progress = mirror.monitor.progress();
    assert_eq!((progress.relists, progress.undecodable), (0, 0), "{progress:?}");
    assert!(progress.bytes > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_arrives_whole() {
    let etcd = Etcd::start().await;
    let mut client = etcd.client().await;
    let mirror = Mirror::of(&etcd.address).await;
    let puts: Vec<_> =
        (0..100).map(|n| TxnOp::put(format!("/services/t/{n}"), port(n), None)).collect();
    let none_yet = Compare::version("/services/t/0", CompareOp::Equal, 0);
    let done = client.txn(Txn::new().when([none_yet]).and_then(puts)).await.unwrap();
    mirror.reach(done.header().unwrap().revision()).await;
    assert_eq!(mirror.content(), truth(&mut client).await);
    assert_eq!(mirror.content().len(), 100, "all of one revision");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_is_resumed_and_a_compaction_costs_one_relist() {
    let etcd = Etcd::start().await;
    let mut client = etcd.client().await;
    for n in 0..8 {
        put(&mut client, &format!("web/{n}"), &port(n)).await;
    }
    let proxy = Proxy::to(&etcd.address).await;
    let mirror = Mirror::of(&proxy.address).await;
    let kept = mirror.store.get("web/5").unwrap();

    proxy.cut();
    delete(&mut client, "web/0").await;
    let last = put(&mut client, "web/1", &port(100)).await;
    proxy.mend();
    mirror.reach(last).await;
    assert_eq!(mirror.content(), truth(&mut client).await);
    assert_eq!(mirror.monitor.progress().relists, 0, "etcd still has what was missed");

    proxy.cut();
    delete(&mut client, "web/1").await;
    put(&mut client, "web/2", &port(200)).await;
    let last = put(&mut client, "web/new", &port(1)).await;
    client.compact(last, None).await.unwrap();
    proxy.mend();
    mirror.reach(last).await;
    assert_eq!(mirror.content(), truth(&mut client).await);
    let progress = mirror.monitor.progress();
    assert_eq!((progress.relists, progress.relist_causes.expired), (1, 1), "{progress:?}");
    assert!(Arc::ptr_eq(&kept, &mirror.store.get("web/5").unwrap()), "unchanged, so kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_decode_is_quarantined_by_key_until_it_does() {
    let etcd = Etcd::start().await;
    let mut client = etcd.client().await;
    put(&mut client, "web/listed", "no JSON").await;
    put(&mut client, "web/good", &port(1)).await;
    let mirror = Mirror::of(&etcd.address).await;
    assert_eq!(mirror.content().len(), 1);
    let listed: Key = "web/listed".parse().unwrap();
    let bad = mirror.monitor.quarantine_of(&listed).expect("in quarantine");
    assert_eq!(bad.raw.as_deref(), Some("no JSON"));

    let last = put(&mut client, "web/good", r#"{"port":70000}"#).await;
    mirror.reach(last).await;
    assert_eq!(mirror.monitor.quarantined().len(), 2);
    assert_eq!(mirror.store.get("web/good").unwrap().value().port, 1, "the last good version");

    put(&mut client, "web/listed", &port(2)).await;
    let last = delete(&mut client, "web/good").await;
    mirror.reach(last).await;
    assert_eq!(mirror.monitor.quarantined(), []);
    assert_eq!(mirror.content(), truth(&mut client).await);

    // No name comes after the slash: it is listed, and the stream goes on.
    put(&mut client, "a/", &port(3)).await;
    let last = put(&mut client, "web/more", &port(4)).await;
    mirror.reach(last).await;
    assert_eq!(mirror.monitor.progress().undecodable, 3);
    let listed = |monitor: &Monitor| -> Vec<_> {
        let quarantined = monitor.quarantined().into_iter();
        quarantined.map(|(key, bad)| (key.to_string(), bad.error)).collect()
    };
    let [(key, error)] = &listed(&mirror.monitor)[..] else { panic!("not listed") };
    assert_eq!(key, "\u{fffd}/a/");
    assert!(error.starts_with("/services/a/: "), "{error}");
    let fresh = Mirror::of(&etcd.address).await;
    assert_eq!(listed(&fresh.monitor), listed(&mirror.monitor), "by a list as by a watch");

    let last = delete(&mut client, "a/").await;
    mirror.reach(last).await;
    assert_eq!(listed(&mirror.monitor), []);
    assert_eq!(mirror.content(), truth(&mut client).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decoder_that_panics_costs_one_key_and_no_other() {
    let etcd = Etcd::start().await;
    let mut client = etcd.client().await;
    put(&mut client, "listed", "boom").await;
    put(&mut client, "a", "1").await;
    let source = EtcdSource::new(&client, "/services/", |value: &[u8]| match value {
        b"boom" => panic!("not this one"),
        value => Ok::<_, String>(value.to_vec()),
    });
    let store = Arc::new(Store::new());
    let reflector = Reflector::builder(source).sink(store.clone()).build();
    let monitor = reflector.monitor();
    tokio::spawn(reflector.run(std::future::pending()));
    put(&mut client, "watched", "boom").await;
    let last = put(&mut client, "b", "2").await;
    in_time(monitor.wait_for(&last.to_string().as_str().into())).await.unwrap();
    let bad: Vec<_> = monitor.quarantined().into_iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!(
        (bad.as_slice(), store.len()),
        (&["listed".to_owned(), "watched".to_owned()][..], 2)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_cut_off_from_its_peers_is_not_taken_for_news() {
    let [member, other, third] = Etcd::cluster().await;
    let mut client = member.client().await;
    put(&mut client, "web/0", &port(1)).await;
    let source = EtcdSource::<Endpoint>::json(&client, "/services/")
        .sign_of_life(Duration::from_millis(200));
    let store = Arc::new(Store::new());
    let reflector = Reflector::builder(source).sink(store.clone()).build();
    let monitor = reflector.monitor();
    tokio::spawn(reflector.run(std::future::pending()));
    in_time(monitor.synced()).await.unwrap();
    let short = Duration::from_secs(8);
    assert!(monitor.is_ready(short));
    // Nothing happens, and all is well.
    tokio::time::sleep(short + Duration::from_secs(1)).await;
    assert!(monitor.is_ready(short), "{:?}", monitor.progress());

    // Alone it knows of no change any more, and goes on notifying of its progress.
    drop((other, third));
    in_time(async {
        while monitor.is_ready(short) || monitor.progress().last_error.is_none() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    let error = monitor.progress().last_error.unwrap_or_default();
    assert!(error.contains("does not reach its cluster"), "{error}");
    assert_eq!(store.len(), 1, "what is known is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_and_sizes_come_from_the_value() {
    #[derive(Deserialize)]
    struct Labelled {
        labels: BTreeMap<String, String>,
    }
    let etcd = Etcd::start().await;
    let mut client = etcd.client().await;
    for (name, app) in [("a", "web"), ("b", "db")] {
        put(&mut client, name, &format!(r#"{{"labels":{{"app":"{app}"}}}}"#)).await;
    }
    let source = EtcdSource::<Labelled>::json(&client, "/services/")
        .labels(|value, name| value.labels.get(name).map(String::as_str))
        .sizes(|value| 1_000_000 * value.labels.len());
    let store = Arc::new(Store::builder().label_index("app").build());
    let reflector = Reflector::builder(source).sink(store.clone()).build();
    let monitor = reflector.monitor();
    in_time(reflector.run(async { monitor.synced().await.unwrap() })).await.unwrap();
    let snapshot = store.snapshot();
    for (selector, expected) in
        [("app=web", 1), ("app in (web,db)", 2), ("app!=web", 1), ("!app", 0)]
    {
        assert_eq!(snapshot.select(&selector.parse().unwrap()).count(), expected, "{selector}");
    }
    assert!(store.get("a").unwrap().size() > 1_000_000);

    let plain = Mirror::of(&etcd.address).await;
    let object = plain.monitor.quarantined();
    assert_eq!(object.len(), 2, "of another type");
    let last = put(&mut client, "c", &port(1)).await;
    plain.reach(last).await;
    assert!(plain.store.get("c").unwrap().size() > size_of::<Found>() + port(1).len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_mirror_moves_on_with_changes_elsewhere() {
    let etcd = Etcd::start().await;
    let mut client = etcd.client().await;
    put(&mut client, "web/0", &port(1)).await;
    let mirror = Mirror::of(&etcd.address).await;
    let elsewhere = client.put("/elsewhere/x", "1", None).await.unwrap();
    mirror.reach(elsewhere.header().unwrap().revision()).await;
    assert_eq!(mirror.content().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_of_several_mirrors_are_disjoint_and_complete() {
    let etcd = Etcd::start().await;
    let mut client = etcd.client().await;
    for n in 0..60 {
        put(&mut client, &format!("ns-{}/{n}", n % 7), &port(n)).await;
    }
    let mut mirrors = Vec::new();
    for index in 0..3 {
        let store = Arc::new(Store::new());
        let shard = Shard::by_key(index, 3).unwrap().of(store.clone());
        let monitor = Mirror::start(&etcd.address, shard).await;
        mirrors.push(Mirror { store, monitor });
    }
    for n in 0..20 {
        delete(&mut client, &format!("ns-{}/{n}", n % 7)).await;
    }
    let last = put(&mut client, "ns-1/new", &port(1)).await;
    let mut union = BTreeMap::new();
    for mirror in &mirrors {
        mirror.reach(last).await;
        assert!(!mirror.content().is_empty());
        for (key, object) in mirror.content() {
            assert!(union.insert(key.clone(), object).is_none(), "{key} is in two shares");
        }
    }
    assert_eq!(union, truth(&mut client).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_may_be_read_in_another_way() {
    let etcd = Etcd::start().await;
    let mut client = etcd.client().await;
    put(&mut client, "a/b/c", &port(1)).await;
    let source = EtcdSource::<Endpoint>::json(&client, "/services/").keys(Key::cluster_scoped);
    let store = Arc::new(Store::new());
    let reflector = Reflector::builder(source).sink(store.clone()).build();
    let monitor = reflector.monitor();
    let synced = async { monitor.synced().await.unwrap() };
    in_time(reflector.run(synced)).await.unwrap();
    assert_eq!(store.get(("", "a/b/c")).unwrap().value().port, 1);
    assert!(store.get("a/b/c").is_none(), "that is b/c in a");
}

#[tokio::test]
async fn an_etcd_that_is_not_there_is_asked_again() {
    // Nothing listens on the discard port.
    let client = Client::connect(["127.0.0.1:9"], None).await.unwrap();
    let source = EtcdSource::<Endpoint>::json(&client, "/services/");
    let reflector = Reflector::builder(source).sink(Store::new()).build();
    let monitor = reflector.monitor();
    let stop = tokio::time::sleep(Duration::from_secs(4));
    let ended: Result<(), SourceError> = reflector.run(stop).await;
    ended.unwrap();
    let failures = monitor.progress().failures;
    assert!((1..10).contains(&failures), "{failures} failures within four seconds");
}
