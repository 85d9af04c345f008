// Package writes holds what client-go's clients write to a server, and what they are answered.
//
// Each test has a server of its own, in which nothing happens by itself: no scheduler, no changes.
package writes

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const namespace = "default"

var (
	server  = flag.String("server", "", "the server's URL")
	content = flag.String("content", "", "what typed clients write and read, instead of their own choice")
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(m.Run())
}

// config leaves the choice to the clients: those of built-in kinds speak protobuf. Or it is what the users of
// custom resources set, who speak JSON.
func config() *rest.Config {
	config := &rest.Config{Host: *server, QPS: -1}
	config.ContentType = *content
	return config
}

func typed(t *testing.T) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(config())
	must(t, err)
	return client
}

func untyped(t *testing.T) *dynamic.DynamicClient {
	t.Helper()
	client, err := dynamic.NewForConfig(config())
	must(t, err)
	return client
}

// must ends the test if what had to succeed has not.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused ends the test unless the server refused, for the reason.
func refused(t *testing.T, err error, reason metav1.StatusReason) {
	t.Helper()
	if apierrors.ReasonForError(err) != reason {
		t.Fatalf("not refused as %s: %v", reason, err)
	}
}

// is ends the test unless the two are equal.
func is[T comparable](t *testing.T, what string, got, wanted T) {
	t.Helper()
	if got != wanted {
		t.Fatalf("%s is %v, not %v", what, got, wanted)
	}
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func(context.Context) bool) {
	t.Helper()
	condition := func(ctx context.Context) (bool, error) { return holds(ctx), nil }
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, time.Minute, true, condition)
	if err != nil {
		t.Fatalf("never %s: %v", what, err)
	}
}

// patch is a patch as its bytes.
func patch(t *testing.T, content any) []byte {
	t.Helper()
	bytes, err := json.Marshal(content)
	must(t, err)
	return bytes
}

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}
}

func pod(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "nginx:1"}}},
	}
}
