//! The feeds that are measured: how each publishes, and how its subscribers look at what was published.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::hint::black_box;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::vec;

use async_broadcast::{InactiveReceiver, Receiver, Sender, TrySendError};
use futures_util::stream::{self, Stream};
use futures_util::{FutureExt, StreamExt};
use kube::Resource;
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::{ReflectHandle, store_shared};
use kube::runtime::watcher::{Event, Result as WatcherResult};
use watchcache::store::Subscription;
use watchcache::{Batch, Listing, ResourceVersion, Store};
use watchcache_benches::{Item, KubeItem};

/// Of those that have one: how many messages wait for the slowest subscriber.
pub const BUFFER: usize = 1_024;

/// A feed and, where it has one, the store that it is of.
pub trait Feed {
    const NAME: &'static str;
    /// Objects that are published together. Each batch may be published again and again.
    type Batch: Clone;
    type Subscriber;

    fn filled(objects: usize) -> Self;
    fn batch(objects: impl Iterator<Item = usize>) -> Self::Batch;
    /// Returns whether all of it was published. It is not while a subscriber has no room for more.
    fn publish(&mut self, batch: Self::Batch) -> bool;
    /// Goes on with such a batch.
    fn go_on(&mut self) -> bool;
    fn subscribe(&mut self) -> Self::Subscriber;
    /// Looks at all that there is, by key and content; returns how much that was.
    fn drain(subscriber: &mut Self::Subscriber) -> usize;
    /// What the contestant has to do only because of how it is measured; off the clock.
    fn tidy(&mut self) {}
}

#[inline]
fn look(key: &str, body: &[u64; 10]) {
    black_box((key.len(), body[0]));
}

impl Feed for Store<Item> {
    const NAME: &'static str = "watchcache";
    type Batch = Arc<Batch<Item>>;
    type Subscriber = Subscription<Item>;

    fn filled(objects: usize) -> Self {
        let store = Store::new();
        let listing = Listing::new((0..objects).map(|i| Item::new(i, 0)), None::<ResourceVersion>);
        store.replace(&listing.expect("keys are valid"));
        store
    }

    fn batch(objects: impl Iterator<Item = usize>) -> Arc<Batch<Item>> {
        let mut batch = Batch::new();
        for i in objects {
            batch.add(Item::new(i, 0)).expect("keys are valid");
        }
        Arc::new(batch)
    }

    fn publish(&mut self, batch: Arc<Batch<Item>>) -> bool {
        self.apply(&batch);
        true
    }

    fn go_on(&mut self) -> bool {
        true
    }

    fn subscribe(&mut self) -> Subscription<Item> {
        Store::subscribe(self).start().expect("no snapshot is another store's")
    }

    fn drain(subscriber: &mut Subscription<Item>) -> usize {
        let mut seen = 0;
        while let Ok(delivery) = subscriber.try_next() {
            for change in &delivery {
                let name = change.key.name();
                [change.old, change.new].into_iter().flatten().for_each(|of| look(name, &of.body));
                seen += 1;
            }
        }
        seen
    }
}

type Watched = WatcherResult<Event<KubeItem>>;

/// kube-runtime's shared reflector. A handle has the object as it is by now, no deletion, and nothing of
/// what was there before.
pub struct KubeStoreShared {
    reflector: Pin<Box<dyn Stream<Item = Watched>>>,
    /// What a watch would have received.
    source: Rc<RefCell<vec::IntoIter<Event<KubeItem>>>>,
    missing: usize,
    /// Others are made of this one, so it has to be read as well.
    handle: Pin<Box<ReflectHandle<KubeItem>>>,
}

impl Feed for KubeStoreShared {
    const NAME: &'static str = "kube-store-shared";
    type Batch = Vec<Event<KubeItem>>;
    type Subscriber = Pin<Box<ReflectHandle<KubeItem>>>;

    fn filled(objects: usize) -> Self {
        let (_, mut writer) = store_shared(BUFFER);
        writer.apply_watcher_event(&Event::Init);
        for i in 0..objects {
            writer.apply_watcher_event(&Event::InitApply(KubeItem::new(i, 1)));
        }
        writer.apply_watcher_event(&Event::InitDone);
        let handle = Box::pin(writer.subscribe().expect("it is shared"));
        let source = Rc::new(RefCell::new(Vec::new().into_iter()));
        let watch = stream::poll_fn({
            let source = Rc::clone(&source);
            move |_| match source.borrow_mut().next() {
                Some(event) => Poll::Ready(Some(Ok(event))),
                None => Poll::Pending,
            }
        });
        Self { reflector: Box::pin(watch.reflect_shared(writer)), source, missing: 0, handle }
    }

    fn batch(objects: impl Iterator<Item = usize>) -> Self::Batch {
        objects.map(|i| Event::Apply(KubeItem::new(i, 1))).collect()
    }

    fn publish(&mut self, batch: Self::Batch) -> bool {
        self.missing = batch.len();
        *self.source.borrow_mut() = batch.into_iter();
        self.go_on()
    }

    fn go_on(&mut self) -> bool {
        while self.missing > 0 {
            let Some(Some(_)) = self.reflector.next().now_or_never() else { return false };
            self.missing -= 1;
        }
        true
    }

    fn subscribe(&mut self) -> Self::Subscriber {
        self.handle.clone()
    }

    fn drain(subscriber: &mut Self::Subscriber) -> usize {
        let mut seen = 0;
        while let Some(Some(object)) = subscriber.next().now_or_never() {
            look(object.meta().name.as_deref().unwrap_or_default(), &object.body);
            seen += 1;
        }
        seen
    }

    fn tidy(&mut self) {
        Self::drain(&mut self.handle);
    }
}

/// A broadcast channel alone: no store, so nothing of what was there before, and nobody to ask who has
/// missed something. Each subscriber has a clone of each message.
pub struct AsyncBroadcast<M> {
    sender: Sender<M>,
    /// Keeps the channel open.
    _keeper: InactiveReceiver<M>,
    waiting: VecDeque<M>,
}

/// What is sent: each object by itself, as the contestant's users would; or a batch as a whole, which is
/// a stronger peer than the bars name.
pub trait Message: Clone {
    const NAME: &'static str;

    fn of(batch: &Arc<[Arc<Item>]>) -> VecDeque<Self>;
    fn items(&self) -> &[Arc<Item>];
}

impl Message for Arc<Item> {
    const NAME: &'static str = "async-broadcast";

    fn of(batch: &Arc<[Arc<Item>]>) -> VecDeque<Self> {
        batch.iter().cloned().collect()
    }

    fn items(&self) -> &[Arc<Item>] {
        std::slice::from_ref(self)
    }
}

impl Message for Arc<[Arc<Item>]> {
    const NAME: &'static str = "async-broadcast-batches";

    fn of(batch: &Arc<[Arc<Item>]>) -> VecDeque<Self> {
        [Arc::clone(batch)].into()
    }

    fn items(&self) -> &[Arc<Item>] {
        self
    }
}

impl<M: Message> Feed for AsyncBroadcast<M> {
    const NAME: &'static str = M::NAME;
    type Batch = Arc<[Arc<Item>]>;
    type Subscriber = Receiver<M>;

    fn filled(_: usize) -> Self {
        let (sender, receiver) = async_broadcast::broadcast(BUFFER);
        Self { sender, _keeper: receiver.deactivate(), waiting: VecDeque::new() }
    }

    fn batch(objects: impl Iterator<Item = usize>) -> Self::Batch {
        objects.map(|i| Arc::new(Item::new(i, 0))).collect()
    }

    fn publish(&mut self, batch: Self::Batch) -> bool {
        self.waiting = M::of(&batch);
        self.go_on()
    }

    fn go_on(&mut self) -> bool {
        while let Some(message) = self.waiting.pop_front() {
            if let Err(TrySendError::Full(message)) = self.sender.try_broadcast(message) {
                self.waiting.push_front(message);
                return false;
            }
        }
        true
    }

    fn subscribe(&mut self) -> Receiver<M> {
        self.sender.new_receiver()
    }

    fn drain(subscriber: &mut Receiver<M>) -> usize {
        let mut seen = 0;
        while let Ok(message) = subscriber.try_recv() {
            for item in message.items() {
                look(item.key.name(), &item.body);
                seen += 1;
            }
        }
        seen
    }
}
