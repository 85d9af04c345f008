//! Events, by both groups that have them.

use watchcache_embedded_server::{Config, EmbeddedServer};

use super::Kubectl;

const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: nginx}]}}";

const EVENT: &str = "
apiVersion: events.k8s.io/v1
kind: Event
metadata: {name: a.1}
regarding: {apiVersion: v1, kind: Pod, name: a, namespace: default, uid: UID}
reason: Tried
note: it was tried
type: Warning
action: Trying
eventTime: '2026-01-01T00:00:00.000000Z'
reportingController: example.com/tests
reportingInstance: tests-0
";

#[tokio::test(flavor = "multi_thread")]
async fn of_two_groups() {
    let config = Config { pods: 30, rate: 0, ..Config::default() };
    let server = EmbeddedServer::start(config).await.unwrap();
    let Some(kubectl) = Kubectl::new(&server) else { return };

    kubectl.with(&["create", "-f", "-"], POD);
    let event =
        EVENT.replace("UID", &kubectl.says(&["get", "pod", "a", "-o", "jsonpath={.metadata.uid}"]));
    assert_eq!(kubectl.with(&["create", "-f", "-"], &event), "event.events.k8s.io/a.1 created");
    // The kubelet's are of the core group.
    let both = |said: &str| said.contains("it was tried") && said.contains("Started container a");
    kubectl.until(&["get", "events"], both);
    kubectl.until(&["get", "events.events.k8s.io"], both);
    kubectl.until(&["events", "--for=pod/a"], both);
    kubectl.until(&["describe", "pod", "a"], both);
    let selected = kubectl.says(&["get", "events", "-o", "name", "--field-selector=reason=Tried"]);
    assert_eq!(selected, "event/a.1");
    let selected = kubectl.says(&[
        "get",
        "events.events.k8s.io",
        "--field-selector=regarding.name=a,type=Warning",
        "-o",
        "jsonpath={.items[*].note}",
    ]);
    assert_eq!(selected, "it was tried");
    let described = kubectl.says(&["describe", "events.v1.events.k8s.io", "a.1"]);
    assert!(described.contains("it was tried"), "{described}");
    let explained = kubectl.says(&["explain", "event.regarding", "--api-version=events.k8s.io/v1"]);
    assert!(explained.contains("fieldPath\t<string>"), "{explained}");

    // What this group has to say is asked for; what has happened stays as it was.
    let refused = kubectl.feed(&["create", "-f", "-"], &event.replace("action: Trying", ""));
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(errors.contains("action: Required value"), "{errors}");
    let refused = kubectl.feed(&["replace", "-f", "-"], &event.replace("Tried", "Done"));
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(errors.contains("field is immutable"), "{errors}");
    assert_eq!(
        kubectl.says(&["delete", "event", "a.1"]).lines().next(),
        Some("event \"a.1\" deleted")
    );
    assert!(!kubectl.run(&["get", "events.events.k8s.io", "a.1"]).status.success());
    server.stop().await;
}
