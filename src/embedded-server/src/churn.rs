//! The changes that the simulation makes, beside those of clients.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::MissedTickBehavior;

use crate::object::{fields, finalizers, is_deleting, metadata, section};
use crate::resource::{Definition, NAMESPACES, Registry};
use crate::simulation::{self, Mutation, Simulation};
use crate::storage::{self, Content, Entry, Origin, Storage};

/// How often the content is changed; each tick makes the changes that are due.
const TICK: Duration = Duration::from_millis(2);

/// The most changes of one tick, so that a tick never holds its thread for long.
pub(crate) const BATCH: u64 = 64;

/// The simulation, and the storage that it writes to.
#[derive(Debug)]
pub(crate) struct Churn {
    simulation: Mutex<Simulation>,
    storage: Arc<Storage>,
    /// The simulated resources are built in, so these are all of them.
    definitions: Vec<Arc<Definition>>,
    paused: AtomicBool,
    commits: AtomicU64,
}

impl Churn {
    pub(crate) fn new(simulation: Simulation, storage: Arc<Storage>, registry: &Registry) -> Churn {
        Churn {
            simulation: Mutex::new(simulation),
            storage,
            definitions: registry.all().to_vec(),
            paused: AtomicBool::new(false),
            commits: AtomicU64::new(0),
        }
    }

    pub(crate) fn storage(&self) -> &Arc<Storage> {
        &self.storage
    }

    /// Commits the initial content of the cluster.
    pub(crate) fn fill(&self) {
        self.commit(self.simulation().contents());
        // The history begins here: no client can have seen it being filled.
        self.storage.compact(self.storage.version());
    }

    /// Makes `count` changes unless paused; returns whether it did.
    pub(crate) fn advance(&self, count: u64) -> bool {
        let mut simulation = self.simulation();
        if self.paused.load(Ordering::SeqCst) {
            return false;
        }
        self.commit((0..count).map(|_| simulation.step()));
        self.commits.fetch_add(count, Ordering::SeqCst);
        true
    }

    /// Stops the changes from here on.
    pub(crate) fn pause(&self) {
        self.paused.store(true, Ordering::SeqCst);
        // A tick checks the flag with the simulation locked: after this, no change can follow.
        drop(self.simulation());
    }

    pub(crate) fn resume(&self) {
        self.paused.store(false, Ordering::SeqCst);
    }

    /// How many changes were made.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::SeqCst)
    }

    /// A client has bound a Pod.
    pub(crate) fn bound(&self, namespace: &str, name: &str, node: &str) {
        self.simulation().bound(namespace, name, node);
    }

    /// A Pod that the simulation made has been removed for a client.
    pub(crate) fn removed(&self, namespace: &str, name: &str) {
        self.simulation().removed(namespace, name);
    }

    fn commit(&self, mutations: impl Iterator<Item = Mutation>) {
        let items = mutations.map(|mutation| {
            let key = storage::key(mutation.namespace.as_deref(), &mutation.name);
            (mutation.resource, key, (mutation.resource, mutation.namespace, mutation.change))
        });
        self.storage.commit(items, |(resource, namespace, change), newest| {
            if let (simulation::Change::Create(_), Some(namespace)) = (&change, &namespace)
                && !self.takes_objects(namespace)
            {
                return None;
            }
            decide(&self.definitions[resource.0], change, newest.map(|entry| &**entry))
        });
    }

    /// Returns whether a namespace exists and is not being deleted: clients may delete those of the
    /// simulation.
    fn takes_objects(&self, namespace: &str) -> bool {
        match self.storage.get(NAMESPACES, namespace) {
            None => false,
            Some(entry) if entry.origin() == Origin::Simulation => true,
            Some(entry) => !is_deleting(&entry.value(&self.definitions[NAMESPACES.0])),
        }
    }

    fn simulation(&self) -> MutexGuard<'_, Simulation> {
        self.simulation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Decides on a change of the simulation, given what clients have made of the object.
fn decide(
    definition: &Definition,
    change: simulation::Change,
    newest: Option<&Entry>,
) -> Option<storage::Change> {
    use simulation::Change::{Create, Delete, Update};
    let put = |object: &Value, origin| {
        Some(storage::Change::Put(Content::new(definition, object, origin)))
    };
    match (change, newest, newest.map(Entry::origin)) {
        (Create(object), None, _) => put(&object, Origin::Simulation),
        (Update(object), Some(_), Some(Origin::Simulation)) => put(&object, Origin::Simulation),
        (Delete, Some(_), Some(Origin::Simulation)) => Some(storage::Change::Delete),
        (Update(object), Some(entry), Some(Origin::Touched)) => {
            put(&reported_in(entry.value(definition), &object), Origin::Touched)
        }
        (Delete, Some(entry), Some(Origin::Touched)) => {
            let mut object = entry.value(definition);
            if finalizers(&object).next().is_none() {
                return Some(storage::Change::Delete);
            }
            // A client holds it back. It is removed with its last finalizer.
            let metadata = metadata(&mut object);
            metadata
                .entry("deletionTimestamp")
                .or_insert_with(|| crate::time::rfc3339(crate::time::now()).into());
            metadata.insert("deletionGracePeriodSeconds".to_owned(), 0.into());
            put(&object, Origin::Touched)
        }
        // It belongs to the client now, or the simulation never had it, or no longer has it.
        _ => None,
    }
}

/// An object that a client has changed, with the parts that the simulation reports on, as a kubelet or a
/// controller would write them. The rest stays as the client wrote it.
fn reported_in(mut held: Value, simulated: &Value) -> Value {
    for part in ["status", "endpoints", "data"] {
        if let Some(reported) = simulated.get(part) {
            held[part] = reported.clone();
        }
    }
    if let Some(node) = simulated.pointer("/spec/nodeName")
        && held.pointer("/spec/nodeName").is_none()
    {
        section(&mut held, "spec").insert("nodeName".to_owned(), node.clone());
    }
    for (name, value) in fields(simulated, "/metadata") {
        if matches!(name.as_str(), "deletionTimestamp" | "deletionGracePeriodSeconds") {
            metadata(&mut held).entry(name).or_insert_with(|| value.clone());
        }
    }
    held
}

/// Makes changes at a rate, forever.
pub(crate) async fn run(churn: Arc<Churn>, rate: u32) {
    if rate == 0 {
        return;
    }
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut since = Instant::now();
    let mut done = 0;
    loop {
        ticks.tick().await;
        let due = (since.elapsed().as_secs_f64() * f64::from(rate)) as u64;
        let count = due.saturating_sub(done).min(BATCH);
        if count > 0 && churn.advance(count) {
            done += count;
        } else if count > 0 {
            // Paused: the changes of the pause are not made up for.
            since = Instant::now();
            done = 0;
        }
        if due.saturating_sub(done) > u64::from(rate) {
            // The machine is too slow for the rate: continue as fast as it can, without a growing
            // backlog.
            since = Instant::now();
            done = 0;
        }
    }
}
