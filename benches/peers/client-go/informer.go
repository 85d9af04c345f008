package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// informerBenches is BenchmarkSharedIndexInformer of client-go's own tests: one namespace of Pods,
// readers that list it without end, and a writer with at most ten events under way.
func informerBenches() []bench {
	sizes, readers := []int{10_000, 20_000, 40_000, 80_000, 160_000}, []int{0, 1, 10, 20, 40, 80}
	benches := informerCases("informer", sizes, readers)
	// The lister copies in any case: the same again, beside what watchcache's readers then do.
	return append(benches, informerCases("informer, lists collected", []int{10_000, 160_000}, readers[1:])...)
}

func informerCases(what string, sizes, readerCounts []int) []bench {
	var benches []bench
	for _, pods := range sizes {
		for _, readers := range readerCounts {
			name := fmt.Sprintf("%s, %d pods, %d readers", what, pods, readers)
			benches = append(benches, bench{name, func() { informer(name, pods, readers) }})
		}
	}
	return benches
}

const namespace = "default"

func informer(name string, count, readers int) {
	pods := make([]corev1.Pod, count)
	for i := range pods {
		pods[i].Name = fmt.Sprintf("web-%020d", uint64(i)*0x9E37_79B9_7F4A_7C15)
		pods[i].Namespace = namespace
		pods[i].ResourceVersion = "1"
	}
	watcher := watch.NewFakeWithChanSize(1, false)
	informer := cache.NewSharedIndexInformerWithOptions(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(context.Context, metav1.ListOptions) (runtime.Object, error) {
			return &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "1"}, Items: pods}, nil
		},
		WatchFuncWithContext: func(context.Context, metav1.ListOptions) (watch.Interface, error) {
			return watcher, nil
		},
	}, lister{}), &corev1.Pod{}, cache.SharedIndexInformerOptions{
		Indexers: cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc},
	})
	var writes, reads atomic.Int64
	underWay := make(chan struct{}, 10)
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(any, any) {
			writes.Add(1)
			<-underWay
		},
	})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { informer.RunWithContext(ctx) })
	cache.WaitForCacheSync(ctx.Done(), informer.HasSynced)

	version := 1
	modify := func() {
		version++
		pod := pods[rand.IntN(len(pods))]
		pod.ResourceVersion = strconv.Itoa(version)
		underWay <- struct{}{}
		watcher.Modify(&pod)
	}
	// The first change arrives after all of the list did.
	modify()
	for writes.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	for range readers {
		running.Go(func() {
			for ctx.Err() == nil {
				_ = cache.ListAllByNamespace(informer.GetIndexer(), namespace, labels.Everything(), func(any) {})
				reads.Add(1)
			}
		})
	}
	time.Sleep(duration / 5)
	writes.Store(0)
	reads.Store(0)
	started := time.Now()
	for time.Since(started) < duration {
		modify()
	}
	elapsed := time.Since(started).Seconds()
	read, wrote := reads.Load(), writes.Load()
	cancel()
	running.Wait()
	if readers > 0 {
		report(name+": lists", "/s", float64(read)/elapsed)
	}
	report(name+": changes", "/s", float64(wrote)/elapsed)
}

// lister tells the informer to list and then watch: the fake cannot stream its list.
type lister struct{}

func (lister) IsWatchListSemanticsUnSupported() bool { return true }
