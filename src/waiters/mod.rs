//! Parking for idle consumers, threads and tasks alike: an event count.
//!
//! A consumer *registers as a listener, then rechecks, then sleeps*; a producer *publishes, then checks for
//! listeners*. Between the two steps of each is a sequentially consistent fence, and one of two such fences
//! comes first:
//!
//! 1. The producer's: the consumer's recheck sees the item, and it does not sleep.
//! 2. The consumer's: the producer sees that there is a listener, and finds it in the list.
//!
//! So a push while nobody sleeps costs the fence and one load.
//!
//! Each notification removes a listener from the list, so it wakes one that no earlier notification woke. If
//! two notifications went to the same consumer, and that worked on its first item for long, the second item
//! would wait although another consumer sleeps.
//!
//! A thread spins for a few microseconds before it parks. While it spins, producers delegate wake-ups to it:
//! once it has found an item, it [owes](Owes) them to as many sleepers as there are more items. That is how a busy
//! hand-over needs no system call per item.
//!
//! The recheck only asks whether there is an item. Getting it runs user code, which may block, and a listener
//! that does not sleep must not stand before one that does: so it leaves the list first.
//!
//! A consumer that leaves the list and looks once more (its recheck found an item, it ran out of time) uses up a
//! notification that it may have got. One that leaves for good (its future was dropped) passes it on.
//!
//! So this is for items, each of which goes to one consumer. [News](told) is for all sleepers: each
//! listener gets its own notification.
//!
//! Wakers are user code. They are cloned, woken and dropped under no lock, and if one panics, the others are
//! woken all the same. As one may block, threads are woken before tasks, and no thread that was woken wakes a task
//! before it has what it was woken for.

pub(crate) mod alarm;
#[cfg(test)]
mod tests;
mod told;

use std::collections::{BTreeMap, VecDeque};
use std::marker::PhantomData;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use crossbeam_utils::CachePadded;

use self::alarm::Alarm;
use crate::panic::contain;
use crate::sync::atomic::{AtomicU64, Ordering, fence};
use crate::sync::{Arc, Mutex, MutexGuard, Parker, PoisonError, SPINS, relax};

pub(crate) use self::told::TasksToWake;

/// One consumer that spins, in the upper half of `state`. The lower half counts the listeners.
const SPINNER: u64 = 1 << 32;

pub(crate) struct Waiters {
    /// Consumers that spin, and the length of the list. Read by each producer and seldom written.
    state: CachePadded<AtomicU64>,
    list: Mutex<List>,
    /// Whether sleepers wait for news, rather than for items.
    news: bool,
    /// Whether many tasks are left to the waking thread.
    hands_over: bool,
}

struct List {
    threads: Line<Parker>,
    tasks: Line<Waker>,
    next_id: u64,
    /// Whether the waking thread has this list, and will look for marked tasks in it once more at least.
    handed_over: bool,
}

/// The number that a sleeper waits for, if it waits for one that rises, and its own id.
type Place = (u64, u64);

/// Sleepers of one kind.
struct Line<S> {
    /// Those not yet notified, the oldest first.
    listeners: BTreeMap<Place, S>,
    /// Those that have to be woken for news, and that no thread has got to yet.
    due: VecDeque<BTreeMap<Place, S>>,
}

impl<S> Line<S> {
    const fn new() -> Self {
        Self { listeners: BTreeMap::new(), due: VecDeque::new() }
    }

    /// The sleeper, if it is in the list and was not woken.
    fn get_mut(&mut self, place: Place) -> Option<&mut S> {
        let due = self.due.iter_mut();
        due.chain([&mut self.listeners]).find_map(|part| part.get_mut(&place))
    }

    fn remove(&mut self, place: Place) -> Option<S> {
        let due = self.due.iter_mut();
        due.chain([&mut self.listeners]).find_map(|part| part.remove(&place))
    }

    fn take_oldest(&mut self) -> Option<S> {
        self.listeners.pop_first().map(|(_, sleeper)| sleeper)
    }
}

impl List {
    fn len(&self) -> usize {
        self.threads.listeners.len() + self.tasks.listeners.len()
    }

    /// How many of the oldest so many are threads.
    fn threads_among(&self, oldest: usize) -> usize {
        threads_among(oldest, self.threads.listeners.keys(), self.tasks.listeners.keys())
    }

    fn take_oldest(&mut self) -> Option<Woken> {
        let thread = self.threads.listeners.keys().next();
        let task = self.tasks.listeners.keys().next();
        if task.is_none_or(|task| thread.is_some_and(|thread| thread < task)) {
            self.threads.take_oldest().map(Woken::Thread)
        } else {
            self.tasks.take_oldest().map(Woken::Task)
        }
    }
}

/// How many of the oldest so many are threads. Of the tasks it looks at no more than matter, however many sleep.
fn threads_among<'l>(
    oldest: usize,
    threads: impl Iterator<Item = &'l Place>,
    tasks: impl Iterator<Item = &'l Place>,
) -> usize {
    let mut tasks = tasks.peekable();
    let mut older = 0;
    let is_among = |&(threads, place): &(usize, &Place)| {
        while threads + older < oldest && tasks.next_if(|task| *task < place).is_some() {
            older += 1;
        }
        threads + older < oldest
    };
    threads.enumerate().take_while(is_among).count()
}

/// What wakes a sleeper.
trait Sleeper: Sized {
    fn line(list: &mut List) -> &mut Line<Self>;
}

impl Sleeper for Parker {
    fn line(list: &mut List) -> &mut Line<Self> {
        &mut list.threads
    }
}

impl Sleeper for Waker {
    fn line(list: &mut List) -> &mut Line<Self> {
        &mut list.tasks
    }
}

/// A sleeper that has left the list to be woken.
enum Woken {
    Thread(Parker),
    Task(Waker),
}

impl Woken {
    /// Returns whether it was woken, as far as is known.
    fn wake(self) -> bool {
        match self {
            Self::Thread(thread) => {
                thread.unpark();
                true
            }
            Self::Task(waker) => contain(|| waker.wake()).is_some(),
        }
    }
}

/// What a consumer that gets an item owes to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owes {
    Nothing,
    /// Others may have been left asleep beside further items, as it was awake: it notifies for as many as there
    /// are, once it has its own and before any user code runs.
    Wakeups,
}

/// One consumer's registration.
struct Listener<S: Sleeper> {
    waiters: Arc<Waiters>,
    place: Place,
    /// Whether it may be in the list.
    listed: bool,
    sleeper: PhantomData<S>,
}

impl Waiters {
    pub(crate) fn new() -> Self {
        Self::of(false, false)
    }

    fn of(news: bool, hands_over: bool) -> Self {
        let list =
            List { threads: Line::new(), tasks: Line::new(), next_id: 0, handed_over: false };
        Self {
            state: CachePadded::new(AtomicU64::new(0)),
            list: Mutex::new(list),
            news,
            hands_over,
        }
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes sleepers for `n` items. Call after the items are published.
    #[inline]
    pub(crate) fn notify(&self, n: usize) {
        if n == 0 {
            return;
        }
        // ORDERING: SeqCst pairs with the fence in `listen`, and with the one in `spin`: see the two
        // cases above.
        fence(Ordering::SeqCst);
        // ORDERING: Relaxed, as the fence orders it.
        let state = self.state.load(Ordering::Relaxed);
        if state & (SPINNER - 1) > 0 {
            self.wake(n.saturating_sub((state / SPINNER) as usize));
        }
    }

    /// Wakes all sleepers. Call after the end is published.
    pub(crate) fn notify_all(&self) {
        if self.any_asleep() {
            self.wake(usize::MAX);
        }
    }

    /// Wakes all threads that sleep, and leaves the tasks to a [`Waiters::notify_all`] that follows.
    pub(crate) fn notify_threads(&self) {
        if self.any_asleep() {
            let asleep = self.list().threads.listeners.len();
            self.wake_threads(asleep);
        }
    }

    /// Returns whether anyone sleeps who may not have seen what was published before this.
    pub(crate) fn any_asleep(&self) -> bool {
        // ORDERING: SeqCst pairs with the fence in `listen`, as in `notify`.
        fence(Ordering::SeqCst);
        // ORDERING: Relaxed, as the fence orders it.
        self.state.load(Ordering::Relaxed) & (SPINNER - 1) > 0
    }

    /// Takes the oldest listeners out of the list and wakes them, each with the list unlocked, until `n` are woken
    /// or all are that were there; threads first. One whose waker panics may never run, so it does not count.
    #[cold]
    fn wake(&self, n: usize) {
        if n == 0 {
            return;
        }
        let list = self.list();
        let (asleep, threads) = (list.len(), list.threads_among(n));
        drop(list);
        let woken = self.wake_threads(threads);
        let mut missing = n - woken;
        for _ in woken..asleep {
            if missing == 0 {
                return;
            }
            let mut list = self.list();
            let Some(sleeper) = list.take_oldest() else { return };
            self.one_less();
            drop(list);
            missing -= usize::from(sleeper.wake());
        }
    }

    /// Wakes the oldest so many threads, or as many as there are; returns how many.
    fn wake_threads(&self, threads: usize) -> usize {
        for woken in 0..threads {
            let mut list = self.list();
            let Some(thread) = list.threads.take_oldest() else { return woken };
            self.one_less();
            drop(list);
            thread.unpark();
        }
        threads
    }

    /// Counts a listener that has left the list.
    fn one_less(&self) {
        // ORDERING: Relaxed, as a producer that misses this only searches the list in vain.
        self.state.fetch_sub(1, Ordering::Relaxed);
    }

    /// Call before rechecking.
    fn listen<S: Sleeper>(self: &Arc<Self>, rank: u64, sleeper: S) -> Listener<S> {
        let mut list = self.list();
        let place = (rank, list.next_id);
        list.next_id += 1;
        S::line(&mut list).listeners.insert(place, sleeper);
        // ORDERING: Relaxed, as the fence orders it.
        self.state.fetch_add(1, Ordering::Relaxed);
        drop(list);
        // ORDERING: SeqCst pairs with the fence in `notify`: if our recheck misses an item, its
        // producer comes after this fence and sees our count, and so our listener.
        fence(Ordering::SeqCst);
        Listener { waiters: Arc::clone(self), place, listed: true, sleeper: PhantomData }
    }

    /// Spins for a while. Returns whether there is an item.
    fn spin(&self, ready: &impl Fn() -> bool) -> bool {
        // ORDERING: Relaxed, as a producer that sees it only leaves the waking to us, and that is ordered
        // by the fence below.
        self.state.fetch_add(SPINNER, Ordering::Relaxed);
        let found = (0..SPINS).any(|step| {
            relax(step);
            ready()
        });
        // ORDERING: Relaxed, as the fence orders it.
        self.state.fetch_sub(SPINNER, Ordering::Relaxed);
        // ORDERING: SeqCst pairs with the fence in `notify`: a producer that still counts on us has
        // published before this, so our next check sees its item.
        fence(Ordering::SeqCst);
        found
    }

    /// Blocks until `attempt` returns something, which is told what that [owes](Owes); `None` once the deadline has
    /// passed. `ready` returns whether an attempt is worthwhile, and `until` when one will be although nobody wakes for
    /// it; neither is user code.
    pub(crate) fn wait<R>(
        self: &Arc<Self>,
        deadline: Option<Instant>,
        ready: impl Fn() -> bool,
        until: impl Fn() -> Option<Instant>,
        mut attempt: impl FnMut(Owes) -> Option<R>,
    ) -> Option<R> {
        let is_over = || deadline.is_some_and(|deadline| deadline <= Instant::now());
        loop {
            if let Some(found) = attempt(Owes::Nothing) {
                return Some(found);
            }
            // What is added while we spin wakes nobody.
            if !is_over()
                && self.spin(&ready)
                && let Some(found) = attempt(Owes::Wakeups)
            {
                return Some(found);
            }
            let parker = Parker::current();
            let mut listener = self.listen(0, parker.clone());
            if ready() {
                listener.leave();
                // As above: we have spun before.
                if let Some(found) = attempt(Owes::Wakeups) {
                    return Some(found);
                }
                continue;
            }
            while !listener.is_notified() {
                let Some(at) = deadline.into_iter().chain(until()).min() else {
                    parker.park();
                    continue;
                };
                let left = at.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    listener.leave();
                    if is_over() {
                        return attempt(Owes::Nothing);
                    }
                    break;
                }
                parker.park_timeout(left);
            }
        }
    }
}

impl<S: Sleeper> Listener<S> {
    /// Leaves the list, for an attempt that uses up a notification so far. Returns whether there was one.
    fn leave(&mut self) -> bool {
        if !std::mem::take(&mut self.listed) {
            return false;
        }
        let mut list = self.waiters.list();
        let sleeper = S::line(&mut list).remove(self.place);
        if sleeper.is_some() {
            self.waiters.one_less();
        }
        drop(list);
        let was_notified = sleeper.is_none();
        contain(|| drop(sleeper));
        was_notified
    }
}

impl Listener<Parker> {
    fn is_notified(&mut self) -> bool {
        self.listed = self.waiters.list().threads.get_mut(self.place).is_some();
        !self.listed
    }
}

impl Listener<Waker> {
    /// Returns whether it was notified; if not, this waker will be woken.
    fn poll(&mut self, waker: &Waker) -> bool {
        let mut list = self.waiters.list();
        let suits = list.tasks.get_mut(self.place).map(|known| known.will_wake(waker));
        drop(list);
        match suits {
            None => self.listed = false,
            Some(true) => {}
            Some(false) => self.replace(waker.clone()),
        }
        !self.listed
    }

    fn replace(&mut self, mut waker: Waker) {
        let mut list = self.waiters.list();
        match list.tasks.get_mut(self.place) {
            Some(listed) => std::mem::swap(listed, &mut waker),
            None => self.listed = false,
        }
        drop(list);
        contain(|| drop(waker));
    }
}

impl<S: Sleeper> Drop for Listener<S> {
    fn drop(&mut self) {
        match self.leave() {
            false => {}
            true if self.waiters.news => self.waiters.pass_on(),
            true => self.waiters.wake(1),
        }
    }
}

/// One task's wait, from poll to poll. Dropping it passes a notification on.
pub(crate) struct Wait {
    listener: Option<Listener<Waker>>,
    alarm: Alarm,
}

impl Wait {
    pub(crate) const fn new() -> Self {
        Self { listener: None, alarm: Alarm::new() }
    }

    /// Ready when `attempt` returns something. The item is returned by the same poll that got it, so a
    /// dropped future holds at most a notification. `ready` and `until` are as for [`Waiters::wait`].
    pub(crate) fn poll<R>(
        &mut self,
        context: &mut Context<'_>,
        waiters: &Arc<Waiters>,
        ready: impl Fn() -> bool,
        until: impl Fn() -> Option<Instant>,
        mut attempt: impl FnMut() -> Option<R>,
    ) -> Poll<R> {
        if let Some(mut listener) = self.listener.take()
            && !listener.poll(context.waker())
        {
            if self.may_sleep(context, until()) {
                self.listener = Some(listener);
                return Poll::Pending;
            }
            listener.leave();
        }
        loop {
            if let Some(found) = attempt() {
                return Poll::Ready(found);
            }
            let mut listener = waiters.listen(0, context.waker().clone());
            if !ready() && self.may_sleep(context, until()) {
                self.listener = Some(listener);
                return Poll::Pending;
            }
            // Leave the list before the next attempt.
            listener.leave();
        }
    }

    /// Returns whether that is still to come; the task is woken then.
    fn may_sleep(&mut self, context: &mut Context<'_>, until: Option<Instant>) -> bool {
        until.is_none_or(|at| self.alarm.poll(context, at).is_pending())
    }
}
