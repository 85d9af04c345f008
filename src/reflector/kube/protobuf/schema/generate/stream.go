package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/runtime/serializer/streaming"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
)

// streams are answers as an API server writes them, a name and base64 in a line: a page of a list, a
// watch, and a failure; and the options of a deletion, as a client writes them.
func streams() []byte {
	var out bytes.Buffer
	line := func(name string, answer []byte) {
		fmt.Fprintf(&out, "%s %s\n", name, base64.StdEncoding.EncodeToString(answer))
	}
	remaining := int64(7)
	list := &corev1.PodList{
		ListMeta: metav1.ListMeta{ResourceVersion: "10", Continue: "next", RemainingItemCount: &remaining},
		Items:    []corev1.Pod{*pod("a", "5"), *pod("b", "6")},
	}
	// The items of a list say no type.
	for i := range list.Items {
		list.Items[i].TypeMeta = metav1.TypeMeta{}
	}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PodList"))
	line("list", encoded(list))

	expired := &metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure,
		Message:  "too old resource version: 1 (9)",
		Reason:   metav1.StatusReasonExpired,
		Code:     http.StatusGone,
	}
	line("status", encoded(expired))

	options := metav1.NewDeleteOptions(0)
	options.TypeMeta = metav1.TypeMeta{APIVersion: "apps/v1", Kind: "DeleteOptions"}
	options.Preconditions = metav1.NewUIDPreconditions("u-a")
	options.DryRun = []string{metav1.DryRunAll}
	line("delete", encoded(options))

	bookmark := pod("", "14")
	bookmark.ObjectMeta = metav1.ObjectMeta{
		ResourceVersion: "14",
		Annotations:     map[string]string{metav1.InitialEventsAnnotationKey: "true"},
	}
	plain := pod("", "15")
	plain.ObjectMeta = metav1.ObjectMeta{ResourceVersion: "15"}
	line("watch", framed([]event{
		{watch.Added, pod("a", "11")},
		{watch.Modified, pod("a", "12")},
		{watch.Deleted, pod("a", "13")},
		{watch.Bookmark, bookmark},
		{watch.Bookmark, plain},
		{watch.Error, expired},
	}))
	return out.Bytes()
}

type event struct {
	eventType watch.EventType
	object    runtime.Object
}

func framed(events []event) []byte {
	var out bytes.Buffer
	raw := protobuf.NewRawSerializer(scheme.Scheme, scheme.Scheme)
	encoder := streaming.NewEncoder(protobuf.LengthDelimitedFramer.NewFrameWriter(&out), raw)
	for _, event := range events {
		must(encoder.Encode(&metav1.WatchEvent{
			Type:   string(event.eventType),
			Object: runtime.RawExtension{Raw: encoded(event.object)},
		}))
	}
	return out.Bytes()
}

func encoded(object runtime.Object) []byte {
	var out bytes.Buffer
	must(protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(object, &out))
	return out.Bytes()
}

func pod(name, version string) *corev1.Pod {
	return &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: "default", UID: "u-a", ResourceVersion: version,
			Labels: map[string]string{"app": "web"},
			ManagedFields: []metav1.ManagedFieldsEntry{{
				Manager: "test", Operation: metav1.ManagedFieldsOperationUpdate,
				FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{}}`),
			}},
		},
		Spec: corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{Name: "c"}}},
	}
}
