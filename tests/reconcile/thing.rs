//! The object that these tests reconcile, and what is written down of that.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use watchcache::reconcile::{Action, Request};
use watchcache::{Key, KeyRef, Object, Store};

#[derive(Clone, Debug)]
pub(crate) struct Thing {
    pub(crate) key: Key,
    pub(crate) value: u32,
    /// What it belongs to.
    pub(crate) owner: Option<Key>,
}

impl Object for Thing {
    fn key(&self) -> KeyRef<'_> {
        self.key.as_ref()
    }

    /// Objects of an even value have one label, the others another.
    fn label(&self, name: &str) -> Option<&str> {
        (name == "app").then_some(if self.value.is_multiple_of(2) { "even" } else { "odd" })
    }
}

pub(crate) fn key(text: &str) -> Key {
    text.parse().unwrap()
}

pub(crate) fn put(store: &Store<Thing>, name: &str, value: u32) {
    store.add(Thing { key: key(name), value, owner: None }).unwrap();
}

pub(crate) fn put_owned(store: &Store<Thing>, name: &str, owner: &str) {
    store.add(Thing { key: key(name), value: 0, owner: Some(key(owner)) }).unwrap();
}

/// A store of these that has its whole content.
pub(crate) fn store(things: &[(&str, u32)]) -> Arc<Store<Thing>> {
    let store = Arc::new(Store::new());
    things.iter().for_each(|(name, value)| put(&store, name, *value));
    store.mark_synced();
    store
}

/// What a reconcile returns.
pub(crate) type Reconciled = Result<Action, &'static str>;

/// A reconcile that may take its time.
pub(crate) type Reconciling = Pin<Box<dyn Future<Output = Reconciled> + Send>>;

/// What was reconciled: key, value, and whether it was deleted.
pub(crate) type Seen = (String, u32, bool);

/// Writes down what is reconciled, and how many are at a time.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Logged>>);

#[derive(Default)]
struct Logged {
    seen: Vec<Seen>,
    running: BTreeMap<String, u32>,
    most: usize,
}

/// One reconcile that runs, to its end.
pub(crate) struct Running(Log, String);

impl Log {
    pub(crate) fn begin(&self, request: &Request<Thing>) -> Running {
        let name = request.key().to_string();
        let mut logged = self.0.lock().unwrap();
        assert_eq!(request.object().key, *request.key());
        logged.seen.push((name.clone(), request.value, request.is_deleted()));
        let running = logged.running.entry(name.clone()).or_default();
        *running += 1;
        assert_eq!(*running, 1, "one at a time for each key");
        logged.most = logged.most.max(logged.running.len());
        Running(self.clone(), name)
    }

    /// A reconcile that writes down what it is given, and has nothing to do.
    pub(crate) async fn reconcile(self, request: Request<Thing>) -> Reconciled {
        drop(self.begin(&request));
        Ok(Action::await_change())
    }

    /// What was begun since this was last asked, sorted.
    pub(crate) fn take(&self) -> Vec<Seen> {
        let mut seen = std::mem::take(&mut self.0.lock().unwrap().seen);
        seen.sort();
        seen
    }

    pub(crate) fn running(&self) -> usize {
        self.0.lock().unwrap().running.len()
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.0.lock().unwrap().most
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().running.remove(&self.1);
    }
}

/// Something that is there.
pub(crate) fn there(name: &str, value: u32) -> Seen {
    (name.to_owned(), value, false)
}

/// Something that was.
pub(crate) fn gone(name: &str, last: u32) -> Seen {
    (name.to_owned(), last, true)
}
