//! `explain`, and custom resources.

use watchcache_embedded_server::{Config, EmbeddedServer};

use super::{Kubectl, words};

const DEFINITION: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [wd]}
  versions:
  - name: v1
    served: true
    storage: true
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            description: What the widget is to be.
            properties: {size: {type: integer, description: How large it is.}}
";

#[tokio::test(flavor = "multi_thread")]
async fn explains_and_extends() {
    let config = Config { pods: 30, rate: 0, ..Config::default() };
    let server = EmbeddedServer::start(config).await.unwrap();
    let Some(kubectl) = Kubectl::new(&server) else { return };

    let explained = kubectl.says(&["explain", "pod.spec.containers"]);
    for part in ["KIND:       Pod", "image\t<string>", "livenessProbe\t<Probe>", "env\t<[]EnvVar>"]
    {
        assert!(explained.contains(part), "no {part} in {explained}");
    }
    kubectl.with(&["create", "-f", "-"], DEFINITION);
    kubectl.says(&[
        "wait",
        "--for=condition=Established",
        "crd/widgets.example.com",
        "--timeout=30s",
    ]);
    let widget = "{apiVersion: example.com/v1, kind: Widget, metadata: {name: a}, spec: {size: 3}}";
    assert_eq!(kubectl.with(&["apply", "-f", "-"], widget), "widget.example.com/a created");
    let table = kubectl.lines(&["get", "wd"]);
    assert_eq!((words(&table[0]), words(&table[1])), (vec!["NAME", "SIZE"], vec!["a", "3"]));
    kubectl.with(&["apply", "-f", "-"], &widget.replace('3', "4"));
    assert_eq!(kubectl.says(&["get", "wd", "a", "-o", "jsonpath={.spec.size}"]), "4");
    let explained = kubectl.says(&["explain", "widget.spec"]);
    assert!(explained.contains("How large it is."), "{explained}");
    kubectl.says(&["delete", "crd", "widgets.example.com"]);
    assert!(!kubectl.run(&["get", "wd"]).status.success());
    server.stop().await;
}
