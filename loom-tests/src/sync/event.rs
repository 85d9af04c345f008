use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use loom::sync::{Condvar, Mutex};

/// The contract of `event_listener::Event`, for threads and tasks.
pub(crate) struct Event(Arc<List>);

struct List {
    /// Who is not yet notified, oldest first.
    waiting: Mutex<Vec<Arc<Waiter>>>,
}

struct Waiter {
    state: Mutex<State>,
    notified: Condvar,
}

#[derive(Default)]
struct State {
    notified: bool,
    waker: Option<Waker>,
}

pub(crate) struct EventListener {
    list: Arc<List>,
    waiter: Option<Arc<Waiter>>,
}

pub(crate) struct Additional(usize);

pub(crate) trait IntoNotification {
    fn additional(self) -> Additional;
}

impl IntoNotification for usize {
    fn additional(self) -> Additional {
        Additional(self)
    }
}

pub(crate) trait Listener: Future<Output = ()> {
    fn wait(self);
    fn wait_deadline(self, deadline: Instant) -> Option<()>;
    fn discard(self) -> bool;
}

impl Event {
    pub(crate) fn new() -> Self {
        Self(Arc::new(List { waiting: Mutex::new(Vec::new()) }))
    }

    pub(crate) fn listen(&self) -> EventListener {
        let waiter =
            Arc::new(Waiter { state: Mutex::new(State::default()), notified: Condvar::new() });
        self.0.waiting.lock().expect("not poisoned").push(Arc::clone(&waiter));
        EventListener { list: Arc::clone(&self.0), waiter: Some(waiter) }
    }

    pub(crate) fn notify(&self, Additional(n): Additional) -> usize {
        let mut waiting = self.0.waiting.lock().expect("not poisoned");
        let n = n.min(waiting.len());
        for waiter in waiting.drain(..n) {
            let mut state = waiter.state.lock().expect("not poisoned");
            state.notified = true;
            waiter.notified.notify_one();
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        }
        n
    }
}

impl EventListener {
    /// Leaves the list; whether it had been notified.
    fn leave(&mut self) -> bool {
        let Some(waiter) = self.waiter.take() else { return false };
        let mut waiting = self.list.waiting.lock().expect("not poisoned");
        waiting.retain(|other| !Arc::ptr_eq(other, &waiter));
        waiter.state.lock().expect("not poisoned").notified
    }
}

impl Listener for EventListener {
    fn wait(mut self) {
        if let Some(waiter) = self.waiter.take() {
            let mut state = waiter.state.lock().expect("not poisoned");
            while !state.notified {
                state = waiter.notified.wait(state).expect("not poisoned");
            }
        }
    }

    /// The time runs out as soon as one looks.
    fn wait_deadline(mut self, _: Instant) -> Option<()> {
        self.leave().then_some(())
    }

    fn discard(mut self) -> bool {
        self.leave()
    }
}

impl Future for EventListener {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(waiter) = self.waiter.clone() else { return Poll::Ready(()) };
        let mut state = waiter.state.lock().expect("not poisoned");
        if state.notified {
            drop(state);
            self.waiter = None;
            return Poll::Ready(());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for EventListener {
    fn drop(&mut self) {
        if self.leave() {
            Event(Arc::clone(&self.list)).notify(Additional(1));
        }
    }
}
