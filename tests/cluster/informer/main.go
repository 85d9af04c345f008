// Command informer keeps a SharedIndexInformer on a server, for tests, and reports what it holds.
//
// For each line of its standard input it prints one JSON line (see state). It ends with its input.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

var (
	server    = flag.String("server", "", "the server's URL")
	client    = flag.String("client", "typed", "which of client-go's clients: typed, dynamic or metadata")
	resource  = flag.String("resource", "pods.v1.", "what to mirror, as resource.version.group")
	namespace = flag.String("namespace", "", "only this namespace")
	labels    = flag.String("labels", "", "only what this label selector selects")
	fields    = flag.String("fields", "", "only what this field selector selects")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() error {
	wire := wire{requests: []request{}}
	config := &rest.Config{Host: *server, WrapTransport: wire.wrap}
	informer, err := newInformer(config)
	if err != nil {
		return err
	}
	// A request that fails is on record as such; what is left to complain of is what was not understood.
	if err := informer.SetWatchErrorHandlerWithContext(func(context.Context, *cache.Reflector, error) {}); err != nil {
		return err
	}
	seen := newSeen()
	if _, err := informer.AddEventHandler(seen); err != nil {
		return err
	}
	complaints := collectComplaints()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		informer.RunWithContext(ctx)
	}()
	defer func() {
		cancel()
		<-ended
	}()

	out := json.NewEncoder(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if err := out.Encode(newState(informer, seen, &wire, complaints)); err != nil {
			return err
		}
	}
	return nil
}

// newInformer comes from the factory that the users of each client take it from.
func newInformer(config *rest.Config) (cache.SharedIndexInformer, error) {
	kind, _ := schema.ParseResourceArg(*resource)
	if kind == nil {
		return nil, fmt.Errorf("%q is not of the form resource.version.group", *resource)
	}
	tweak := func(options *metav1.ListOptions) {
		options.LabelSelector, options.FieldSelector = *labels, *fields
	}
	switch *client {
	case "typed":
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			return nil, err
		}
		factory := informers.NewSharedInformerFactoryWithOptions(client, 0,
			informers.WithNamespace(*namespace), informers.WithTweakListOptions(tweak))
		generic, err := factory.ForResource(*kind)
		if err != nil {
			return nil, err
		}
		return generic.Informer(), nil
	case "dynamic":
		client, err := dynamic.NewForConfig(config)
		if err != nil {
			return nil, err
		}
		return dynamicinformer.NewFilteredDynamicInformer(client, *kind, *namespace, 0, cache.Indexers{}, tweak).Informer(), nil
	case "metadata":
		client, err := metadata.NewForConfig(config)
		if err != nil {
			return nil, err
		}
		return metadatainformer.NewFilteredMetadataInformer(client, *kind, *namespace, 0, cache.Indexers{}, tweak).Informer(), nil
	default:
		return nil, fmt.Errorf("%q is none of client-go's clients", *client)
	}
}
