//! A reflector keeps a copy up to date. It lists what there is, follows what changes from there on, and
//! knows what to do when the line breaks. It is there so that you need not think about any of that.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt};
use watchcache::reflector::{
    Item, ListPage, ListRequest, Reflector, Source, SourceError, WatchEvent, WatchRequest,
    WatchStart,
};
use watchcache::{Fifo, KeyRef, Object, ResourceVersion, Status, Store};

// The other side is a shop that numbers its changes. Each article has a price, and the number of the
// change that set it.

struct Article {
    name: &'static str,
    price: u32,
    version: String,
}

impl Object for Article {
    fn key(&self) -> KeyRef<'_> {
        self.name.into()
    }

    fn resource_version(&self) -> Option<&str> {
        Some(&self.version)
    }
}

#[derive(Clone, Default)]
struct Shop(Arc<Mutex<Books>>);

#[derive(Default)]
struct Books {
    articles: BTreeMap<&'static str, Arc<Article>>,
    /// In order: an article with its new price, or the name of one that is sold out.
    changes: Vec<Result<Arc<Article>, &'static str>>,
    /// Changes up to this one are not remembered any more.
    forgotten: usize,
    /// How often the lines of all who watch were cut.
    cuts: u32,
    /// How often somebody has asked for everything.
    lists: u32,
    /// Nobody is served any more.
    closed: bool,
}

impl Shop {
    fn books<R>(&self, look: impl FnOnce(&mut Books) -> R) -> R {
        look(&mut self.0.lock().unwrap())
    }

    /// Sets a price; the number of that change.
    fn sell(&self, name: &'static str, price: u32) -> ResourceVersion {
        self.books(|books| {
            let version = (books.changes.len() + 1).to_string();
            let article = Arc::new(Article { name, price, version: version.clone() });
            books.articles.insert(name, Arc::clone(&article));
            books.changes.push(Ok(article));
            version.into()
        })
    }

    fn sold_out(&self, name: &'static str) -> ResourceVersion {
        self.books(|books| {
            books.articles.remove(name);
            books.changes.push(Err(name));
            books.changes.len().to_string().into()
        })
    }
}

// A reflector needs two answers of the other side: what there is, and what has changed since. The
// Kubernetes API gives both, and so does etcd; those sources come with the crate. This is one of our own.

impl Source for Shop {
    type Object = Article;
    type Watch = BoxStream<'static, Result<WatchEvent<Article>, SourceError>>;

    async fn list(&self, _: ListRequest) -> Result<ListPage<Article>, SourceError> {
        self.books(|books| {
            if books.closed {
                return Err(Status::forbidden("", "articles", "", "we have closed down").into());
            }
            books.lists += 1;
            let articles = books.articles.values().cloned().map(Item::Object).collect();
            Ok(ListPage::new(articles, books.changes.len().to_string()))
        })
    }

    async fn watch(&self, request: WatchRequest) -> Result<Self::Watch, SourceError> {
        let WatchStart::After(version) = request.start else {
            return Err(Status::bad_request("please ask for a list").into());
        };
        let after: usize = version.as_str().parse().unwrap();
        let (forgotten, cuts) = self.books(|books| (books.forgotten, books.cuts));
        if after < forgotten {
            return Err(Status::expired(format!("changes up to {forgotten} are forgotten")).into());
        }
        let changes = stream::unfold((self.clone(), after), move |(shop, seen)| async move {
            loop {
                let (change, is_cut) =
                    shop.books(|books| (books.changes.get(seen).cloned(), books.cuts > cuts));
                match change {
                    _ if is_cut => return None,
                    Some(Ok(article)) => {
                        return Some((Ok(WatchEvent::Modified(article)), (shop, seen + 1)));
                    }
                    Some(Err(name)) => {
                        let (key, version) = (name.parse().unwrap(), (seen + 1).to_string().into());
                        return Some((Ok(WatchEvent::Gone { key, version }), (shop, seen + 1)));
                    }
                    None => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            }
        });
        Ok(changes.boxed())
    }
}

fn price(store: &Store<Article>, name: &str) -> Option<u32> {
    store.get(name).map(|article| article.price)
}

// The tests run with tokio's clock paused: whenever all tasks wait, it jumps to the next thing that is
// due. So a minute takes no time here.

#[tokio::test(start_paused = true)]
async fn step_01_a_copy_that_follows() {
    let shop = Shop::default();
    shop.sell("tea", 3);

    let store = Arc::new(Store::new());
    let reflector = Reflector::builder(shop.clone()).sink(store.clone()).build();
    let monitor = reflector.monitor();
    tokio::spawn(reflector.run(std::future::pending()));

    // What was there before comes with the first list.
    monitor.synced().await.unwrap();
    assert_eq!(price(&store, "tea"), Some(3));
    // What happens later comes by itself.
    shop.sell("coffee", 5);
    let last = shop.sold_out("tea");
    monitor.wait_for(&last).await.unwrap();
    assert_eq!((price(&store, "tea"), price(&store, "coffee")), (None, Some(5)));
}

#[tokio::test(start_paused = true)]
async fn step_02_who_writes_can_wait_to_read_it() {
    // A copy lags by a moment. Whoever changes something gets the number of that change, waits until the
    // copy has it, and then reads what was written.
    let shop = Shop::default();
    let store = Arc::new(Store::new());
    let reflector = Reflector::builder(shop.clone()).sink(store.clone()).build();
    let monitor = reflector.monitor();
    tokio::spawn(reflector.run(std::future::pending()));
    for raised in 1..=10 {
        let change = shop.sell("tea", raised);
        monitor.wait_for(&change).await.unwrap();
        assert_eq!(price(&store, "tea"), Some(raised));
    }
}

#[tokio::test(start_paused = true)]
async fn step_03_a_broken_line_costs_no_list() {
    // The reflector knows the last change that it has heard of, and asks to go on from there. It needs no
    // list of everything, which matters where everything is a hundred thousand objects.
    let shop = Shop::default();
    let store = Arc::new(Store::new());
    let reflector = Reflector::builder(shop.clone()).sink(store.clone()).build();
    let monitor = reflector.monitor();
    tokio::spawn(reflector.run(std::future::pending()));
    monitor.synced().await.unwrap();

    shop.books(|books| books.cuts += 1);
    let missed = shop.sell("tea", 4);
    monitor.wait_for(&missed).await.unwrap();
    assert_eq!(price(&store, "tea"), Some(4));
    assert_eq!(shop.books(|books| books.lists), 1);
}

#[tokio::test(start_paused = true)]
async fn step_04_after_too_long_it_asks_for_everything() {
    // Nobody remembers changes for ever. Once the other side has forgotten those that were missed, a new
    // list takes the place of everything. What went meanwhile is not in it, and so goes here, too.
    let shop = Shop::default();
    shop.sell("tea", 3);
    let store = Arc::new(Store::new());
    let reflector = Reflector::builder(shop.clone()).sink(store.clone()).build();
    let monitor = reflector.monitor();
    tokio::spawn(reflector.run(std::future::pending()));
    monitor.synced().await.unwrap();

    shop.sold_out("tea");
    let last = shop.sell("coffee", 5);
    shop.books(|books| {
        books.forgotten = books.changes.len();
        books.cuts += 1;
    });
    monitor.wait_for(&last).await.unwrap();
    assert_eq!((price(&store, "tea"), price(&store, "coffee")), (None, Some(5)));
    assert_eq!(shop.books(|books| books.lists), 2);
    assert_eq!(monitor.progress().relists, 1);
}

#[tokio::test(start_paused = true)]
async fn step_05_one_stream_for_a_store_and_a_queue() {
    // To act on each price, put a queue behind the store. The store comes first among the sinks, so it
    // has already what the queue hands out.
    let shop = Shop::default();
    shop.sell("tea", 3);
    let (store, queue) = (Arc::new(Store::new()), Fifo::new());
    let reflector =
        Reflector::builder(shop.clone()).sink(store.clone()).sink(queue.clone()).build();
    tokio::spawn(reflector.run(std::future::pending()));

    let lease = queue.lease_async().await.unwrap();
    assert_eq!(lease.key().name(), "tea");
    assert_eq!(price(&store, "tea"), Some(3));
    lease.done();
    shop.sell("coffee", 5);
    let lease = queue.lease_async().await.unwrap();
    assert_eq!((lease.key().name(), price(&store, "coffee")), ("coffee", Some(5)));
    lease.done();
}

#[tokio::test(start_paused = true)]
async fn step_06_a_copy_that_nobody_keeps_up_says_so() {
    // When the other side falls silent, the store answers as before, which is what one wants. But a
    // program must be able to tell, so that it can take itself out of service.
    let shop = Shop::default();
    shop.sell("tea", 3);
    let store = Arc::new(Store::new());
    let reflector = Reflector::builder(shop.clone()).sink(store.clone()).build();
    let monitor = reflector.monitor();
    let minute = Duration::from_secs(60);
    assert!(!monitor.is_ready(minute), "there is no list yet");
    tokio::spawn(reflector.run(std::future::pending()));
    monitor.synced().await.unwrap();
    assert!(monitor.is_ready(minute));

    // Either nothing has changed for two minutes, or the news does not come through: who knows?
    tokio::time::sleep(2 * minute).await;
    assert!(!monitor.is_ready(minute));
    assert_eq!(price(&store, "tea"), Some(3));
    let news = shop.sell("tea", 4);
    monitor.wait_for(&news).await.unwrap();
    assert!(monitor.is_ready(minute));
}

#[tokio::test(start_paused = true)]
async fn step_07_a_refusal_ends_it() {
    // Most failures pass, and the reflector asks again, after a longer pause each time. A refusal does
    // not pass, and ends it; whoever waits is told, also at a queue behind it.
    let shop = Shop::default();
    shop.books(|books| books.closed = true);
    let queue = Fifo::new();
    let reflector = Reflector::builder(shop).sink(queue.clone()).build();
    let monitor = reflector.monitor();
    let error = reflector.run(std::future::pending()).await.unwrap_err();
    assert_eq!(error.to_string(), "articles is forbidden: we have closed down");
    assert!(error.is_permanent());
    assert!(monitor.synced().await.is_err());
    assert!(queue.pop_async().await.is_err());
    assert_eq!(queue.source_error(), Some("articles is forbidden: we have closed down"));
}

#[tokio::test(start_paused = true)]
async fn step_08_it_stops_when_it_is_told_to() {
    let shop = Shop::default();
    shop.sell("tea", 3);
    let store = Arc::new(Store::new());
    let reflector = Reflector::builder(shop).sink(store.clone()).build();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(reflector.run(async { drop(stopped.await) }));
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    // The copy stays as it was.
    assert_eq!(price(&store, "tea"), Some(3));
}
