//! What no caller can bring about from outside: who is asleep, who spins, and what happens just then.

use std::cell::Cell;
use std::sync::mpsc::channel;
use std::task::Wake;
use std::thread;
use std::time::Duration;

use super::*;
use crate::sync::atomic::AtomicUsize;

const LONG: Duration = Duration::from_secs(60);

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn wakes(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Does<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Does<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

/// A task that sleeps.
fn task<W: Wake + Send + Sync + 'static>(waiters: &Arc<Waiters>, wake: Arc<W>) -> Wait {
    let (mut wait, waker) = (Wait::new(), Waker::from(wake));
    let mut context = Context::from_waker(&waker);
    let polled = match waiters.news {
        true => wait.poll_news(&mut context, waiters, 0, || false),
        false => wait.poll(&mut context, waiters, || false, || None, || None),
    };
    assert!(polled.is_pending());
    wait
}

/// Waits until so many sleep.
fn until_asleep(waiters: &Waiters, sleepers: usize) {
    while waiters.list().len() < sleepers {
        thread::yield_now();
    }
}

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
    let mut attempt = attempt(&waiters);
    assert!(waiters.wait(None, || true, || None, |_| attempt()).is_some());
}

#[test]
fn a_task_that_found_something_is_not_listed_while_it_gets_it() {
    let waiters = Arc::new(Waiters::new());
    let mut context = Context::from_waker(Waker::noop());
    let attempt = attempt(&waiters);
    let polled = Wait::new().poll(&mut context, &waiters, || true, || None, attempt);
    assert!(polled.is_ready());
}

#[test]
fn who_has_spun_owes_wakeups_and_who_has_not_owes_none() {
    let waiters = Arc::new(Waiters::new());
    let count = Arc::<Count>::default();
    let _sleeper = task(&waiters, Arc::clone(&count));
    let mut owed = Vec::new();
    let items = Cell::new(0);
    let found = waiters.wait(
        None,
        || {
            // While it spins.
            if items.replace(2) == 0 {
                waiters.notify(1);
                assert_eq!(count.wakes(), 0, "the spinner wakes it");
            }
            true
        },
        || None,
        |owes| {
            owed.push(owes);
            (items.get() > 0).then_some(())
        },
    );
    assert!(found.is_some());
    assert_eq!(owed, [Owes::Nothing, Owes::Wakeups]);
}

#[test]
fn a_thread_that_is_notified_while_it_looks_uses_that_itself() {
    let waiters = Arc::new(Waiters::new());
    let count = Arc::<Count>::default();
    let mut younger = None;
    let (looks, mut attempts) = (Cell::new(0), 0);
    let found = waiters.wait(
        None,
        || {
            looks.set(looks.get() + 1);
            if looks.get() <= SPINS {
                return false;
            }
            // It is in the list, before another one, and about to sleep.
            waiters.notify(1);
            true
        },
        || None,
        |_| {
            attempts += 1;
            match attempts {
                1 => younger = Some(task(&waiters, Arc::clone(&count))),
                _ => assert_eq!(count.wakes(), 1, "by that notification, and by no other"),
            }
            (attempts > 1).then_some(())
        },
    );
    assert!(found.is_some());
}

#[test]
fn a_waker_that_blocks_stops_no_thread_that_is_to_be_woken_too() {
    let waiters = Arc::new(Waiters::new());
    let (go, gone) = channel();
    let gone = Mutex::new(gone);
    let blocks = move || gone.lock().unwrap().recv_timeout(LONG).unwrap();
    let _task = task(&waiters, Arc::new(Does(blocks)));
    let items = Arc::new(AtomicUsize::new(0));
    let sleeper = thread::spawn({
        let (waiters, items) = (Arc::clone(&waiters), Arc::clone(&items));
        move || {
            let take = || items.load(Ordering::SeqCst) > 0;
            waiters.wait(None, take, || None, |_| take().then_some(())).unwrap();
            go.send(()).unwrap();
        }
    });
    until_asleep(&waiters, 2);
    items.store(2, Ordering::SeqCst);
    waiters.notify(2);
    sleeper.join().unwrap();
}

#[test]
fn of_those_that_sleep_the_oldest_are_woken_whatever_they_are() {
    let waiters = Arc::new(Waiters::new());
    let counts: [Arc<Count>; 3] = Default::default();
    let mut tasks = Vec::new();
    let mut threads = Vec::new();
    for count in &counts {
        tasks.push(task(&waiters, Arc::clone(count)));
        threads.push(waiters.listen(0, Parker::current()));
    }
    let listed = |threads: &mut Vec<Listener<Parker>>| -> Vec<bool> {
        threads.iter_mut().map(|thread| !thread.is_notified()).collect()
    };
    let wakes = || counts.each_ref().map(|count| count.wakes());
    waiters.notify(3);
    assert_eq!((wakes(), listed(&mut threads)), ([1, 1, 0], vec![false, true, true]));
    waiters.notify(1);
    assert_eq!((wakes(), listed(&mut threads)), ([1, 1, 0], vec![false, false, true]));
    waiters.notify_threads();
    assert_eq!((wakes(), listed(&mut threads)), ([1, 1, 0], vec![false, false, false]));
    waiters.notify(9);
    assert_eq!(wakes(), [1, 1, 1]);
    assert!(!waiters.any_asleep());
}

/// A thread, a task whose waker blocks, and a thread, in this order: the last is told, and lets the task's waker go.
#[test]
fn a_waker_that_blocks_stops_no_thread_that_waits_for_news() {
    for waiters in [Waiters::for_news(), Waiters::for_frequent_news()] {
        let waiters = Arc::new(waiters);
        let (go, gone) = channel();
        let gone = Mutex::new(gone);
        let blocks = move || {
            for _ in 0..2 {
                gone.lock().unwrap().recv_timeout(LONG).expect("a thread is told, and returns");
            }
        };
        let sleeper = || {
            let (waiters, go) = (Arc::clone(&waiters), go.clone());
            thread::spawn(move || {
                assert!(waiters.wait_for_news(0, None, || false));
                go.send(()).unwrap();
            })
        };
        let first = sleeper();
        until_asleep(&waiters, 1);
        let _task = task(&waiters, Arc::new(Does(blocks)));
        let second = sleeper();
        until_asleep(&waiters, 3);
        drop(waiters.tell(u64::MAX));
        first.join().unwrap();
        second.join().unwrap();
    }
}

#[test]
fn tasks_hear_when_whoever_has_the_news_has_told_all_threads() {
    let lists = [(); 2].map(|()| Arc::new(Waiters::for_news()));
    let (go, gone) = channel();
    let gone = Mutex::new(gone);
    let blocks = move || gone.lock().unwrap().recv_timeout(LONG).unwrap();
    let _task = task(&lists[0], Arc::new(Does(blocks)));
    let thread = thread::spawn({
        let waiters = Arc::clone(&lists[1]);
        move || {
            assert!(waiters.wait_for_news(0, None, || false));
            go.send(()).unwrap();
        }
    });
    until_asleep(&lists[1], 1);
    drop(lists.each_ref().map(|waiters| waiters.tell(u64::MAX)));
    thread.join().unwrap();
}

#[test]
fn the_waking_thread_is_given_a_list_once() {
    let waiters = Arc::new(Waiters::for_frequent_news());
    let ((begins, begun), (go, gone)) = (channel(), channel());
    let gone = Mutex::new(gone);
    let blocks = move || {
        begins.send(()).unwrap();
        gone.lock().unwrap().recv_timeout(LONG).unwrap();
    };
    let _first = task(&waiters, Arc::new(Does(blocks)));
    let counts = [(); 30].map(|()| Arc::<Count>::default());
    let _others = counts.each_ref().map(|count| task(&waiters, Arc::clone(count)));
    drop(waiters.tell(u64::MAX));
    begun.recv_timeout(LONG).expect("the waking thread has the list");
    let holders = Arc::strong_count(&waiters);
    (0..1_000).for_each(|_| drop(waiters.tell(u64::MAX)));
    assert!(Arc::strong_count(&waiters) <= holders, "it has it once more for each piece of news");
    go.send(()).unwrap();
    while counts.iter().any(|count| count.wakes() == 0) {
        thread::yield_now();
    }
}

/// Somebody else's news finds many tasks while whoever had some is waking them.
#[test]
fn whoever_wakes_few_tasks_is_not_left_with_many() {
    let waiters = Arc::new(Waiters::for_frequent_news());
    let mine = Arc::new(AtomicUsize::new(0));
    let this = thread::current().id();
    let counts = move |mine: &Arc<AtomicUsize>| {
        let mine = Arc::clone(mine);
        Arc::new(Does(move || {
            mine.fetch_add(usize::from(thread::current().id() == this), Ordering::SeqCst);
        }))
    };
    let others = Arc::new(Mutex::new(Vec::new()));
    let brings_more = {
        let (waiters, others, mine) =
            (Arc::clone(&waiters), Arc::clone(&others), Arc::clone(&mine));
        move || {
            let more = (0..1_000).map(|_| task(&waiters, counts(&mine)));
            others.lock().unwrap().extend(more);
            drop(waiters.tell(u64::MAX));
        }
    };
    let _first = task(&waiters, Arc::new(Does(brings_more)));
    drop(waiters.tell(u64::MAX));
    assert!(mine.load(Ordering::SeqCst) <= 16);
    while !waiters.list().tasks.due.is_empty() {
        thread::yield_now();
    }
    others.lock().unwrap().clear();
}

#[test]
fn one_notification_looks_at_no_more_tasks_than_it_may_wake() {
    let place = |id| (0, id);
    let tasks: Vec<_> = (0..1_000).map(place).collect();
    let threads = [5, 990, 2_000].map(place);
    for (oldest, among) in
        [(0, 0), (1, 0), (5, 0), (6, 1), (100, 1), (991, 1), (992, 2), (5_000, 3)]
    {
        let mut looks = 0;
        let seen = tasks.iter().inspect(|_| looks += 1);
        assert_eq!(threads_among(oldest, threads.iter(), seen), among, "of {oldest}");
        assert!(looks <= oldest + 1, "{looks} looks for {oldest}");
    }
}
