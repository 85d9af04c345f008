package main

import (
	"sync"
	"time"

	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// queued is how many keys wait at once.
const queued = 1_000

func queueBenches() []bench {
	return []bench{
		{"queue", workqueueRounds},
		{"queue", workqueueHandOver},
		{"queue", fifoRounds},
	}
}

func items(count int) []*item {
	items := make([]*item, count)
	for i := range items {
		items[i] = newItem(i, 1)
	}
	return items
}

// workqueueRounds adds keys, then gets and finishes each, all in one goroutine.
func workqueueRounds() {
	queue := workqueue.NewTyped[string]()
	defer queue.ShutDown()
	var keys []string
	for _, item := range items(queued) {
		keys = append(keys, item.key())
	}
	perOperation("queue: add, take, done", func() int {
		for _, key := range keys {
			queue.Add(key)
		}
		for range keys {
			key, _ := queue.Get()
			queue.Done(key)
		}
		return len(keys)
	})
}

// workqueueHandOver has one goroutine that adds and one that gets; every key is added anew when it is done.
func workqueueHandOver() {
	queue := workqueue.NewTyped[string]()
	var keys []string
	for _, item := range items(queued) {
		keys = append(keys, item.key())
	}
	count := 0
	var consumer sync.WaitGroup
	consumer.Go(func() {
		for {
			key, shutdown := queue.Get()
			if shutdown {
				return
			}
			count++
			queue.Done(key)
		}
	})
	started := time.Now()
	for time.Since(started) < duration {
		for _, key := range keys {
			queue.Add(key)
		}
	}
	queue.ShutDown()
	consumer.Wait()
	report("queue: taken, one adds, one takes", "/s", float64(count)/time.Since(started).Seconds())
}

// fifoRounds adds objects, then pops each.
func fifoRounds() {
	fifo := cache.NewFIFO(cache.MetaNamespaceKeyFunc)
	items := items(queued)
	process := func(any, bool) error { return nil }
	perOperation("queue: add, pop", func() int {
		for _, item := range items {
			_ = fifo.Add(item)
		}
		for range items {
			_, _ = fifo.Pop(process)
		}
		return len(items)
	})
}
