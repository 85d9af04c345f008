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
//! once it has found an item, it wakes as many sleepers as there are more items. That is how a busy hand-over
//! needs no system call per item.
//!
//! The recheck only asks whether there is an item. Getting it runs user code, which may block, and a listener
//! that does not sleep must not stand before one that does: so it leaves the list first.
//!
//! A consumer that leaves the list without having been notified (its recheck found an item, it ran out
//! of time, or its future was dropped) removes itself; one that was notified and leaves passes the
//! notification on.
//!
//! So this is for items, each of which goes to one consumer. [News](told) is for all sleepers: each
//! listener gets its own notification.
//!
//! Wakers are user code. They are cloned, woken and dropped under no lock, and if one panics, the others are
//! woken all the same.

pub(crate) mod alarm;
mod told;

use std::collections::{BTreeMap, VecDeque};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use crossbeam_utils::CachePadded;

use crate::panic::contain;
use crate::sync::atomic::{AtomicU64, Ordering, fence};
use crate::sync::{Arc, Mutex, MutexGuard, Parker, PoisonError, SPINS, relax};

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
    /// Those not yet notified, the oldest first.
    listeners: BTreeMap<Place, Sleeper>,
    /// Those that have to be woken, and that no thread has got to yet.
    due: VecDeque<BTreeMap<Place, Sleeper>>,
    next_id: u64,
}

/// The number that a sleeper waits for, if it waits for one that rises, and its own id.
type Place = (u64, u64);

impl List {
    /// The sleeper, if it is in the list and was not notified.
    fn get_mut(&mut self, place: Place) -> Option<&mut Sleeper> {
        let due = self.due.iter_mut();
        due.chain([&mut self.listeners]).find_map(|part| part.get_mut(&place))
    }

    fn remove(&mut self, place: Place) -> Option<Sleeper> {
        let due = self.due.iter_mut();
        due.chain([&mut self.listeners]).find_map(|part| part.remove(&place))
    }
}

/// A sleeper, and how to wake it.
enum Sleeper {
    Thread(Parker),
    Task(Waker),
}

/// One consumer's registration.
struct Listener {
    waiters: Arc<Waiters>,
    place: Place,
    /// Whether it is known to have left the list.
    notified: bool,
}

impl Waiters {
    pub(crate) fn new() -> Self {
        Self::of(false, false)
    }

    fn of(news: bool, hands_over: bool) -> Self {
        let list = List { listeners: BTreeMap::new(), due: VecDeque::new(), next_id: 0 };
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

    /// Returns whether anyone sleeps who may not have seen what was published before this.
    pub(crate) fn any_asleep(&self) -> bool {
        // ORDERING: SeqCst pairs with the fence in `listen`, as in `notify`.
        fence(Ordering::SeqCst);
        // ORDERING: Relaxed, as the fence orders it.
        self.state.load(Ordering::Relaxed) & (SPINNER - 1) > 0
    }

    /// Takes listeners out of the list and wakes them, each with the list unlocked, until `n` are woken
    /// or all are that were there. One whose waker panics may never run, so it does not count.
    #[cold]
    fn wake(&self, n: usize) {
        let mut missing = n;
        let asleep = self.list().listeners.len();
        for _ in 0..asleep {
            if missing == 0 {
                return;
            }
            let mut list = self.list();
            let Some((_, sleeper)) = list.listeners.pop_first() else { return };
            self.one_less();
            drop(list);
            missing -= usize::from(sleeper.wake());
        }
    }

    /// Counts a listener that has left the list.
    fn one_less(&self) {
        // ORDERING: Relaxed, as a producer that misses this only searches the list in vain.
        self.state.fetch_sub(1, Ordering::Relaxed);
    }

    /// Call before rechecking.
    fn listen(self: &Arc<Self>, rank: u64, sleeper: Sleeper) -> Listener {
        let mut list = self.list();
        let place = (rank, list.next_id);
        list.next_id += 1;
        list.listeners.insert(place, sleeper);
        // ORDERING: Relaxed, as the fence orders it.
        self.state.fetch_add(1, Ordering::Relaxed);
        drop(list);
        // ORDERING: SeqCst pairs with the fence in `notify`: if our recheck misses an item, its
        // producer comes after this fence and sees our count, and so our listener.
        fence(Ordering::SeqCst);
        Listener { waiters: Arc::clone(self), place, notified: false }
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

    /// Blocks until `attempt` returns something; `None` once the deadline has passed. `backlog` returns
    /// about how many items there are, at least 1 if there is any; `ready` returns whether an attempt is
    /// worthwhile, and is not user code.
    pub(crate) fn wait<R>(
        self: &Arc<Self>,
        deadline: Option<Instant>,
        backlog: impl Fn() -> usize,
        ready: impl Fn() -> bool,
        mut attempt: impl FnMut() -> Option<R>,
    ) -> Option<R> {
        loop {
            if let Some(found) = attempt() {
                return Some(found);
            }
            let is_over = deadline.is_some_and(|deadline| deadline <= Instant::now());
            if !is_over
                && self.spin(&|| backlog() > 0)
                && let Some(found) = attempt()
            {
                // What was added while we spun woke nobody.
                self.notify(backlog());
                return Some(found);
            }
            let parker = Parker::current();
            let mut listener = self.listen(0, Sleeper::Thread(parker.clone()));
            if ready() {
                drop(listener);
                if let Some(found) = attempt() {
                    // As above: we have spun before.
                    self.notify(backlog());
                    return Some(found);
                }
                continue;
            }
            while !listener.is_notified() {
                match deadline {
                    None => parker.park(),
                    Some(deadline) => {
                        let left = deadline.saturating_duration_since(Instant::now());
                        if left.is_zero() {
                            // A notification so far is passed on, or this attempt uses it.
                            drop(listener);
                            return attempt();
                        }
                        parker.park_timeout(left);
                    }
                }
            }
        }
    }
}

impl Sleeper {
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

    fn is_thread(&self) -> bool {
        matches!(self, Self::Thread(_))
    }

    fn will_wake(&self, waker: &Waker) -> bool {
        matches!(self, Self::Task(known) if known.will_wake(waker))
    }
}

impl Listener {
    fn is_notified(&mut self) -> bool {
        self.notified = self.waiters.list().get_mut(self.place).is_none();
        self.notified
    }

    /// Returns whether it was notified; if not, this waker will be woken.
    fn poll(&mut self, waker: &Waker) -> bool {
        let mut list = self.waiters.list();
        let suits = list.get_mut(self.place).map(|sleeper| sleeper.will_wake(waker));
        drop(list);
        match suits {
            None => self.notified = true,
            Some(true) => {}
            Some(false) => self.replace(Sleeper::Task(waker.clone())),
        }
        self.notified
    }

    fn replace(&mut self, mut sleeper: Sleeper) {
        let mut list = self.waiters.list();
        match list.get_mut(self.place) {
            Some(listed) => std::mem::swap(listed, &mut sleeper),
            None => self.notified = true,
        }
        drop(list);
        contain(|| drop(sleeper));
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.notified {
            return;
        }
        let mut list = self.waiters.list();
        let removed = list.remove(self.place);
        if removed.is_some() {
            self.waiters.one_less();
        }
        drop(list);
        match removed {
            Some(sleeper) => _ = contain(|| drop(sleeper)),
            None if self.waiters.news => self.waiters.pass_on(),
            None => self.waiters.wake(1),
        }
    }
}

/// One task's wait, from poll to poll. Dropping it passes a notification on.
pub(crate) struct Wait {
    listener: Option<Listener>,
}

impl Wait {
    pub(crate) const fn new() -> Self {
        Self { listener: None }
    }

    /// Ready when `attempt` returns something. The item is returned by the same poll that got it, so a
    /// dropped future holds at most a notification. `ready` is as for [`Waiters::wait`].
    pub(crate) fn poll<R>(
        &mut self,
        context: &mut Context<'_>,
        waiters: &Arc<Waiters>,
        ready: impl Fn() -> bool,
        mut attempt: impl FnMut() -> Option<R>,
    ) -> Poll<R> {
        if let Some(listener) = &mut self.listener {
            if !listener.poll(context.waker()) {
                return Poll::Pending;
            }
            self.listener = None;
        }
        loop {
            if let Some(found) = attempt() {
                return Poll::Ready(found);
            }
            let listener = waiters.listen(0, Sleeper::Task(context.waker().clone()));
            if !ready() {
                self.listener = Some(listener);
                return Poll::Pending;
            }
            // Leave the list before the next attempt.
            drop(listener);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Finds nothing, sees on its recheck that there is something, and is not listed when it gets it.
    fn attempt(waiters: &Waiters) -> impl FnMut() -> Option<()> {
        let mut attempts = 0;
        move || {
            assert!(!waiters.any_asleep(), "an attempt runs user code");
            attempts += 1;
            (attempts > 1).then_some(())
        }
    }

    #[test]
    fn a_thread_that_found_something_is_not_listed_while_it_gets_it() {
        let waiters = Arc::new(Waiters::new());
        assert!(waiters.wait(None, || 0, || true, attempt(&waiters)).is_some());
    }

    #[test]
    fn a_task_that_found_something_is_not_listed_while_it_gets_it() {
        let waiters = Arc::new(Waiters::new());
        let mut context = Context::from_waker(Waker::noop());
        let polled = Wait::new().poll(&mut context, &waiters, || true, attempt(&waiters));
        assert!(polled.is_ready());
    }
}
