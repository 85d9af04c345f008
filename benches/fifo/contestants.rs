//! What is compared. Each has the same hasher and the same keys; what one cannot do it says.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use crossbeam_queue::SegQueue;
use futures_util::Stream;
use futures_util::stream::poll_fn as stream_of;
use kube::runtime::scheduler::{ScheduleRequest, Scheduler, scheduler};
use tokio::sync::mpsc;
use watchcache::fifo::Lease;
use watchcache::{Batch, Change, Fifo, Key};
use watchcache_benches::Item;

type Hasher = foldhash::fast::RandomState;

/// Values are made beforehand, keys are each contestant's own affair.
pub(crate) trait Queue: Send + Sync + 'static {
    const NAME: &'static str;
    /// Whether any number of threads may consume.
    const SHARED: bool = true;
    /// A key in a worker's hands.
    type Lease;

    fn new() -> Self;
    fn add(&self, item: &Arc<Item>);
    fn add_all(&self, batch: &Batch<Item>) {
        for (_, change) in batch.changes() {
            if let Change::Add(item) = change {
                self.add(item);
            }
        }
    }
    /// Lets what was added become ready, off the clock.
    fn settle(&self) {}
    /// `None` if nothing waits.
    fn pop(&self) -> Option<Arc<Item>>;
    /// Blocks; `None` once closed and drained.
    fn pop_blocking(&self) -> Option<Arc<Item>>;
    fn pop_async(&self) -> impl Future<Output = Option<Arc<Item>>> + Send;
    /// Takes a key that nobody else gets until it is done; `None` if there is none.
    fn take(&self) -> Option<Self::Lease>;
    fn done(&self, lease: Self::Lease);
    fn close(&self);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(item: &Item) -> Key {
    item.key.clone()
}

impl Queue for Fifo<Item> {
    const NAME: &'static str = "watchcache";
    type Lease = Lease<Item>;

    fn new() -> Self {
        Self::new()
    }

    fn add(&self, item: &Arc<Item>) {
        Self::add(self, Arc::clone(item)).expect("open");
    }

    fn add_all(&self, batch: &Batch<Item>) {
        Self::apply(self, batch).expect("open");
    }

    fn pop(&self) -> Option<Arc<Item>> {
        self.try_pop().ok()
    }

    fn pop_blocking(&self) -> Option<Arc<Item>> {
        Self::pop(self).ok()
    }

    async fn pop_async(&self) -> Option<Arc<Item>> {
        Self::pop_async(self).await.ok()
    }

    fn take(&self) -> Option<Lease<Item>> {
        self.try_lease().ok()
    }

    fn done(&self, lease: Lease<Item>) {
        lease.done();
    }

    fn close(&self) {
        Self::close(self);
    }
}

/// One lock, a map of values, a line of keys, a condition variable: the shape of client-go's FIFO,
/// and with a set of leased keys that of its workqueue.
///
/// std's condition variable makes a system call for each notification, with nobody waiting too. With
/// `COUNTED`, the waiting are counted under the lock, and none is made in vain.
#[derive(Default)]
pub(crate) struct MutexMap<const COUNTED: bool = false> {
    state: Mutex<Line>,
    arrived: Condvar,
}

impl<const COUNTED: bool> MutexMap<COUNTED> {
    /// Unlocks, and wakes one.
    fn wake_one(&self, state: MutexGuard<'_, Line>) {
        let wake = !COUNTED || state.sleepers > 0;
        drop(state);
        if wake {
            self.arrived.notify_one();
        }
    }
}

#[derive(Default)]
struct Line {
    values: HashMap<Key, Arc<Item>, Hasher>,
    line: VecDeque<Key>,
    leased: HashSet<Key, Hasher>,
    sleepers: usize,
    closed: bool,
}

impl Line {
    fn add(&mut self, key: Key, item: Arc<Item>) -> bool {
        let new = self.values.insert(key.clone(), item).is_none();
        if new && (self.leased.is_empty() || !self.leased.contains(&key)) {
            self.line.push_back(key);
        }
        new
    }

    fn pop(&mut self) -> Option<Arc<Item>> {
        self.values.remove(&self.line.pop_front()?)
    }
}

impl<const COUNTED: bool> Queue for MutexMap<COUNTED> {
    const NAME: &'static str = if COUNTED { "mutex-map-counted" } else { "mutex-map" };
    type Lease = (Key, Arc<Item>);

    fn new() -> Self {
        Self::default()
    }

    fn add(&self, item: &Arc<Item>) {
        let key = key(item);
        let mut state = lock(&self.state);
        if state.add(key, Arc::clone(item)) {
            self.wake_one(state);
        }
    }

    fn add_all(&self, batch: &Batch<Item>) {
        let mut state = lock(&self.state);
        for (_, change) in batch.changes() {
            if let Change::Add(item) = change {
                state.add(key(item), Arc::clone(item));
            }
        }
        drop(state);
        self.arrived.notify_all();
    }

    fn pop(&self) -> Option<Arc<Item>> {
        lock(&self.state).pop()
    }

    fn pop_blocking(&self) -> Option<Arc<Item>> {
        let mut state = lock(&self.state);
        loop {
            if let Some(item) = state.pop() {
                return Some(item);
            }
            if state.closed {
                return None;
            }
            state.sleepers += 1;
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.sleepers -= 1;
        }
    }

    async fn pop_async(&self) -> Option<Arc<Item>> {
        unreachable!("it has no async side")
    }

    fn take(&self) -> Option<Self::Lease> {
        let mut state = lock(&self.state);
        let key = state.line.pop_front()?;
        let item = state.values.remove(&key)?;
        state.leased.insert(key.clone());
        Some((key, item))
    }

    fn done(&self, (key, _item): Self::Lease) {
        let mut state = lock(&self.state);
        state.leased.remove(&key);
        if state.values.contains_key(&key) {
            state.line.push_back(key);
            self.wake_one(state);
        }
    }

    fn close(&self) {
        lock(&self.state).closed = true;
        self.arrived.notify_all();
    }
}

/// Two ready-made structures side by side, without states: nothing stops a key from being in two
/// hands, and a delete and an add between a pop's two steps would go wrong.
#[derive(Default)]
pub(crate) struct DashmapSegqueue {
    values: dashmap::DashMap<Key, Arc<Item>, Hasher>,
    line: SegQueue<Key>,
    sleepers: AtomicUsize,
    /// Whether it is closed.
    sleeping: Mutex<bool>,
    arrived: Condvar,
}

impl Queue for DashmapSegqueue {
    const NAME: &'static str = "dashmap-segqueue";
    type Lease = Arc<Item>;

    fn new() -> Self {
        Self::default()
    }

    fn add(&self, item: &Arc<Item>) {
        let key = key(item);
        if self.values.insert(key.clone(), Arc::clone(item)).is_none() {
            self.line.push(key);
            if self.sleepers.load(Ordering::SeqCst) > 0 {
                drop(lock(&self.sleeping));
                self.arrived.notify_one();
            }
        }
    }

    fn pop(&self) -> Option<Arc<Item>> {
        loop {
            if let Some((_, item)) = self.values.remove(&self.line.pop()?) {
                return Some(item);
            }
        }
    }

    fn pop_blocking(&self) -> Option<Arc<Item>> {
        loop {
            if let Some(item) = self.pop() {
                return Some(item);
            }
            let closed = lock(&self.sleeping);
            self.sleepers.fetch_add(1, Ordering::SeqCst);
            let found = self.pop();
            let ends = *closed;
            if found.is_none() && !ends {
                drop(self.arrived.wait(closed).unwrap_or_else(PoisonError::into_inner));
            }
            self.sleepers.fetch_sub(1, Ordering::SeqCst);
            if found.is_some() || ends {
                return found;
            }
        }
    }

    async fn pop_async(&self) -> Option<Arc<Item>> {
        unreachable!("it has no async side")
    }

    fn take(&self) -> Option<Self::Lease> {
        self.pop()
    }

    fn done(&self, _item: Self::Lease) {}

    fn close(&self) {
        *lock(&self.sleeping) = true;
        self.arrived.notify_all();
    }
}

/// An unbounded channel, and a set that keeps a key from being sent twice. The older value stays.
pub(crate) struct TokioMpscSet {
    queued: Mutex<HashSet<Key, Hasher>>,
    sender: Mutex<Option<mpsc::UnboundedSender<Arc<Item>>>>,
    /// As the channel has it: one consumer at a time.
    receiver: tokio::sync::Mutex<mpsc::UnboundedReceiver<Arc<Item>>>,
}

impl TokioMpscSet {
    fn popped(&self, item: Option<Arc<Item>>) -> Option<Arc<Item>> {
        let item = item?;
        lock(&self.queued).remove(&key(&item));
        Some(item)
    }
}

impl Queue for TokioMpscSet {
    const NAME: &'static str = "tokio-mpsc-set";
    type Lease = Arc<Item>;

    fn new() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            queued: Mutex::default(),
            sender: Mutex::new(Some(sender)),
            receiver: tokio::sync::Mutex::new(receiver),
        }
    }

    fn add(&self, item: &Arc<Item>) {
        if lock(&self.queued).insert(key(item))
            && let Some(sender) = &*lock(&self.sender)
        {
            sender.send(Arc::clone(item)).expect("the receiver is kept");
        }
    }

    fn pop(&self) -> Option<Arc<Item>> {
        let item = self.receiver.blocking_lock().try_recv().ok();
        self.popped(item)
    }

    fn pop_blocking(&self) -> Option<Arc<Item>> {
        let item = self.receiver.blocking_lock().blocking_recv();
        self.popped(item)
    }

    async fn pop_async(&self) -> Option<Arc<Item>> {
        let item = self.receiver.lock().await.recv().await;
        self.popped(item)
    }

    fn take(&self) -> Option<Self::Lease> {
        self.receiver.blocking_lock().try_recv().ok()
    }

    fn done(&self, item: Self::Lease) {
        lock(&self.queued).remove(&key(&item));
    }

    fn close(&self) {
        *lock(&self.sender) = None;
    }
}

type Requests = Pin<Box<dyn Stream<Item = ScheduleRequest<Key>> + Send>>;

/// kube-runtime's scheduler as its `Runner` drives it: keys without values, one consumer, and a set
/// of those that are running. Its times are whole milliseconds.
///
/// By default the runner starts whatever is due. With `LIMITED` it has reached its limit of
/// concurrency, as it must have if anything is to wait: then what is due is pending.
pub(crate) struct KubeScheduler<const LIMITED: bool = false> {
    sender: Mutex<Option<mpsc::UnboundedSender<ScheduleRequest<Key>>>>,
    state: Mutex<Running>,
    runtime: tokio::runtime::Runtime,
}

struct Running {
    scheduler: Pin<Box<Scheduler<Key, Requests>>>,
    leased: HashSet<Key, Hasher>,
}

impl<const LIMITED: bool> KubeScheduler<LIMITED> {
    fn poll(&self, context: &mut std::task::Context<'_>) -> Poll<Option<Key>> {
        let Running { scheduler, leased } = &mut *lock(&self.state);
        Pin::new(&mut scheduler.as_mut().hold_unless(|key| !leased.contains(key)))
            .poll_next(context)
    }
}

impl<const LIMITED: bool> Queue for KubeScheduler<LIMITED> {
    const NAME: &'static str = if LIMITED { "kube-scheduler-limited" } else { "kube-scheduler" };
    const SHARED: bool = false;
    type Lease = Key;

    fn new() -> Self {
        let (sender, mut requests) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .expect("a runtime can be made");
        let requests: Requests = Box::pin(stream_of(move |context| requests.poll_recv(context)));
        let scheduler = {
            let _inside = runtime.enter();
            Box::pin(scheduler(requests))
        };
        let state = Mutex::new(Running { scheduler, leased: HashSet::default() });
        Self { sender: Mutex::new(Some(sender)), state, runtime }
    }

    fn add(&self, item: &Arc<Item>) {
        if let Some(sender) = &*lock(&self.sender) {
            let request = ScheduleRequest { message: key(item), run_at: Instant::now().into() };
            sender.send(request).expect("the receiver is kept");
        }
    }

    /// One poll takes all requests in; two milliseconds later all of them are due.
    fn settle(&self) {
        self.runtime.block_on(async {
            let all_in = poll_fn(|context| {
                let mut state = lock(&self.state);
                let mut held = state.scheduler.as_mut().hold_unless(|_| false);
                let _ = Pin::new(&mut held).poll_next(context);
                Poll::Ready(())
            });
            all_in.await;
            tokio::time::sleep(Duration::from_millis(3)).await;
            if LIMITED {
                poll_fn(|context| {
                    let mut state = lock(&self.state);
                    let _ = Pin::new(&mut state.scheduler.as_mut().hold()).poll_next(context);
                    Poll::Ready(())
                })
                .await;
            }
        });
    }

    fn pop(&self) -> Option<Arc<Item>> {
        unreachable!("it has keys without values")
    }

    fn pop_blocking(&self) -> Option<Arc<Item>> {
        unreachable!("it does not block")
    }

    async fn pop_async(&self) -> Option<Arc<Item>> {
        poll_fn(|context| self.poll(context)).await.map(|_| Arc::new(Item::new(0, 0)))
    }

    fn take(&self) -> Option<Key> {
        let _inside = self.runtime.enter();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match self.poll(&mut context) {
            Poll::Ready(Some(key)) => {
                lock(&self.state).leased.insert(key.clone());
                Some(key)
            }
            _ => None,
        }
    }

    fn done(&self, key: Key) {
        lock(&self.state).leased.remove(&key);
    }

    fn close(&self) {
        *lock(&self.sender) = None;
    }
}
