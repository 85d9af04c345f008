//! What is another shard's is not decoded, and belongs to its version all the same.

use super::*;
use crate::reflector::Shard;

/// A sharded mirror of a server whose first watch is `first`, and whose later ones bring what it
/// has after their version: the keys that it holds, and the versions that it watched from.
async fn sharded(
    shard: Shard,
    first: String,
    later: impl Fn(u64) -> String + Send + Sync + 'static,
) -> (Vec<String>, Vec<u64>) {
    let (asked, first) = (Arc::new(Mutex::new(Vec::new())), Mutex::new(Some(first)));
    let noted = Arc::clone(&asked);
    let client = client(move |uri| {
        let uri = uri.to_string();
        if !uri.contains("watch=true") {
            let list =
                r#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"10"}}"#;
            return list.into();
        }
        let version = uri.split("resourceVersion=").nth(1).expect("it names one");
        let version = version.split('&').next().and_then(|it| it.parse().ok()).expect("a number");
        noted.lock().expect("no panic").push(version);
        let first = first.lock().expect("no panic").take();
        first.unwrap_or_else(|| later(version)).into_bytes()
    });
    let store = Arc::new(Store::new());
    let source = KubeSource::<Pod>::all(client);
    let reflector = Reflector::builder(source).sink(store.clone()).shard(shard).build();
    let monitor = reflector.monitor();
    let stop = async {
        let watched = tokio::time::timeout(Duration::from_secs(20), async {
            while monitor.progress().watches < 3 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        watched.await.expect("it goes on watching");
    };
    reflector.run(stop).await.expect("it is stopped");
    let mut keys: Vec<_> = store.keys().iter().map(ToString::to_string).collect();
    keys.sort();
    let asked = asked.lock().expect("no panic").clone();
    (keys, asked)
}

/// Names of Pods, of this shard and of the other.
fn split(shard: Shard) -> (Vec<String>, Vec<String>) {
    (0..40).map(|n| format!("p{n}")).partition(|name| shard.owns(("default", name.as_str())))
}

fn added(name: &str, version: u64) -> String {
    super::added(&pod(name, version)).replace('\n', "")
}

#[tokio::test]
async fn an_event_of_another_shard_hides_none_that_follows_in_its_line() {
    let shard = Shard::by_key(0, 2).expect("one of two");
    let (own, foreign) = split(shard);
    for between in ["", " "] {
        let first = format!("{}{between}{}\n", added(&foreign[0], 11), added(&own[0], 12));
        let first = first + &added(&own[1], 13) + "\n";
        let (keys, _) = sharded(shard, first, |_| String::new()).await;
        assert_eq!(keys.len(), 2, "{keys:?}");
    }
}

#[tokio::test]
async fn an_event_of_another_shard_ends_no_version() {
    let shard = Shard::by_key(0, 2).expect("one of two");
    let (own, foreign) = split(shard);
    // The watch ends before the third of this shard.
    let first = [added(&own[0], 11), added(&own[1], 11), added(&foreign[0], 11)];
    let third = added(&own[2], 11) + "\n";
    let later = move |after| if after < 11 { third.clone() } else { String::new() };
    let (keys, asked) = sharded(shard, first.join("\n") + "\n", later).await;
    assert_eq!(keys.len(), 3, "{keys:?}, watched from {asked:?}");
}
