//! Handlers: what they are told, in which order, and what nobody's slowness or panic changes about it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use watchcache::store::FeedLimits;
use watchcache::store::feed::{Handler, SyncError};
use watchcache::{ArcRef, Batch, Listing, ResourceVersion, Revision, Sink, Store};

use crate::common::Pod;
use crate::common::watchdog::{eventually, sized, watched};
use crate::thing::{Thing, batch, listing, put};
use crate::woken::Woken;

/// One call, as a handler was told it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    Add(String, u32, bool),
    Update(String, u32, u32),
    Delete(String, u32),
}

pub(crate) fn add(key: &str, value: u32, is_initial: bool) -> Call {
    Call::Add(key.to_owned(), value, is_initial)
}

pub(crate) fn update(key: &str, old: u32, new: u32) -> Call {
    Call::Update(key.to_owned(), old, new)
}

pub(crate) fn delete(key: &str, last: u32) -> Call {
    Call::Delete(key.to_owned(), last)
}

pub(crate) type Known = BTreeMap<String, u32>;

fn owned((key, value): (&str, u32)) -> (String, u32) {
    (key.to_owned(), value)
}

/// Puts a call together with what was known. What it says was there before is what was told last.
pub(crate) fn take(known: &mut Known, call: &Call) {
    match call {
        Call::Add(key, value, _) => assert_eq!(known.insert(key.clone(), *value), None, "{call:?}"),
        Call::Update(key, old, new) => {
            assert_eq!(known.insert(key.clone(), *new), Some(*old), "{call:?}");
        }
        Call::Delete(key, last) => assert_eq!(known.remove(key), Some(*last), "{call:?}"),
    }
}

/// Writes down what it is told.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<Vec<Call>>>);

impl Calls {
    /// What was told since this was last asked; calls that come in no particular order are sorted.
    pub(crate) fn take(&self) -> Vec<Call> {
        let mut calls = std::mem::take(&mut *self.0.lock().unwrap());
        calls.sort();
        calls
    }

    pub(crate) fn in_order(&self) -> Vec<Call> {
        self.0.lock().unwrap().clone()
    }

    fn push(&self, call: Call) {
        self.0.lock().unwrap().push(call);
    }
}

impl Handler<Thing> for Calls {
    fn on_add(&mut self, thing: ArcRef<'_, Thing>, is_initial: bool) {
        self.push(add(&thing.key, thing.value, is_initial));
    }

    fn on_update(&mut self, old: ArcRef<'_, Thing>, new: ArcRef<'_, Thing>) {
        assert_eq!(old.key, new.key);
        self.push(update(&new.key, old.value, new.value));
    }

    fn on_delete(&mut self, last: ArcRef<'_, Thing>) {
        self.push(delete(&last.key, last.value));
    }
}

/// Lets whatever waits in a task go as far as it gets.
pub(crate) fn drive(mut task: std::pin::Pin<&mut (impl Future + ?Sized)>) -> bool {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    loop {
        if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            return true;
        }
        // It gives way to others now and then.
        if woken.0.swap(0, Ordering::SeqCst) == 0 {
            return false;
        }
    }
}

#[test]
fn a_task_leaves_others_their_turn_while_there_is_more_to_tell() {
    let store = Store::new();
    let calls = Calls::default();
    let mut task = pin!(store.subscribe().handle(calls.clone()).unwrap().run_async());
    drive(task.as_mut());
    for value in 0..200 {
        put(&store, "a/x", value);
    }
    assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let in_one_turn = calls.take().len();
    assert!((1..200).contains(&in_one_turn), "{in_one_turn}");
    drive(task.as_mut());
    assert_eq!(calls.take().len(), 200 - in_one_turn);
}

#[test]
fn the_content_comes_first_then_each_change() {
    let store = Store::new();
    store.replace(&listing(&[("a/x", 1), ("a/y", 1)], Some(1)));
    let calls = Calls::default();
    let handling = store.subscribe().handle(calls.clone()).unwrap();
    let registration = handling.registration();
    assert!(!registration.is_synced());
    let mut task = pin!(handling.run_async());
    assert!(!drive(task.as_mut()));
    assert_eq!(calls.take(), [add("a/x", 1, true), add("a/y", 1, true)]);
    assert!(registration.is_synced());

    put(&store, "a/x", 2);
    store.delete("a/x");
    put(&store, "a/x", 3);
    assert!(!drive(task.as_mut()));
    let changes = [update("a/x", 1, 2), delete("a/x", 2), add("a/x", 3, false)];
    assert_eq!(calls.in_order(), changes);
    drop(store);
    assert!(drive(task.as_mut()), "it ends with the store");
    assert!(registration.has_ended() && registration.is_synced());
}

#[test]
fn what_comes_before_the_source_told_all_is_initial() {
    let store = Store::new();
    let calls = Calls::default();
    let handling = store.subscribe().handle(calls.clone()).unwrap();
    let registration = handling.registration();
    let mut task = pin!(handling.run_async());
    put(&store, "a/early", 1);
    drive(task.as_mut());
    assert!(!registration.is_synced());
    store.replace(&listing(&[("a/x", 1)], Some(1)));
    drive(task.as_mut());
    assert!(registration.is_synced());
    put(&store, "a/late", 1);
    drive(task.as_mut());
    let told = [add("a/early", 1, true), add("a/x", 1, true), add("a/late", 1, false)];
    assert_eq!(calls.in_order().iter().filter(|call| told.contains(call)).count(), 3);
    assert!(calls.in_order().contains(&delete("a/early", 1)));
}

#[test]
fn a_handler_that_the_first_list_has_nothing_for_is_in_step_too() {
    let store = Store::new();
    let handling = store.subscribe().namespace("b").handle(Calls::default()).unwrap();
    let registration = handling.registration();
    let mut task = pin!(handling.run_async());
    drive(task.as_mut());
    store.replace(&listing(&[("a/x", 1)], Some(1)));
    drive(task.as_mut());
    assert!(registration.is_synced());
}

#[test]
fn a_relist_tells_real_differences_with_the_last_known_state() {
    let store = Store::new();
    let pods = |versions: &[(&str, u64)]| {
        let pods: Vec<_> = versions.iter().map(|(key, version)| Pod::new(key, *version)).collect();
        Listing::new(pods, None).unwrap()
    };
    #[derive(Clone, Default)]
    struct Versions(Arc<Mutex<Vec<String>>>);
    impl Handler<Pod> for Versions {
        fn on_add(&mut self, pod: ArcRef<'_, Pod>, is_initial: bool) {
            self.0.lock().unwrap().push(format!("add {} {is_initial}", text(&pod)));
        }
        fn on_update(&mut self, old: ArcRef<'_, Pod>, new: ArcRef<'_, Pod>) {
            self.0.lock().unwrap().push(format!("update {} {}", text(&old), text(&new)));
        }
        fn on_delete(&mut self, last: ArcRef<'_, Pod>) {
            self.0.lock().unwrap().push(format!("delete {}", text(&last)));
        }
    }
    fn text(pod: &Pod) -> String {
        use watchcache::Object;
        format!("{}@{}", pod.key(), pod.resource_version().unwrap())
    }
    let told = Versions::default();
    let mut task = pin!(store.subscribe().handle(told.clone()).unwrap().run_async());
    store.replace(&pods(&[("a/same", 1), ("a/changed", 2), ("a/gone", 3)]));
    drive(task.as_mut());
    told.0.lock().unwrap().clear();

    // Deleted while nobody watched: what is told is what was known last.
    store.replace(&pods(&[("a/same", 1), ("a/changed", 7), ("a/new", 8)]));
    drive(task.as_mut());
    let mut calls = std::mem::take(&mut *told.0.lock().unwrap());
    calls.sort();
    assert_eq!(calls, ["add a/new@8 false", "delete a/gone@3", "update a/changed@2 a/changed@7"]);

    store.replace(&pods(&[("a/same", 1), ("a/changed", 7), ("a/new", 8)]));
    drive(task.as_mut());
    assert!(told.0.lock().unwrap().is_empty(), "nothing changed");
}

#[test]
fn one_that_is_left_far_behind_is_told_the_last_state_that_it_knew() {
    const END: u32 = sized(2_000, 40) as u32;
    // A subscription would be told the whole content anew.
    let limits = FeedLimits::default().log(16, usize::MAX).behind(16, usize::MAX);
    let store = Store::builder().feed(limits).build();
    store.replace(&listing(&[("a/gone", 1), ("a/changed", 1), ("a/same", 1)], Some(1)));
    let calls = Calls::default();
    let mut task = pin!(store.subscribe().handle(calls.clone()).unwrap().run_async());
    drive(task.as_mut());
    put(&store, "a/gone", 2);
    drive(task.as_mut());
    calls.take();
    for value in 2..END {
        put(&store, "a/changed", value);
        put(&store, "a/gone", value + 1);
        put(&store, &format!("b/{value}"), value);
        store.delete(&*format!("b/{value}"));
    }
    store.delete("a/gone");
    drive(task.as_mut());
    let told = calls.in_order();
    // What is left of its part of the log, and then the difference.
    assert!(told.len() < 150, "{} calls", told.len());
    let mut known = Known::from([("a/gone", 2), ("a/changed", 1), ("a/same", 1)].map(owned));
    told.iter().for_each(|call| take(&mut known, call));
    assert_eq!(known, Known::from([("a/changed", END - 1), ("a/same", 1)].map(owned)));
}

/// Panics at some values.
struct Fails(Calls);

impl Handler<Thing> for Fails {
    fn on_add(&mut self, thing: ArcRef<'_, Thing>, is_initial: bool) {
        assert_ne!(thing.value, 13, "bad luck");
        self.0.on_add(thing, is_initial);
    }

    fn on_update(&mut self, old: ArcRef<'_, Thing>, new: ArcRef<'_, Thing>) {
        assert_ne!(new.value, 13, "bad luck");
        self.0.on_update(old, new);
    }

    fn on_progress(&mut self, _: Revision, _: Option<&ResourceVersion>) {
        panic!("no progress");
    }
}

#[test]
fn a_panic_ends_one_call_and_is_reported() {
    let store = Store::new();
    store.replace(&listing(&[("a/x", 13), ("a/y", 1)], Some(1)));
    let (failing, sound) = (Calls::default(), Calls::default());
    let handling = store.subscribe().handle(Fails(failing.clone())).unwrap();
    let registration = handling.registration();
    let mut fails = pin!(handling.run_async());
    let mut other = pin!(store.subscribe().handle(sound.clone()).unwrap().run_async());
    drive(fails.as_mut());
    drive(other.as_mut());
    assert_eq!(failing.take(), [add("a/y", 1, true)]);
    assert!(registration.is_synced(), "a panic keeps nobody from being in step");
    assert_eq!(registration.panics(), 2);
    assert_eq!(registration.last_panic().as_deref(), Some("no progress"));

    put(&store, "a/y", 13);
    put(&store, "a/y", 2);
    drive(fails.as_mut());
    drive(other.as_mut());
    // What it failed on was told all the same.
    assert_eq!(failing.take(), [update("a/y", 13, 2)]);
    let all =
        [add("a/x", 13, true), add("a/y", 1, true), update("a/y", 1, 13), update("a/y", 13, 2)];
    assert_eq!(sound.take(), all);
}

#[test]
fn one_that_is_removed_is_told_nothing_more_and_gives_itself_back() {
    watched(|| {
        let store = Store::new();
        store.mark_synced();
        let calls = Calls::default();
        let handling = store.subscribe().handle(calls.clone()).unwrap();
        let registration = handling.registration();
        let thread = handling.spawn().unwrap();
        registration.wait_synced(None).unwrap();
        put(&store, "a/x", 1);
        eventually("it is told", || calls.in_order().len() == 1);
        registration.remove();
        drop(thread.join().unwrap());
        assert!(registration.has_ended());
        put(&store, "a/x", 2);
        assert_eq!(calls.take(), [add("a/x", 1, false)]);
    });
}

#[test]
fn one_can_remove_itself_in_the_middle_of_a_list() {
    struct Once(Calls, Arc<Mutex<Option<watchcache::store::feed::Registration<Thing>>>>);
    impl Handler<Thing> for Once {
        fn on_add(&mut self, thing: ArcRef<'_, Thing>, is_initial: bool) {
            self.0.on_add(thing, is_initial);
            self.1.lock().unwrap().as_ref().unwrap().remove();
        }
    }
    watched(|| {
        let store = Store::new();
        store.replace(&listing(&[("a/x", 1), ("a/y", 1), ("a/z", 1)], None));
        let own = Arc::new(Mutex::new(None));
        let handling = store.subscribe().handle(Once(Calls::default(), Arc::clone(&own))).unwrap();
        let registration = handling.registration();
        *own.lock().unwrap() = Some(registration.clone());
        let Once(calls, _) = handling.run();
        assert_eq!(calls.take().len(), 1);
        assert_eq!(registration.wait_synced(None), Err(SyncError::Ended));
    });
}

/// Blocks in its first call until it is let go.
struct Blocks(Sender<()>, Receiver<()>);

impl Handler<Thing> for Blocks {
    fn on_add(&mut self, _: ArcRef<'_, Thing>, _: bool) {
        self.0.send(()).unwrap();
        self.1.recv().unwrap();
    }
}

#[test]
fn one_that_blocks_holds_up_neither_writers_nor_others() {
    watched(|| {
        let store = Store::new();
        store.replace(&listing(&[("a/x", 0)], None));
        let ((began, begun), (let_go, go)) = (channel(), channel());
        let handling = store.subscribe().handle(Blocks(began, go)).unwrap();
        let registration = handling.registration();
        let thread = handling.spawn().unwrap();
        begun.recv().unwrap();
        let calls = Calls::default();
        let late = store.subscribe().handle(calls.clone()).unwrap();
        let in_step = late.registration();
        let other = late.spawn().unwrap();
        for value in 1..1000 {
            put(&store, "a/x", value);
        }
        in_step.wait_synced(None).unwrap();
        let waited = registration.wait_synced(Some(Duration::from_millis(1)));
        assert_eq!(waited, Err(SyncError::Timeout { last_error: None }));
        let_go.send(()).unwrap();
        registration.wait_synced(None).unwrap();
        drop(store);
        drop((thread.join().unwrap(), other.join().unwrap()));
        assert!(matches!(
            calls.in_order().last(),
            Some(Call::Update(_, 998, 999) | Call::Add(_, 999, _))
        ));
    });
}

#[test]
fn the_store_is_never_behind_what_a_handler_was_told() {
    struct Reads(Arc<Store<Thing>>, Arc<AtomicBool>);
    impl Reads {
        fn look(&self, thing: &Thing) {
            let held = self.0.get(&*thing.key).map(|held| held.value);
            if held.is_some_and(|held| held < thing.value) {
                self.1.store(true, Ordering::SeqCst);
            }
        }
    }
    impl Handler<Thing> for Reads {
        fn on_add(&mut self, thing: ArcRef<'_, Thing>, _: bool) {
            self.look(&thing);
        }
        fn on_update(&mut self, _: ArcRef<'_, Thing>, new: ArcRef<'_, Thing>) {
            self.look(&new);
        }
    }
    watched(|| {
        let store = Arc::new(Store::new());
        let behind = Arc::new(AtomicBool::new(false));
        let reads = Reads(Arc::clone(&store), Arc::clone(&behind));
        let handling = store.subscribe().handle(reads).unwrap();
        let registration = handling.registration();
        let thread = handling.spawn().unwrap();
        for value in 0..sized(5_000, 20) as u32 {
            put(&store, "a/x", value);
        }
        registration.remove();
        drop(thread.join().unwrap());
        assert!(!behind.load(Ordering::SeqCst));
    });
}

#[test]
fn an_object_that_enters_is_added_and_one_that_leaves_is_deleted() {
    let store = Store::new();
    let calls = Calls::default();
    let odd = store.subscribe().labels("app=odd".parse().unwrap());
    let mut task = pin!(odd.handle(calls.clone()).unwrap().run_async());
    for value in [2, 3, 5, 6, 8] {
        put(&store, "a/x", value);
        drive(task.as_mut());
    }
    assert_eq!(calls.in_order(), [add("a/x", 3, true), update("a/x", 3, 5), delete("a/x", 5)]);
}

#[test]
fn begins_behind_a_snapshot_where_that_is_asked_for() {
    let store = Store::new();
    store.replace(&listing(&[("a/x", 1), ("a/y", 1)], None));
    let snapshot = store.snapshot();
    put(&store, "a/x", 2);
    let calls = Calls::default();
    let handling = store.subscribe().since(&snapshot).handle(calls.clone()).unwrap();
    // Whoever has a whole content in his hands is in step.
    assert!(handling.registration().is_synced());
    drive(pin!(handling.run_async()).as_mut());
    assert_eq!(calls.take(), [update("a/x", 1, 2)]);
}

#[test]
fn bookmarks_are_progress() {
    type Seen = (u64, Option<String>);
    struct Progress(Arc<Mutex<Vec<Seen>>>);
    impl Handler<Thing> for Progress {
        fn on_progress(&mut self, revision: Revision, version: Option<&ResourceVersion>) {
            let version = version.map(|version| version.as_str().to_owned());
            self.0.lock().unwrap().push((revision.get(), version));
        }
    }
    let store = Store::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let mut task = pin!(store.subscribe().handle(Progress(Arc::clone(&told))).unwrap().run_async());
    drive(task.as_mut());
    store.apply(&batch(&[("a/x", Some(1)), ("a/y", Some(1))]));
    let mut bookmark = Batch::new();
    bookmark.set_resource_version("9".into());
    store.apply(&bookmark);
    drive(task.as_mut());
    assert_eq!(*told.lock().unwrap(), [(0, None), (1, None), (1, Some("9".to_owned()))]);
}

#[test]
fn whoever_waits_for_a_handler_is_told_that_the_source_has_ended() {
    watched(|| {
        let store = Store::new();
        let handling = store.subscribe().handle(Calls::default()).unwrap();
        let registration = handling.registration();
        let thread = handling.spawn().unwrap();
        let waiting = std::thread::spawn({
            let registration = registration.clone();
            move || registration.wait_synced(None)
        });
        Sink::ended(&store, Some(&std::io::Error::other("forbidden")));
        let error = SyncError::SourceEnded { error: Some("forbidden".into()) };
        assert_eq!(waiting.join().unwrap(), Err(error));
        drop(store);
        drop(thread.join().unwrap());
        assert_eq!(registration.wait_synced(None), Err(SyncError::Ended));
    });
}

#[test]
fn one_that_is_never_run_ends_when_it_is_dropped() {
    let store = Store::<Thing>::new();
    let handling = store.subscribe().handle(Calls::default()).unwrap();
    let registration = handling.registration();
    drop(handling);
    assert_eq!(registration.wait_synced(None), Err(SyncError::Ended));
}
