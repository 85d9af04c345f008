//! The reflectors of a seed, and what they feed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rand::Rng;
use rand::rngs::StdRng;
use tokio::task::JoinHandle;
use watchcache::reflector::{ChangeFilter, Merge, Monitor, Part, Report, Shard};
use watchcache::store::Index;
use watchcache::{Fifo, Reflector, Store};

use crate::check::Check;
use crate::common::Pod;
use crate::plan::{Bad, Plan, Topology};
use crate::server::Server;
use crate::source::{BAD, Counts, Faulty, undecodable};

/// One store with what feeds it.
pub(crate) struct Cache {
    pub(crate) store: Arc<Store<Pod>>,
    pub(crate) check: Check,
    pub(crate) worker: Worker,
    /// One behind a filter.
    pub(crate) filtered: Worker,
    /// The reflectors that feed it.
    reports: Arc<Reports>,
}

/// A consumer of a queue.
pub(crate) struct Worker {
    fifo: Fifo<Pod>,
    /// What it saw last of each key.
    pub(crate) seen: Arc<Mutex<HashMap<String, u64>>>,
    pub(crate) taken: Arc<AtomicU64>,
    run: JoinHandle<()>,
}

/// Where to report bad objects that reflectors have delivered.
#[derive(Default)]
struct Reports {
    reflectors: Mutex<Vec<Reporting>>,
}

/// A reflector, and where its source's report is.
type Reporting = (usize, Option<Shard>, Arc<Mutex<Option<Report>>>);

pub(crate) struct Mirror {
    pub(crate) monitor: Monitor,
    pub(crate) counts: Arc<Mutex<Counts>>,
    pub(crate) shard: Option<Shard>,
    pub(crate) run: JoinHandle<()>,
    pub(crate) stop: Arc<tokio::sync::Notify>,
}

/// All reflectors and caches of a seed.
pub(crate) struct Mirrors {
    pub(crate) server: Arc<Server>,
    pub(crate) caches: Vec<Cache>,
    pub(crate) mirrors: Vec<Mirror>,
    /// Bad objects that were held at some time.
    held: Vec<(String, u64)>,
}

impl Mirrors {
    pub(crate) fn start(server: &Arc<Server>, random: &mut StdRng) -> Self {
        let plan = &server.plan;
        let shards = |index| Shard::by_key(index, 2).filter(|_| plan.topology == Topology::Sharded);
        let caches: Vec<Cache> = match plan.topology {
            Topology::Sharded => (0..2).map(|index| Cache::new(server, shards(index))).collect(),
            _ => vec![Cache::new(server, None)],
        };
        let mut parts: Vec<Option<Part<Pod>>> = match plan.topology {
            Topology::Merged => caches[0].merge().into_parts(2).into_iter().map(Some).collect(),
            _ => vec![None, None],
        };
        let mirrors = (0..plan.reflectors()).map(|index| {
            let cache = if caches.len() > 1 { index } else { 0 };
            let part = parts[index].take();
            Mirror::start(server, &caches[cache], index, part, shards(index as u32), random)
        });
        let mirrors = mirrors.collect();
        Self { server: Arc::clone(server), caches, mirrors, held: Vec::new() }
    }

    /// Readers look at what is held, and report what is bad, late as well.
    pub(crate) fn read(&mut self, random: &mut StdRng, all: bool) {
        if self.server.plan.bad != Bad::Lazy {
            return;
        }
        for cache in &self.caches {
            for pod in cache.store.list().iter().filter(|pod| pod.uid.starts_with(BAD)) {
                if all || random.random_bool(0.5) {
                    cache.reports.report(&self.server.plan, &pod.key, pod.version());
                    self.held.push((pod.key.clone(), pod.version()));
                }
            }
        }
        if !self.held.is_empty() {
            let (key, version) = self.held[random.random_range(0..self.held.len())].clone();
            for cache in &self.caches {
                cache.reports.report(&self.server.plan, &key, version);
            }
        }
    }
}

impl Reports {
    fn report(&self, plan: &Plan, key: &str, version: u64) {
        for (index, shard, report) in &*self.reflectors.lock().unwrap() {
            let own = shard.is_none_or(|shard| shard.owns(key));
            if own && plan.selects(*index, key) {
                let report = report.lock().unwrap().clone().unwrap();
                report.undecodable(undecodable(key, version));
            }
        }
    }
}

/// What the worker behind a filter looks at, of a version.
pub(crate) fn aspect(version: &str) -> &str {
    &version[version.len() - 1..]
}

impl Worker {
    fn start(may_go_back: bool) -> Self {
        let fifo = Fifo::<Pod>::new();
        let (seen, taken): (Arc<Mutex<HashMap<String, u64>>>, Arc<AtomicU64>) = Default::default();
        let run = tokio::spawn({
            let (fifo, seen, taken) = (fifo.clone(), Arc::clone(&seen), Arc::clone(&taken));
            async move {
                while let Ok(pod) = fifo.pop_async().await {
                    taken.fetch_add(1, Ordering::Relaxed);
                    let before = seen.lock().unwrap().insert(pod.key.clone(), pod.version());
                    let forward = before <= Some(pod.version());
                    assert!(may_go_back || forward, "{} went back from {before:?}", pod.key);
                }
            }
        });
        Self { fifo, seen, taken, run }
    }

    pub(crate) async fn end(self) {
        self.fifo.close();
        self.run.await.unwrap();
    }
}

impl Cache {
    fn new(server: &Arc<Server>, shard: Option<Shard>) -> Self {
        let reports = Arc::<Reports>::default();
        let store = Arc::new(Self::store(server, &reports));
        let check = Check {
            server: Arc::clone(server),
            store: Arc::clone(&store),
            shard,
            on: Arc::new(AtomicBool::new(true)),
            calls: Arc::default(),
            looks: Arc::default(),
        };
        let may_go_back = server.plan.may_go_back();
        let [worker, filtered] = [(); 2].map(|()| Worker::start(may_go_back));
        Self { store, check, worker, filtered, reports }
    }

    /// A store whose index looks at what it is given, as one over a decoded field does.
    fn store(server: &Arc<Server>, reports: &Arc<Reports>) -> Store<Pod> {
        let (plan, reports) = (server.plan, Arc::clone(reports));
        let index = move |pod: &Pod| {
            let bad = pod.uid.starts_with(BAD);
            if bad && plan.bad == Bad::Lazy && pod.version().is_multiple_of(2) {
                reports.report(&plan, &pod.key, pod.version());
            }
            match bad && plan.bad == Bad::Refused {
                true => Err("it is bad"),
                false => Ok([pod.uid.clone()]),
            }
        };
        Store::builder().index(&Index::try_new("uid", index)).build()
    }

    fn filtered(&self) -> ChangeFilter<Pod, Fifo<Pod>> {
        ChangeFilter::new(self.filtered.fifo.clone()).on(|pod: &Pod| aspect(&pod.resource_version))
    }

    fn merge(&self) -> Merge<Pod> {
        Merge::new([self.store.clone()])
            .sink(self.worker.fifo.clone())
            .sink(self.filtered())
            .sink(self.check.clone())
    }
}

impl Mirror {
    fn start(
        server: &Arc<Server>,
        cache: &Cache,
        index: usize,
        part: Option<Part<Pod>>,
        shard: Option<Shard>,
        random: &mut StdRng,
    ) -> Self {
        let plan = server.plan;
        let source = Faulty::new(Arc::clone(server), index);
        let counts = Arc::clone(&source.counts);
        let report = (index, shard, Arc::clone(&source.report));
        cache.reports.reflectors.lock().unwrap().push(report);
        let mut builder = Reflector::builder(source)
            .page_size(plan.page_size)
            .batch_limit(plan.batch_limit)
            .streaming_list(plan.streaming)
            .jitter_seed(random.random());
        builder = match part {
            Some(part) => builder.sink(part),
            None => {
                let builder = builder.sink(cache.store.clone()).sink(cache.worker.fifo.clone());
                builder.sink(cache.filtered()).sink(cache.check.clone())
            }
        };
        if let Some(shard) = shard {
            builder = builder.shard(shard);
        }
        if let Some(every) = plan.resync {
            let store = cache.store.clone();
            builder = builder.resync(every, move || store.list());
        }
        if plan.bad == Bad::Transformed {
            builder = builder.transform(|pod| {
                if pod.uid.starts_with(BAD) {
                    // Without the hook, which would print each of them.
                    std::panic::resume_unwind(Box::new("it is bad"));
                }
                pod
            });
        }
        let reflector = builder.build();
        let monitor = reflector.monitor();
        let stop = Arc::new(tokio::sync::Notify::new());
        let stopped = Arc::clone(&stop);
        let run = tokio::spawn(async move {
            reflector.run(async move { stopped.notified().await }).await.unwrap();
        });
        Self { monitor, counts, shard, run, stop }
    }
}
