package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/tools/cache"
)

// state is what one line of output says.
type state struct {
	Synced bool `json:"synced"`
	// Version is the resourceVersion that the informer has reached.
	Version string `json:"version"`
	// Objects are the resourceVersions held, by key.
	Objects map[string]string `json:"objects"`
	// Seen are the same as the handler's calls left them.
	Seen map[string]string `json:"seen"`
	// Added, Updated and Deleted count the handler's calls.
	Added   int `json:"added"`
	Updated int `json:"updated"`
	Deleted int `json:"deleted"`
	// Requests are all so far.
	Requests []request `json:"requests"`
	// Complaints are client-go's own about what it was sent.
	Complaints []string `json:"complaints"`
}

func newState(informer cache.SharedIndexInformer, seen *seen, wire *wire, complaints *complaints) state {
	state := state{
		Synced:     informer.HasSynced(),
		Version:    informer.LastSyncResourceVersion(),
		Objects:    map[string]string{},
		Requests:   wire.all(),
		Complaints: complaints.all(),
	}
	for _, object := range informer.GetStore().List() {
		key, version := identify(object)
		state.Objects[key] = version
	}
	seen.mutex.Lock()
	defer seen.mutex.Unlock()
	state.Seen = maps.Clone(seen.versions)
	state.Added, state.Updated, state.Deleted = seen.added, seen.updated, seen.deleted
	return state
}

func identify(object any) (key, version string) {
	key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object)
	if err != nil {
		panic(err)
	}
	if meta, err := meta.Accessor(object); err == nil {
		version = meta.GetResourceVersion()
	}
	return key, version
}

// seen is a handler that keeps what its calls tell.
type seen struct {
	mutex                   sync.Mutex
	versions                map[string]string
	added, updated, deleted int
}

func newSeen() *seen { return &seen{versions: map[string]string{}} }

func (s *seen) put(object any, count *int) {
	key, version := identify(object)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	*count++
	s.versions[key] = version
}

func (s *seen) OnAdd(object any, _ bool) { s.put(object, &s.added) }

func (s *seen) OnUpdate(_, object any) { s.put(object, &s.updated) }

func (s *seen) OnDelete(object any) {
	key, _ := identify(object)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.deleted++
	delete(s.versions, key)
}

// request is one answered request; without a code, one that no answer came to.
type request struct {
	Path  string `json:"path"`
	Query string `json:"query"`
	Code  int    `json:"code"`
	// Content is the type of the answer.
	Content string `json:"content"`
}

// wire records the requests of a client.
type wire struct {
	mutex    sync.Mutex
	requests []request
}

func (w *wire) wrap(inner http.RoundTripper) http.RoundTripper {
	return roundTripper{inner, w}
}

func (w *wire) all() []request {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return slices.Clone(w.requests)
}

type roundTripper struct {
	http.RoundTripper
	wire *wire
}

// WrappedRoundTripper lets client-go find the transport below, whose connections it manages.
func (r roundTripper) WrappedRoundTripper() http.RoundTripper { return r.RoundTripper }

func (r roundTripper) RoundTrip(made *http.Request) (*http.Response, error) {
	answer, err := r.RoundTripper.RoundTrip(made)
	record := request{Path: made.URL.Path, Query: made.URL.RawQuery}
	if err == nil {
		record.Code = answer.StatusCode
		record.Content = answer.Header.Get("Content-Type")
	}
	r.wire.mutex.Lock()
	defer r.wire.mutex.Unlock()
	r.wire.requests = append(r.wire.requests, record)
	return answer, err
}

// complaints are what client-go reports as errors and then passes over.
type complaints struct {
	mutex sync.Mutex
	texts []string
}

func collectComplaints() *complaints {
	complaints := &complaints{texts: []string{}}
	runtime.ErrorHandlers = append(runtime.ErrorHandlers, func(_ context.Context, err error, message string, details ...any) {
		complaints.mutex.Lock()
		defer complaints.mutex.Unlock()
		complaints.texts = append(complaints.texts, fmt.Sprint(message, " ", err, " ", details))
	})
	return complaints
}

func (c *complaints) all() []string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return slices.Clone(c.texts)
}
