package main

import (
	"context"
	"os"
	goruntime "runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// initialSync lists all Pods of a server into an informer.
func initialSync(kubeconfig, what string) {
	client := podClient(kubeconfig)
	before := resident()
	// As informers/core/v1 makes it.
	source := cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return client.List(ctx, options)
		},
		WatchFuncWithContext: client.Watch,
	}, client)
	informer := cache.NewSharedIndexInformer(source, &corev1.Pod{}, 0,
		cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	peer := "client-go"
	if *transform {
		peer = "client-go, transformed"
		if err := informer.SetTransform(transformOf(*keep)); err != nil {
			panic(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	started := time.Now()
	go informer.RunWithContext(ctx)
	for !informer.HasSynced() {
		time.Sleep(time.Millisecond)
	}
	spent := time.Since(started)
	count := float64(len(informer.GetStore().ListKeys()))
	reportOf(peer, "initial sync, "+what+", per pod", "ns", float64(spent.Nanoseconds())/count)
	// What the list alone needed is given back.
	time.Sleep(time.Second)
	goruntime.GC()
	debug.FreeOSMemory()
	reportOf(peer, "resident, "+what+", per pod", "B", float64(resident()-before)/count)
	cancel()
}

// podClient is the typed client that client-go's own informers of Pods use. Left alone it prefers
// protobuf, as every generated client of a built-in kind does (gentype.PrefersProtobuf). Custom
// resources are served as JSON by default: what informers of those do is measured by asking for that.
func podClient(kubeconfig string) typedcorev1.PodInterface {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		panic(err)
	}
	switch *accept {
	case "json":
		config.ContentType = "application/json"
	case "default":
	default:
		panic(*accept + ": neither json nor default")
	}
	client, err := typedcorev1.NewForConfig(config)
	if err != nil {
		panic(err)
	}
	return client.Pods(metav1.NamespaceAll)
}

// resident is the memory of this process that is in use, in bytes.
func resident() int64 {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if text, found := strings.CutPrefix(line, "VmRSS:"); found {
			kibibytes, _ := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
			return kibibytes * 1024
		}
	}
	panic("the kernel does not say")
}
