package writes

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

// TestBothSidesSpeakTheClientsEncoding makes sure that these tests test what they seem to.
func TestBothSidesSpeakTheClientsEncoding(t *testing.T) {
	spoken := *content
	if spoken == "" {
		spoken = runtime.ContentTypeProtobuf
	}
	var wire wire
	config := config()
	config.WrapTransport = wire.wrap
	client, err := kubernetes.NewForConfig(config)
	must(t, err)
	maps := client.CoreV1().ConfigMaps(namespace)

	made, err := maps.Create(t.Context(), configMap("a", nil), metav1.CreateOptions{})
	must(t, err)
	wire.spoke(t, "POST", spoken, spoken)
	events, err := maps.Watch(t.Context(), metav1.ListOptions{ResourceVersion: made.ResourceVersion})
	must(t, err)
	defer events.Stop()
	wire.spoke(t, "GET", "", spoken)

	made.Data = map[string]string{"n": "1"}
	_, err = maps.Update(t.Context(), made, metav1.UpdateOptions{})
	must(t, err)
	wire.spoke(t, "PUT", spoken, spoken)
	// Patches are JSON in any case; what they are answered with is not.
	_, err = maps.Patch(t.Context(), "a", types.MergePatchType, []byte(`{"data":{"n":"2"}}`), metav1.PatchOptions{})
	must(t, err)
	wire.spoke(t, "PATCH", string(types.MergePatchType), spoken)
	got, err := maps.Get(t.Context(), "a", metav1.GetOptions{})
	must(t, err)
	wire.spoke(t, "GET", "", spoken)
	is(t, "n", got.Data["n"], "2")
	list, err := maps.List(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=a"})
	must(t, err)
	wire.spoke(t, "GET", "", spoken)
	is(t, "n", list.Items[0].Data["n"], "2")

	uid := metav1.NewUIDPreconditions("other")
	err = maps.Delete(t.Context(), "a", metav1.DeleteOptions{Preconditions: uid})
	refused(t, err, metav1.StatusReasonConflict)
	wire.spoke(t, "DELETE", spoken, spoken)
	must(t, maps.Delete(t.Context(), "a", metav1.DeleteOptions{}))
	wire.spoke(t, "DELETE", spoken, spoken)

	for _, wanted := range []watch.EventType{watch.Modified, watch.Modified, watch.Deleted} {
		is(t, "the event", (<-events.ResultChan()).Type, wanted)
	}
}

// wire keeps what the last request, and its answer, were written in.
type wire struct {
	mutex sync.Mutex
	last  string
}

func spoke(method, request, answer string) string {
	return fmt.Sprintf("%s %q, answered by %q", method, request, answer)
}

func (w *wire) spoke(t *testing.T, method, request, answer string) {
	t.Helper()
	w.mutex.Lock()
	defer w.mutex.Unlock()
	is(t, "what was spoken", w.last, spoke(method, request, answer))
}

type recorded func(*http.Request) (*http.Response, error)

func (r recorded) RoundTrip(made *http.Request) (*http.Response, error) { return r(made) }

func (w *wire) wrap(inner http.RoundTripper) http.RoundTripper {
	return recorded(func(made *http.Request) (*http.Response, error) {
		answer, err := inner.RoundTrip(made)
		if err == nil {
			// A watch says that it is one.
			spoken := strings.TrimSuffix(answer.Header.Get("Content-Type"), ";stream=watch")
			w.mutex.Lock()
			defer w.mutex.Unlock()
			w.last = spoke(made.Method, made.Header.Get("Content-Type"), spoken)
		}
		return answer, err
	})
}
