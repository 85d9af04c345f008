//! A pod's `spec`: the template a controller fills in, and what admission adds to it.

use serde_json::{Value, json};

use super::workload::{Container, Kind, Revision, Style, Workload};

/// The spec as the controller writes it.
pub(super) fn template(workload: &Workload, revision: &Revision) -> Value {
    let containers: Vec<Value> = workload
        .containers
        .iter()
        .map(|template| container(template, revision, workload.kind))
        .collect();
    let mut volumes = Vec::new();
    if workload.style() >= Style::Usual {
        volumes.push(json!({"name": "config", "configMap": {
            "name": format!("{}-config", workload.name),
            "defaultMode": 420,
        }}));
    }
    if workload.style() == Style::Thorough {
        volumes.push(json!({"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}}));
    }
    let security = match workload.style() {
        Style::Thorough => json!({"runAsNonRoot": true, "runAsUser": 65532, "fsGroup": 65532}),
        _ => json!({}),
    };
    let restart = match workload.kind {
        Kind::Deployment => "Always",
        Kind::Job => "Never",
    };
    json!({
        "containers": containers,
        "volumes": volumes,
        "restartPolicy": restart,
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": true,
        "schedulerName": "default-scheduler",
        "securityContext": security,
    })
}

fn container(template: &Container, revision: &Revision, kind: Kind) -> Value {
    let mut env: Vec<Value> =
        template.env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    let mut mounts = Vec::new();
    if template.style >= Style::Usual {
        mounts.push(json!({"name": "config", "mountPath": "/etc/config", "readOnly": true}));
    }
    if template.style == Style::Thorough {
        mounts.push(json!({"name": "tmp", "mountPath": "/tmp"}));
        env.push(json!({
            "name": "POD_NAME",
            "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
        }));
    }
    let mut container = json!({
        "name": template.name,
        "image": image(template, revision),
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": template.port, "protocol": "TCP"}],
        "resources": {
            "requests": {
                "cpu": format!("{}m", template.cpu_millis),
                "memory": format!("{}Mi", template.memory_mib),
            },
            "limits": {"memory": format!("{}Mi", template.memory_mib * 2)},
        },
        "volumeMounts": mounts,
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    });
    // The real server's JSON has no empty lists.
    if !env.is_empty() {
        container["env"] = env.into();
    }
    // What runs once serves nothing, so there is nothing to probe.
    if kind == Kind::Deployment && template.style >= Style::Usual {
        container["readinessProbe"] = probe("/readyz", 5, 10);
    }
    if template.style == Style::Thorough {
        container["livenessProbe"] = probe("/healthz", 15, 20);
        container["securityContext"] = json!({
            "allowPrivilegeEscalation": false,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": true,
        });
    }
    container
}

fn probe(path: &str, delay: u32, period: u32) -> Value {
    json!({
        "httpGet": {"path": path, "port": "http", "scheme": "HTTP"},
        "initialDelaySeconds": delay,
        "periodSeconds": period,
        "timeoutSeconds": 2,
        "successThreshold": 1,
        "failureThreshold": 3,
    })
}

/// The image that a revision runs in a container.
pub(super) fn image(template: &Container, revision: &Revision) -> String {
    format!("{}:{}", template.repository, revision.image_tag)
}

/// Adds what admission adds (the API token's volume, tolerations, the default service account)
/// and the scheduler's binding.
pub(super) fn admit(spec: &mut Value, pod_name: &str, node: Option<&str>) {
    // The name's random suffix stands in for the volume's own: it never changes, and costs nothing.
    let suffix = pod_name.rsplit('-').next().unwrap_or(pod_name);
    let volume = format!("kube-api-access-{suffix}");
    for container in spec["containers"].as_array_mut().into_iter().flatten() {
        if let Some(mounts) = container["volumeMounts"].as_array_mut() {
            mounts.push(json!({
                "name": volume,
                "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                "readOnly": true,
            }));
        }
    }
    if let Some(volumes) = spec["volumes"].as_array_mut() {
        volumes.push(json!({"name": volume, "projected": {"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {
                "name": "kube-root-ca.crt",
                "items": [{"key": "ca.crt", "path": "ca.crt"}],
            }},
            {"downwardAPI": {"items": [{
                "path": "namespace",
                "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
            }]}},
        ]}}));
    }
    spec["serviceAccountName"] = "default".into();
    spec["serviceAccount"] = "default".into();
    spec["priority"] = 0.into();
    spec["preemptionPolicy"] = "PreemptLowerPriority".into();
    let toleration = |key: &str| {
        json!({
            "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300,
        })
    };
    spec["tolerations"] = json!([
        toleration("node.kubernetes.io/not-ready"),
        toleration("node.kubernetes.io/unreachable"),
    ]);
    if let Some(node) = node {
        spec["nodeName"] = node.into();
    }
}
