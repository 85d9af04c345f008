package writes

import (
	"context"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

var (
	definitions = schema.GroupVersionResource{
		Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
	}
	widgets = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}
)

type fields = map[string]any

func definition() *unstructured.Unstructured {
	size := fields{"type": "object", "properties": fields{"size": fields{"type": "integer", "minimum": int64(1)}}}
	return &unstructured.Unstructured{Object: fields{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": fields{"name": "widgets.example.com"},
		"spec": fields{
			"group": "example.com", "scope": "Namespaced",
			"names": fields{"plural": "widgets", "kind": "Widget"},
			"versions": []any{fields{
				"name": "v1", "served": true, "storage": true,
				"subresources": fields{"status": fields{}},
				"schema": fields{"openAPIV3Schema": fields{
					"type": "object", "properties": fields{"spec": size, "status": size},
				}},
			}},
		},
	}}
}

func widget(size int64) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: fields{
		"apiVersion": "example.com/v1", "kind": "Widget",
		"metadata": fields{"name": "a", "namespace": namespace},
		"spec":     fields{"size": size},
	}}
}

func TestCustomResources(t *testing.T) {
	client := untyped(t)
	_, err := client.Resource(definitions).Create(t.Context(), definition(), metav1.CreateOptions{})
	must(t, err)
	all := client.Resource(widgets).Namespace(namespace)
	_, err = all.Create(t.Context(), widget(0), metav1.CreateOptions{})
	refused(t, err, metav1.StatusReasonInvalid)
	made, err := all.Create(t.Context(), widget(1), metav1.CreateOptions{})
	must(t, err)

	// The status is a part of its own.
	must(t, unstructured.SetNestedField(made.Object, int64(7), "status", "size"))
	must(t, unstructured.SetNestedField(made.Object, int64(2), "spec", "size"))
	stale := made.DeepCopy()
	made, err = all.UpdateStatus(t.Context(), made, metav1.UpdateOptions{})
	must(t, err)
	is(t, "spec.size", size(made, "spec"), 1)
	is(t, "status.size", size(made, "status"), 7)
	_, err = all.Update(t.Context(), stale, metav1.UpdateOptions{})
	refused(t, err, metav1.StatusReasonConflict)

	merge := patch(t, fields{"spec": fields{"size": 3}})
	made, err = all.Patch(t.Context(), "a", types.MergePatchType, merge, metav1.PatchOptions{})
	must(t, err)
	is(t, "spec.size", size(made, "spec"), 3)
	is(t, "the generation", made.GetGeneration(), 2)
	// It goes by the types of the API, and custom resources have none.
	_, err = all.Patch(t.Context(), "a", types.StrategicMergePatchType, merge, metav1.PatchOptions{})
	refused(t, err, metav1.StatusReasonUnsupportedMediaType)

	_, err = all.Apply(t.Context(), "a", widget(4), metav1.ApplyOptions{FieldManager: "me"})
	refused(t, err, metav1.StatusReasonConflict)
	made, err = all.Apply(t.Context(), "a", widget(4), metav1.ApplyOptions{FieldManager: "me", Force: true})
	must(t, err)
	is(t, "spec.size", size(made, "spec"), 4)
	is(t, "status.size", size(made, "status"), 7)

	must(t, client.Resource(definitions).Delete(t.Context(), "widgets.example.com", metav1.DeleteOptions{}))
	eventually(t, "gone with its kind", gone(func() error {
		_, err := all.Get(t.Context(), "a", metav1.GetOptions{})
		return err
	}))
	eventually(t, "gone", gone(func() error {
		_, err := client.Resource(definitions).Get(t.Context(), "widgets.example.com", metav1.GetOptions{})
		return err
	}))
}

func size(widget *unstructured.Unstructured, part string) int64 {
	size, _, _ := unstructured.NestedInt64(widget.Object, part, "size")
	return size
}

// gone holds once what is asked for is not found.
func gone(get func() error) func(context.Context) bool {
	return func(context.Context) bool { return apierrors.IsNotFound(get()) }
}
