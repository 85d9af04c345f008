package writes

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
)

func TestStatusIsWrittenApart(t *testing.T) {
	pods := typed(t).CoreV1().Pods(namespace)
	made, err := pods.Create(t.Context(), pod("a"), metav1.CreateOptions{})
	must(t, err)
	is(t, "the phase", made.Status.Phase, corev1.PodPending)

	changed := made.DeepCopy()
	changed.Labels["app"] = "other"
	changed.Status.Message = "waiting"
	changed, err = pods.UpdateStatus(t.Context(), changed, metav1.UpdateOptions{})
	must(t, err)
	is(t, "the message", changed.Status.Message, "waiting")
	is(t, "the label", changed.Labels["app"], "a")

	changed.Labels["app"] = "other"
	changed.Status.Message = "gone"
	changed, err = pods.Update(t.Context(), changed, metav1.UpdateOptions{})
	must(t, err)
	is(t, "the message", changed.Status.Message, "waiting")
	is(t, "the label", changed.Labels["app"], "other")

	condition := map[string]any{"type": "Ready", "status": "False", "reason": "Waiting"}
	changed, err = pods.Patch(t.Context(), "a", types.StrategicMergePatchType,
		patch(t, map[string]any{"status": map[string]any{"conditions": []any{condition}}}), metav1.PatchOptions{}, "status")
	must(t, err)
	is(t, "the reason", changed.Status.Conditions[0].Reason, "Waiting")
}

func TestPodsAreBoundOnce(t *testing.T) {
	client := typed(t)
	pods := client.CoreV1().Pods(namespace)
	made, err := pods.Create(t.Context(), pod("a"), metav1.CreateOptions{})
	must(t, err)
	nodes, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	must(t, err)
	binding := &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: namespace, UID: made.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: nodes.Items[0].Name},
	}
	must(t, pods.Bind(t.Context(), binding, metav1.CreateOptions{}))
	refused(t, pods.Bind(t.Context(), binding, metav1.CreateOptions{}), metav1.StatusReasonConflict)
	bound, err := pods.Get(t.Context(), "a", metav1.GetOptions{})
	must(t, err)
	is(t, "the node", bound.Spec.NodeName, nodes.Items[0].Name)
}

func TestDeploymentsAreScaled(t *testing.T) {
	client := typed(t)
	deployments := client.AppsV1().Deployments(namespace)
	template := pod("web")
	_, err := deployments.Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(1)),
			Selector: &metav1.LabelSelector{MatchLabels: template.Labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: template.Labels}, Spec: template.Spec},
		},
	}, metav1.CreateOptions{})
	must(t, err)

	scale, err := deployments.GetScale(t.Context(), "web", metav1.GetOptions{})
	must(t, err)
	is(t, "the scale", scale.Spec.Replicas, 1)
	is(t, "the selector", scale.Status.Selector, "app=web")
	stale := scale.DeepCopy()
	// The Deployment's controller writes meanwhile, too.
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		scale, err := deployments.GetScale(t.Context(), "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		scale.Spec.Replicas = 3
		_, err = deployments.UpdateScale(t.Context(), "web", scale, metav1.UpdateOptions{})
		return err
	})
	must(t, err)
	stale.Spec.Replicas = 5
	_, err = deployments.UpdateScale(t.Context(), "web", stale, metav1.UpdateOptions{})
	refused(t, err, metav1.StatusReasonConflict)
	is(t, "the replicas", replicas(t, "web"), 3)

	_, err = deployments.Patch(t.Context(), "web", types.MergePatchType,
		patch(t, map[string]any{"spec": map[string]any{"replicas": 2}}), metav1.PatchOptions{}, "scale")
	must(t, err)
	is(t, "the replicas", replicas(t, "web"), 2)
}

func replicas(t *testing.T, name string) int32 {
	t.Helper()
	deployment, err := typed(t).AppsV1().Deployments(namespace).Get(t.Context(), name, metav1.GetOptions{})
	must(t, err)
	return *deployment.Spec.Replicas
}
