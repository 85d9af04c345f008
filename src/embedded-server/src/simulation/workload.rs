//! Workloads: what a Deployment or a Job wants run, and the revisions it goes through.

use std::sync::Arc;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::names;

/// What brings the pods of a workload about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A Deployment through a ReplicaSet: pods that run for ever, behind a Service.
    Deployment,
    /// A Job: pods that run once and end.
    Job,
}

/// One revision of a workload's pod template. Pods hold on to the one they were made from,
/// so a rollout never changes a pod that it has not reached yet.
#[derive(Debug)]
pub(super) struct Revision {
    /// The pod-template-hash, or a Job's number.
    pub(super) hash: String,
    /// Uid of the owning ReplicaSet or Job.
    pub(super) owner: u128,
    pub(super) image_tag: String,
    /// What the image digests come from.
    pub(super) digest_seed: u64,
}

/// How much its authors have written into a container, and with that how large its pods are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub(super) enum Style {
    /// Little more than an image.
    Plain,
    /// With its configuration and a readiness probe.
    Usual,
    /// With everything that best practice asks for.
    Thorough,
}

/// One container of a pod template.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) style: Style,
    pub(super) name: String,
    pub(super) repository: String,
    pub(super) port: u16,
    pub(super) cpu_millis: u32,
    pub(super) memory_mib: u32,
    pub(super) env: Vec<(String, String)>,
}

/// A workload and its pods.
#[derive(Debug)]
pub(super) struct Workload {
    pub(super) kind: Kind,
    pub(super) name: String,
    /// Index of its namespace.
    pub(super) namespace: usize,
    pub(super) containers: Vec<Container>,
    pub(super) revision: Arc<Revision>,
    /// Slots of its pods, those still to be created included.
    pub(super) pods: Vec<usize>,
    /// Whether a happening is under way; a workload has one at a time, so that no two happenings
    /// ever touch the same pod.
    pub(super) busy: bool,
    pub(super) created: i64,
    pub(super) service_uid: u128,
    pub(super) slice_uid: u128,
    pub(super) slice_suffix: String,
}

impl Workload {
    pub(super) fn new(
        rng: &mut ChaCha8Rng,
        kind: Kind,
        name: String,
        namespace: usize,
        created: i64,
    ) -> Self {
        let containers = containers(rng, &name, kind);
        Workload {
            kind,
            name,
            namespace,
            containers,
            revision: Arc::new(Revision::new(rng, kind)),
            pods: Vec::new(),
            busy: false,
            created,
            service_uid: rng.random(),
            slice_uid: rng.random(),
            slice_suffix: names::suffix(rng, 5),
        }
    }

    /// The style of the program itself, and so of the pod around it.
    pub(super) fn style(&self) -> Style {
        self.containers[0].style
    }

    /// The name of the ReplicaSet or Job of a revision.
    pub(super) fn owner_name(&self, revision: &Revision) -> String {
        format!("{}-{}", self.name, revision.hash)
    }
}

impl Revision {
    pub(super) fn new(rng: &mut ChaCha8Rng, kind: Kind) -> Self {
        Revision {
            hash: match kind {
                Kind::Deployment => names::suffix(rng, 10),
                // CronJobs number their Jobs by the minute they were due.
                Kind::Job => rng.random_range(29_453_000..29_999_999).to_string(),
            },
            owner: rng.random(),
            image_tag: format!(
                "v{}.{}.{}",
                rng.random_range(1..6),
                rng.random_range(0..40),
                rng.random_range(0..20)
            ),
            digest_seed: rng.random(),
        }
    }
}

/// The containers of a template: the program itself, and up to two plain sidecars.
fn containers(rng: &mut ChaCha8Rng, workload: &str, kind: Kind) -> Vec<Container> {
    let role = workload.split('-').next_back().unwrap_or(workload);
    let repository = format!("registry.example.com/{workload}");
    let style = match (kind, rng.random_range(0..100)) {
        (Kind::Job, _) | (_, 0..62) => Style::Plain,
        (_, 62..90) => Style::Usual,
        _ => Style::Thorough,
    };
    let mut containers = vec![container(rng, style, role, &repository, 8080)];
    // A thorough program with two sidecars would outgrow the 10 KB that a pod is to keep to.
    let most = if style == Style::Thorough { 1 } else { 2 };
    let sidecars = match (kind, rng.random_range(0..100)) {
        (Kind::Job, _) | (_, 0..78) => 0,
        (_, 78..95) => 1,
        _ => 2,
    };
    for (name, repository, port) in [
        ("envoy", "docker.io/envoyproxy/envoy", 15001),
        ("log-shipper", "cr.fluentbit.io/fluent/fluent-bit", 2020),
    ]
    .into_iter()
    .take(sidecars.min(most))
    {
        containers.push(container(rng, Style::Plain, name, repository, port));
    }
    containers
}

fn container(
    rng: &mut ChaCha8Rng,
    style: Style,
    name: &str,
    repository: &str,
    port: u16,
) -> Container {
    const VARIABLES: &[(&str, &str)] = &[
        ("LOG_LEVEL", "info"),
        ("LOG_FORMAT", "json"),
        ("HTTP_ADDR", "0.0.0.0:8080"),
        ("DATABASE_HOST", "postgres-rw.databases.svc.cluster.local"),
        ("DATABASE_POOL_SIZE", "20"),
        ("REDIS_ADDR", "redis-master.databases.svc.cluster.local:6379"),
        ("KAFKA_BROKERS", "kafka-0.kafka.svc:9092,kafka-1.kafka.svc:9092"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel-collector.monitoring.svc:4317"),
        ("FEATURE_FLAGS_URL", "http://flags.platform.svc.cluster.local/v2"),
        ("REQUEST_TIMEOUT", "15s"),
    ];
    let first = rng.random_range(0..VARIABLES.len());
    let count = match style {
        Style::Plain => rng.random_range(0..=1),
        Style::Usual => rng.random_range(1..=2),
        Style::Thorough => rng.random_range(2..=3),
    };
    Container {
        style,
        name: name.to_owned(),
        repository: repository.to_owned(),
        port,
        cpu_millis: 50 * rng.random_range(1..=10),
        memory_mib: 64 * rng.random_range(1..=12),
        env: VARIABLES
            .iter()
            .cycle()
            .skip(first)
            .take(count)
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    }
}
