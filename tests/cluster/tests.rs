//! The mirror against the real thing: kube-apiserver and etcd, started once for all tests. And client-go,
//! its informer and what its clients write, against the embedded server.
//!
//! `cargo test -p watchcache-cluster-tests` builds and runs everything. Without Go the tests are
//! reported as ignored, and why is said on standard error; they never pass unrun.
#![allow(clippy::unwrap_used)]

mod access;
mod cluster;
mod faults;
mod informer;
mod kinds;
mod kubectl;
mod mirror;
mod objects;
mod protobuf;
mod proxy;
mod server;
mod wire;
mod writes;

use std::future::Future;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Arguments, Trial};
use tokio::runtime::Runtime;

use crate::cluster::Cluster;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // The servers are shared and busy enough with a few tests at a time.
    arguments.test_threads = arguments.test_threads.or(Some(4));
    let suite = Suite {
        runtime: Arc::new(Runtime::new().expect("a runtime")),
        cluster: Arc::new(Cluster::new()),
        missing: server::missing(),
    };
    let mut trials = vec![
        suite.shared("creates_updates_and_deletes", objects::creates_updates_and_deletes),
        suite.shared("ten_thousand_objects_in_pages", objects::ten_thousand_objects_in_pages),
        suite.shared("a_streaming_list", objects::a_streaming_list),
        suite.shared("bookmarks_move_an_idle_mirror_on", objects::bookmarks_move_an_idle_mirror_on),
        suite.shared("a_cut_connection_is_resumed", faults::a_cut_connection_is_resumed),
        suite.alone("compaction_costs_one_relist", faults::compaction_costs_one_relist),
        suite.alone("compaction_between_two_pages", faults::compaction_between_two_pages),
        suite.alone("a_killed_api_server", faults::a_killed_api_server),
        suite.alone("a_stopped_api_server", faults::a_stopped_api_server),
        suite.alone("etcd_stopped_and_started", faults::etcd_stopped_and_started),
        suite.shared("a_denied_list_is_final", access::a_denied_list_is_final),
        suite.shared("rights_taken_and_given_back", access::rights_taken_and_given_back),
        suite.shared("an_untrusted_server", access::an_untrusted_server),
        suite.shared("an_untrusted_client", access::an_untrusted_client),
        suite.shared("an_expired_client", access::an_expired_client),
        suite.shared("an_admission_failure_as_status", access::an_admission_failure_as_status),
        suite.shared("a_custom_resource_in_versions", kinds::a_custom_resource_in_versions),
        suite.shared("every_kind_as_in_json", protobuf::every_kind_as_in_json),
        suite
            .shared("kubectl_writes_and_reads", kubectl::kubectl_writes_and_reads)
            .with_ignored_flag(suite.missing.is_some() || kubectl::missing()),
        suite.embedded("informer_lists_in_pages", informer::lists_in_pages_and_watches),
        suite.embedded("informer_streams_its_list", informer::streams_its_list),
        suite.embedded("informer_is_moved_on_by_bookmarks", informer::is_moved_on_by_bookmarks),
        suite.embedded("informer_of_every_resource", informer::by_every_client_of_every_resource),
        suite.embedded("informer_of_a_selection", informer::of_a_selection),
        suite.embedded("informer_through_faults", informer::through_faults),
        suite.embedded("informer_of_a_new_server", informer::of_a_server_that_begins_anew),
    ];
    for test in writes::tests() {
        let in_json = test.clone();
        trials.push(
            suite.embedded(&test.clone(), move || writes::run(test, writes::Content::OfClients)),
        );
        trials.push(suite.embedded(&format!("{in_json}_in_json"), move || {
            writes::run(in_json, writes::Content::Json)
        }));
    }
    if let (Some(missing), false) = (&suite.missing, arguments.list) {
        eprintln!(
            "\n*** NOT TESTED against a real API server, nor with client-go: {missing} ***\n"
        );
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    suite.runtime.block_on(suite.cluster.stop());
    conclusion.exit_code()
}

/// Fails a test that hangs, so that the others get their turn.
async fn watched(test: impl Future<Output = ()>) {
    let ended = tokio::time::timeout(Duration::from_secs(120), test).await;
    ended.expect("the test ends in time");
}

struct Suite {
    runtime: Arc<Runtime>,
    cluster: Arc<Cluster>,
    /// Why nothing can run, if so.
    missing: Option<String>,
}

impl Suite {
    /// A test that leaves the servers as they are.
    fn shared<F: Future<Output = ()>>(
        &self,
        name: &str,
        test: impl FnOnce(Arc<Cluster>) -> F + Send + 'static,
    ) -> Trial {
        self.trial(name, |cluster| async move {
            cluster.server().await;
            let _turn = cluster.turns.read().await;
            watched(test(Arc::clone(&cluster))).await;
        })
    }

    /// A test that stops, kills or compacts, with no other at the same time.
    fn alone<F: Future<Output = ()>>(
        &self,
        name: &str,
        test: impl FnOnce(Arc<Cluster>) -> F + Send + 'static,
    ) -> Trial {
        self.trial(name, |cluster| async move {
            cluster.server().await;
            let _turn = cluster.turns.write().await;
            watched(test(Arc::clone(&cluster))).await;
        })
    }

    /// A test that needs Go, but none of the real servers.
    fn embedded<F: Future<Output = ()>>(
        &self,
        name: &str,
        test: impl FnOnce() -> F + Send + 'static,
    ) -> Trial {
        self.trial(name, |_| watched(test()))
    }

    fn trial<F: Future<Output = ()>>(
        &self,
        name: &str,
        test: impl FnOnce(Arc<Cluster>) -> F + Send + 'static,
    ) -> Trial {
        let (runtime, cluster) = (Arc::clone(&self.runtime), Arc::clone(&self.cluster));
        let run = move || {
            runtime.block_on(test(cluster));
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(self.missing.is_some())
    }
}
