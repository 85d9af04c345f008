package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// watchThroughput is how fast an informer takes in what a server's watch has to say. The changes were
// made after the informer's list and before its watch, so that nothing waits for them to be made.
func watchThroughput(kubeconfig, what string) {
	client := podClient(kubeconfig)
	gate := make(chan struct{})
	// Set before the gate opens.
	var last string
	gated := cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return client.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			<-gate
			return client.Watch(ctx, options)
		},
	}, lister{})
	informer := cache.NewSharedIndexInformer(gated, &corev1.Pod{}, 0,
		cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	var changes atomic.Int64
	done := make(chan struct{})
	changed := func(object any) {
		changes.Add(1)
		if pod, err := meta.Accessor(object); err == nil && pod.GetResourceVersion() == last {
			close(done)
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(object any, initial bool) {
			if !initial {
				changed(object)
			}
		},
		UpdateFunc: func(_, object any) { changed(object) },
		DeleteFunc: changed,
	})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go informer.RunWithContext(ctx)
	cache.WaitForCacheSync(ctx.Done(), informer.HasSynced)
	fmt.Println("listed")
	if _, err := fmt.Scanln(&last); err != nil {
		panic(err)
	}

	started, busy := time.Now(), processorTime()
	close(gate)
	<-done
	spent, busy := time.Since(started), processorTime()-busy
	events := float64(changes.Load())
	report("watch, "+what, "/s", events/spent.Seconds())
	report("watch, "+what+", CPU per event", "ns", float64(busy.Nanoseconds())/events)
}

// processorTime is what all threads of this process have had.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
