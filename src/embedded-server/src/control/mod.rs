//! What controllers do in a cluster, for the objects that clients write: Pods are bound and run,
//! Deployments and ReplicaSets get their Pods, and owned objects are deleted with their owner.
//!
//! The simulation keeps its own objects; what clients change of them matters here only when they delete
//! one.

mod adopt;
mod definition;
mod deployment;
mod garbage;
mod graph;
mod kubelet;
mod namespace;
mod queue;
mod recorder;
mod replica_set;
mod scheduler;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::object::{array, text};
use crate::resource::{
    CUSTOM_RESOURCE_DEFINITIONS, DEPLOYMENTS, Definition, NAMESPACES, PODS, REPLICA_SETS,
    ResourceId,
};
use crate::simulation::Scheduler;
use crate::status::Failure;
use crate::storage::{Entry, Event, Origin};
use crate::write::{Request, Writer};
use graph::Graph;
use queue::Queue;

/// How long the simulation's changes may run ahead before they are skipped: long before the history drops
/// them.
const LAG: Duration = Duration::from_millis(250);

/// How many events are taken from a log at once.
const BATCH: usize = 1024;

/// An object to reconcile.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Work {
    resource: ResourceId,
    key: String,
}

/// All controllers, one step of one object at a time.
struct Controllers {
    writer: Arc<Writer>,
    scheduler: Scheduler,
    /// How far each resource's changes have been read.
    cursors: HashMap<ResourceId, u64>,
    graph: Graph,
    queue: Queue,
    /// The number of the next Node that is tried.
    next_node: usize,
    /// How many addresses Pods have been given.
    addresses: u32,
    /// The uids of Pods whose containers are starting, or ending.
    starting: HashSet<String>,
    ending: HashSet<String>,
    expiry: recorder::Expiry,
}

/// Runs until it is aborted.
pub(crate) async fn run(writer: Arc<Writer>, scheduler: Scheduler) {
    let mut wake = writer.storage.subscribe_to_clients();
    let mut controllers = Controllers {
        writer,
        scheduler,
        cursors: HashMap::new(),
        graph: Graph::default(),
        queue: Queue::default(),
        next_node: 0,
        addresses: 0,
        starting: HashSet::new(),
        ending: HashSet::new(),
        expiry: recorder::Expiry::default(),
    };
    loop {
        wake.mark_unchanged();
        controllers.observe();
        while let Some(work) = controllers.queue.pop() {
            controllers.reconcile(&work);
            // The resulting changes are read before the next object.
            controllers.observe();
            tokio::task::yield_now().await;
        }
        controllers.expiry.sweep(&controllers.writer);
        let pause = controllers.queue.until_next().map_or(LAG, |until| until.min(LAG));
        tokio::select! {
            // An error means that the storage was dropped, so there is nothing left to do.
            changed = wake.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(pause) => {}
        }
    }
}

impl Controllers {
    /// Reads the changes since the last call.
    fn observe(&mut self) {
        let mut ids: Vec<ResourceId> =
            self.writer.registry.all().iter().map(|one| one.id).collect();
        ids.extend(self.cursors.keys());
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            loop {
                let cursor = self.cursors.get(&id).copied();
                // An object from before the first read counts from the beginning.
                let since = cursor.unwrap_or_else(|| self.writer.storage.compacted());
                let Ok((events, cursor)) = self.writer.storage.events_since(id, since, BATCH)
                else {
                    self.look_anew(id);
                    continue;
                };
                self.cursors.insert(id, cursor);
                for event in events.iter().filter(|event| event.is_of_client()) {
                    self.see(id, event);
                }
                if events.len() < BATCH {
                    break;
                }
            }
        }
    }

    /// Some changes are no longer in the history: every existing object counts as changed.
    fn look_anew(&mut self, id: ResourceId) {
        let (version, entries) = self.writer.storage.all(id);
        self.cursors.insert(id, version);
        let Some(definition) = self.writer.registry.by_id(id) else { return };
        let held: Vec<_> =
            entries.into_iter().filter(|entry| entry.origin() != Origin::Simulation).collect();
        for gone in self.graph.others(id, |key| held.iter().any(|entry| &**entry.key() == key)) {
            let last = self.graph.remove(&gone);
            self.follow(&last);
        }
        for entry in &held {
            let object = entry.value(&definition);
            self.changed(id, entry.key(), Some(&object));
        }
    }

    fn see(&mut self, id: ResourceId, event: &Event) {
        let (Some(entry), Some(definition)) = (event.newest(), self.definition_of(id)) else {
            return;
        };
        let object = entry.value(&definition);
        self.changed(id, entry.key(), event.current.is_some().then_some(&object));
    }

    /// The definition of a resource; for one that is no longer served, a stand-in that is good enough to
    /// read the metadata of its last objects.
    fn definition_of(&self, id: ResourceId) -> Option<Arc<Definition>> {
        self.writer.registry.by_id(id).or_else(|| self.writer.registry.by_id(PODS))
    }

    /// An object has changed, or was deleted.
    fn changed(&mut self, id: ResourceId, key: &str, object: Option<&Value>) {
        let work = Work { resource: id, key: key.to_owned() };
        match object {
            Some(object) => {
                let was_free = self.graph.is_free(&work);
                self.graph.put(&work, object);
                self.queue_owners(object);
                if !was_free && self.graph.is_free(&work) {
                    self.queue_adopters(object, id);
                }
                self.queue.push(work);
            }
            None => {
                let last = self.graph.remove(&work);
                self.starting.remove(&last.uid);
                self.ending.remove(&last.uid);
                self.follow(&last);
            }
        }
    }

    /// Queues what may change once an object is deleted: its owners, and those it owned.
    fn follow(&mut self, gone: &graph::Node) {
        let owners = gone.owners.iter().filter_map(|uid| self.graph.by_uid(uid));
        let owned = self.graph.owned_by(&gone.uid);
        let works: Vec<Work> = owners.chain(owned).cloned().collect();
        works.into_iter().for_each(|work| self.queue.push(work));
    }

    fn queue_owners(&mut self, object: &Value) {
        for owner in array(object, "/metadata/ownerReferences") {
            if let Some(work) = self.graph.by_uid(text(owner, "/uid")).cloned() {
                self.queue.push(work);
            }
        }
    }

    fn reconcile(&mut self, work: &Work) {
        let Some(definition) = self.writer.registry.by_id(work.resource) else { return };
        let Some(entry) = self.writer.storage.get(work.resource, &work.key) else { return };
        let object = entry.value(&definition);
        let request = self.request(&definition, &entry);
        let done = self.collect(&request, &entry, &object).and_then(|()| match work.resource {
            PODS => self.pod(&request, &entry, &object),
            REPLICA_SETS => self.replica_set(&request, &object),
            DEPLOYMENTS => self.deployment(&request, &object),
            NAMESPACES => self.namespace(&request, &object),
            CUSTOM_RESOURCE_DEFINITIONS => self.definition(&request, &object),
            _ => Ok(()),
        });
        if let Err(failure) = done {
            // Usually another writer was faster, and its change is on the way here. If not, this is tried
            // again.
            tracing::debug!(status = %failure.status(), key = work.key, "a controller's step failed");
            self.queue.push_after(work.clone(), LAG);
        }
    }

    /// A controller's request about the object, or others in its namespace.
    fn request(&self, definition: &Arc<Definition>, entry: &Entry) -> Request {
        Request::new(definition, entry.namespace(), "kube-controller-manager")
    }

    /// A request about another resource in the same namespace.
    fn request_for(&self, id: ResourceId, namespace: Option<&str>) -> Result<Request, Failure> {
        let definition = self.writer.registry.by_id(id).ok_or_else(Failure::path_not_found)?;
        Ok(Request::new(&definition, namespace, "kube-controller-manager"))
    }
}
