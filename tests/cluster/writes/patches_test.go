package writes

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
)

func TestPatchesOfEachKind(t *testing.T) {
	pods := typed(t).CoreV1().Pods(namespace)
	_, err := pods.Create(t.Context(), pod("a"), metav1.CreateOptions{})
	must(t, err)

	merged, err := pods.Patch(t.Context(), "a", types.MergePatchType, patch(t, map[string]any{
		"metadata": map[string]any{"labels": map[string]any{"tier": "front", "app": nil}},
	}), metav1.PatchOptions{})
	must(t, err)
	is(t, "tier", merged.Labels["tier"], "front")
	is(t, "the number of labels", len(merged.Labels), 1)

	// By name, so that what it does not name stays.
	strategic, err := pods.Patch(t.Context(), "a", types.StrategicMergePatchType, patch(t, map[string]any{
		"spec": map[string]any{"containers": []any{map[string]any{"name": "web", "image": "nginx:2"}}},
	}), metav1.PatchOptions{})
	must(t, err)
	is(t, "the image", strategic.Spec.Containers[0].Image, "nginx:2")
	is(t, "the policy", strategic.Spec.Containers[0].TerminationMessagePolicy, "File")

	operations := []map[string]any{
		{"op": "test", "path": "/metadata/labels/tier", "value": "front"},
		{"op": "replace", "path": "/metadata/labels/tier", "value": "back"},
	}
	replaced, err := pods.Patch(t.Context(), "a", types.JSONPatchType, patch(t, operations), metav1.PatchOptions{})
	must(t, err)
	is(t, "tier", replaced.Labels["tier"], "back")
	_, err = pods.Patch(t.Context(), "a", types.JSONPatchType, patch(t, operations), metav1.PatchOptions{})
	refused(t, err, metav1.StatusReasonInvalid)

	// A version in a patch is one that it insists on.
	_, err = pods.Patch(t.Context(), "a", types.MergePatchType, patch(t, map[string]any{
		"metadata": map[string]any{"resourceVersion": merged.ResourceVersion, "labels": map[string]any{"x": "y"}},
	}), metav1.PatchOptions{})
	refused(t, err, metav1.StatusReasonConflict)
}

func TestAppliedFieldsHaveOwners(t *testing.T) {
	maps := typed(t).CoreV1().ConfigMaps(namespace)
	apply := func(manager string, data map[string]string, force bool) error {
		_, err := maps.Apply(t.Context(), applycorev1.ConfigMap("a", namespace).WithData(data),
			metav1.ApplyOptions{FieldManager: manager, Force: force})
		return err
	}
	must(t, apply("me", map[string]string{"a": "1", "b": "1"}, false))
	must(t, apply("you", map[string]string{"c": "1"}, false))
	refused(t, apply("you", map[string]string{"a": "2", "c": "1"}, false), metav1.StatusReasonConflict)
	must(t, apply("you", map[string]string{"a": "2", "c": "1"}, true))
	// What its one owner applies no more goes; what another owns stays.
	must(t, apply("me", map[string]string{}, false))
	got, err := maps.Get(t.Context(), "a", metav1.GetOptions{})
	must(t, err)
	is(t, "the number of fields", len(got.Data), 2)
	is(t, "a", got.Data["a"], "2")

	// As a controller does it: what it owns is taken from the object, changed, and applied.
	owned, err := applycorev1.ExtractConfigMap(got, "you")
	must(t, err)
	owned.WithData(map[string]string{"a": "3"})
	_, err = maps.Apply(t.Context(), owned, metav1.ApplyOptions{FieldManager: "you"})
	must(t, err)
	got, err = maps.Get(t.Context(), "a", metav1.GetOptions{})
	must(t, err)
	is(t, "a", got.Data["a"], "3")
	is(t, "c", got.Data["c"], "1")
}
