package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// initialSync lists all Pods of a server as JSON into an informer, as informers do by default.
func initialSync(kubeconfig, what string) {
	client := newClient(kubeconfig)
	before := resident()
	informer := cache.NewSharedIndexInformer(
		cache.NewListWatchFromClient(client, "pods", "", fields.Everything()), &corev1.Pod{}, 0,
		cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	ctx, cancel := context.WithCancel(context.Background())
	started := time.Now()
	go informer.RunWithContext(ctx)
	for !informer.HasSynced() {
		time.Sleep(time.Millisecond)
	}
	spent := time.Since(started)
	count := float64(len(informer.GetStore().ListKeys()))
	report("initial sync, "+what+", per pod", "ns", float64(spent.Nanoseconds())/count)
	// What the list alone needed is given back.
	time.Sleep(time.Second)
	runtime.GC()
	debug.FreeOSMemory()
	report("resident, "+what+", per pod", "B", float64(resident()-before)/count)
	cancel()
}

// newClient asks for JSON.
func newClient(kubeconfig string) rest.Interface {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		panic(err)
	}
	config.GroupVersion = &corev1.SchemeGroupVersion
	config.APIPath = "/api"
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	config.ContentType = "application/json"
	client, err := rest.RESTClientFor(config)
	if err != nil {
		panic(err)
	}
	return client
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
