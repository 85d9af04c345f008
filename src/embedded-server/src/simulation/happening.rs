//! Happenings: sequences of many changes, such as a rollout, made one change at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::Mutation;
use super::cluster::{Cluster, PodId};
use super::pod::Stage;
use super::workload::{Kind, Revision};

/// The most pods a Deployment grows to.
const MOST_REPLICAS: usize = 40;

/// One change. Pods are named by slot.
#[derive(Debug)]
enum Action {
    Enter(usize, Stage),
    /// Starts a pod's deletion.
    Terminate(usize),
    /// Completes it.
    Delete(usize),
    /// Writes the workload's EndpointSlice as its pods now are.
    Endpoints,
}

/// A sequence of changes in one workload, which is busy until it is over.
#[derive(Debug)]
pub(super) struct Happening {
    workload: usize,
    actions: VecDeque<Action>,
}

impl Happening {
    /// Starts something in an idle workload; `None` if there is nothing to do.
    ///
    /// `surge` limits how many pods a rollout makes at a time, and `pods` is what the
    /// cluster's number of pods must stay near.
    pub(super) fn start(
        rng: &mut ChaCha8Rng,
        cluster: &mut Cluster,
        workload: usize,
        surge: usize,
        pods: usize,
    ) -> Option<Self> {
        let mut happening = Happening { workload, actions: VecDeque::new() };
        if cluster.workloads[workload].kind == Kind::Job {
            happening.run_job(rng, cluster);
        } else {
            match rng.random_range(0..100) {
                0..25 => happening.roll_out(rng, cluster, surge),
                25..50 => happening.crash_loop(rng, cluster),
                50..70 => happening.evict(rng, cluster),
                70..85 => happening.scale(rng, cluster, pods),
                _ => happening.flap(rng, cluster),
            }
        }
        if happening.actions.is_empty() {
            return None;
        }
        cluster.workloads[workload].busy = true;
        Some(happening)
    }

    /// Makes the next change; at the last, frees the workload.
    pub(super) fn advance(&mut self, cluster: &mut Cluster, now: i64) -> Option<Mutation> {
        let action = self.next(cluster)?;
        if self.actions.is_empty() {
            cluster.workloads[self.workload].busy = false;
        }
        Some(match action {
            Action::Enter(slot, stage) => {
                cluster.pod_mut(slot).enter(stage, now);
                if stage == Stage::Pending {
                    cluster.created(slot);
                }
                cluster.put_pod(slot)
            }
            Action::Terminate(slot) => {
                cluster.pod_mut(slot).terminate(now);
                cluster.put_pod(slot)
            }
            Action::Delete(slot) => cluster.delete_pod(slot),
            Action::Endpoints => cluster.put_slice(self.workload, Some(now)),
        })
    }

    /// The next step; `None` while it waits for a client. A client's binding counts as the step it was
    /// waiting for.
    fn next(&mut self, cluster: &Cluster) -> Option<Action> {
        while let Some(&Action::Enter(slot, Stage::Scheduled)) = self.actions.front() {
            if cluster.waits_for_binding(slot) {
                return None;
            }
            if cluster.pod(slot).stage < Stage::Scheduled {
                break;
            }
            self.actions.pop_front();
        }
        self.actions.pop_front()
    }

    /// Replaces a pod that was deleted already, in an idle workload.
    pub(super) fn replace(
        rng: &mut ChaCha8Rng,
        cluster: &mut Cluster,
        workload: usize,
        pod: PodId,
    ) -> Self {
        let mut happening = Happening { workload, actions: VecDeque::new() };
        happening.actions.push_back(Action::Delete(pod.slot));
        if cluster.workloads[workload].kind == Kind::Deployment {
            happening.actions.push_back(Action::Endpoints);
            happening.create(rng, cluster, 1);
        }
        cluster.workloads[workload].busy = true;
        happening
    }

    /// Returns whether no step is left.
    pub(super) fn is_over(&self) -> bool {
        self.actions.is_empty()
    }

    /// Replaces every pod by one of a new revision, a few at a time.
    fn roll_out(&mut self, rng: &mut ChaCha8Rng, cluster: &mut Cluster, surge: usize) {
        let workload = &mut cluster.workloads[self.workload];
        workload.revision = Arc::new(Revision::new(rng, Kind::Deployment));
        let mut old = workload.pods.clone();
        old.shuffle(rng);
        // By default a Deployment may exceed its replicas by a quarter.
        let surge = old.len().div_ceil(4).clamp(1, surge);
        for batch in old.chunks(surge) {
            self.create(rng, cluster, batch.len());
            self.remove(batch);
        }
    }

    /// Deletes one pod; the ReplicaSet makes another at once.
    fn evict(&mut self, rng: &mut ChaCha8Rng, cluster: &mut Cluster) {
        if let Some(slot) = self.any_pod(rng, cluster) {
            self.actions.push_back(Action::Terminate(slot));
            self.actions.push_back(Action::Endpoints);
            self.create(rng, cluster, 1);
            self.actions.push_back(Action::Enter(slot, Stage::Completed));
            self.actions.push_back(Action::Delete(slot));
        }
    }

    /// Changes the number of replicas, towards `pods` in all where the cluster is off it.
    fn scale(&mut self, rng: &mut ChaCha8Rng, cluster: &mut Cluster, pods: usize) {
        let present = cluster.workloads[self.workload].pods.clone();
        let up = match cluster.desired.cmp(&pods) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => rng.random(),
            std::cmp::Ordering::Greater => false,
        };
        // A hundredth of all pods at a time keeps their number steady.
        let most = (pods / 100).clamp(1, 4);
        if up {
            let room = MOST_REPLICAS.saturating_sub(present.len()).min(most);
            if room > 0 {
                let count = rng.random_range(1..=room);
                cluster.desired += count;
                self.create(rng, cluster, count);
            }
        } else {
            // The last replica stays: nothing would ever happen in an empty workload.
            let room = present.len().saturating_sub(1).min(most);
            if room > 0 {
                let count = rng.random_range(1..=room);
                cluster.desired -= count;
                self.remove(&present[present.len() - count..]);
            }
        }
    }

    /// A pod fails again and again, and then recovers.
    fn crash_loop(&mut self, rng: &mut ChaCha8Rng, cluster: &mut Cluster) {
        if let Some(slot) = self.any_pod(rng, cluster) {
            for round in 0..rng.random_range(1..=4) {
                self.actions.push_back(Action::Enter(slot, Stage::Crashed));
                if round == 0 {
                    self.actions.push_back(Action::Endpoints);
                }
                self.actions.push_back(Action::Enter(slot, Stage::BackOff));
                self.actions.push_back(Action::Enter(slot, Stage::Started));
            }
            self.actions.push_back(Action::Enter(slot, Stage::Ready));
            self.actions.push_back(Action::Endpoints);
        }
    }

    /// A pod's readiness probe fails for a while.
    fn flap(&mut self, rng: &mut ChaCha8Rng, cluster: &mut Cluster) {
        if let Some(slot) = self.any_pod(rng, cluster) {
            self.actions.extend([
                Action::Enter(slot, Stage::Unready),
                Action::Endpoints,
                Action::Enter(slot, Stage::Ready),
                Action::Endpoints,
            ]);
        }
    }

    /// A Job's pod from its creation to its removal.
    fn run_job(&mut self, rng: &mut ChaCha8Rng, cluster: &mut Cluster) {
        cluster.workloads[self.workload].revision = Arc::new(Revision::new(rng, Kind::Job));
        let slot = cluster.plan_pod(rng, self.workload);
        for stage in [
            Stage::Pending,
            Stage::Scheduled,
            Stage::Creating,
            Stage::Started,
            Stage::Ready,
            Stage::Completed,
        ] {
            self.actions.push_back(Action::Enter(slot, stage));
        }
        self.actions.push_back(Action::Terminate(slot));
        self.actions.push_back(Action::Delete(slot));
    }

    /// Brings up `count` new pods side by side, in random order.
    fn create(&mut self, rng: &mut ChaCha8Rng, cluster: &mut Cluster, count: usize) {
        const LIFE: [Stage; 5] =
            [Stage::Pending, Stage::Scheduled, Stage::Creating, Stage::Started, Stage::Ready];
        let mut rising: Vec<(usize, usize)> =
            (0..count).map(|_| (cluster.plan_pod(rng, self.workload), 0)).collect();
        while !rising.is_empty() {
            let index = rng.random_range(0..rising.len());
            let (slot, next) = &mut rising[index];
            self.actions.push_back(Action::Enter(*slot, LIFE[*next]));
            *next += 1;
            if *next == LIFE.len() {
                rising.swap_remove(index);
            }
        }
        self.actions.push_back(Action::Endpoints);
    }

    /// Takes down `slots` together.
    fn remove(&mut self, slots: &[usize]) {
        let terminated = slots.iter().map(|&slot| Action::Terminate(slot));
        self.actions.extend(terminated);
        self.actions.push_back(Action::Endpoints);
        for &slot in slots {
            self.actions.push_back(Action::Enter(slot, Stage::Completed));
            self.actions.push_back(Action::Delete(slot));
        }
    }

    fn any_pod(&self, rng: &mut ChaCha8Rng, cluster: &Cluster) -> Option<usize> {
        let pods = &cluster.workloads[self.workload].pods;
        (!pods.is_empty()).then(|| pods[rng.random_range(0..pods.len())])
    }
}
