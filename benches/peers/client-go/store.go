package main

import (
	"fmt"
	goruntime "runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

const batchSize = 64

// item is a cached object with 128 bytes of content.
type item struct {
	metav1.ObjectMeta
	owner string
	body  [16]uint64
}

// newItem is the i'th object in a version. Keys are 40 bytes and in no particular order; ten objects
// have the same owner.
func newItem(i, version int) *item {
	scattered := uint64(i) * 0x9E37_79B9_7F4A_7C15
	return &item{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       fmt.Sprintf("namespace-%04d", i%100),
			Name:            fmt.Sprintf("web-%020d", scattered),
			ResourceVersion: strconv.Itoa(version),
		},
		owner: owner(i),
	}
}

func owner(i int) string { return "owner-" + strconv.Itoa(i/10) }

func (i *item) key() string { return i.Namespace + "/" + i.Name }

var indexers = cache.Indexers{
	cache.NamespaceIndex: cache.MetaNamespaceIndexFunc,
	"owner":              func(object any) ([]string, error) { return []string{object.(*item).owner}, nil },
}

// byNamespace is the one index that every watchcache store has, and every informer.
var byNamespace = cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}

func filled(indexers cache.Indexers) (cache.ThreadSafeStore, []string) {
	store := cache.NewThreadSafeStore(indexers, cache.Indices{})
	items := make(map[string]any, *objects)
	for i := range *objects {
		item := newItem(i, 1)
		items[item.key()] = item
	}
	store.Replace(items, "1")
	keys := make([]string, *objects)
	for i := range keys {
		keys[i] = newItem(order(i), 1).key()
	}
	return store, keys
}

// order visits all objects, in another order than that of insertion.
func order(i int) int { return i * 7_919 % *objects }

var sink atomic.Int64

func storeBenches() []bench {
	return []bench{
		{"get", func() {
			store, keys := filled(cache.Indexers{})
			perOperation("get", gets(store, keys))
		}},
		{"get, borrowed", func() {
			store, keys := filled(cache.Indexers{})
			perOperation("get, borrowed", gets(store, keys))
		}},
		{"get and read two fields", func() {
			store, keys := filled(cache.Indexers{})
			perOperation("get and read two fields", getsAndReads(store, keys))
		}},
		{"get and read two fields", func() {
			store, keys := filled(cache.Indexers{})
			perOperation("get, borrowed, and read two fields", getsAndReads(store, keys))
		}},
		{"get beside a writer", func() { getsBesideAWriter(1) }},
		{"get by 8 readers beside a writer", func() { getsBesideAWriter(8) }},
		{"get by 80 readers beside a writer", func() { getsBesideAWriter(80) }},
		{"list a namespace", func() { listANamespace("list a namespace") }},
		{"list a namespace", func() { listANamespace("list a namespace, in place") }},
		{"index lookup", func() {
			store, _ := filled(indexers)
			i := 0
			perOperation("index lookup", func() int {
				i++
				found, _ := store.ByIndex("owner", owner(order(i%*objects)))
				sink.Add(int64(len(found)))
				return 1
			})
		}},
		{"list all", func() {
			store, _ := filled(cache.Indexers{})
			perOperation("list all", func() int {
				sink.Add(int64(len(store.List())))
				return 1
			})
		}},
		{"update", func() { updates("update, one at a time", cache.Indexers{}, 1) }},
		{"update", func() { updates("update, 64 at a time", cache.Indexers{}, batchSize) }},
		{"update", func() { updates("update, one at a time, both by namespace", byNamespace, 1) }},
		{"update", func() { updates("update, 64 at a time, both by namespace", byNamespace, batchSize) }},
		{"update", func() { updates("update, 64 at a time, two indexes", indexers, batchSize) }},
		{"replace", func() { replaces("replace all, 1 % changed", cache.Indexers{}) }},
		{"replace", func() { replaces("replace all, 1 % changed, both by namespace", byNamespace) }},
		{"longest get during a relist", relistPause},
		{"memory of an index", indexMemory},
	}
}

func listANamespace(name string) {
	store, _ := filled(indexers)
	names := make([]string, 100)
	for i := range names {
		names[i] = fmt.Sprintf("namespace-%04d", i)
	}
	i := 0
	perOperation(name, func() int {
		i++
		found, _ := store.ByIndex(cache.NamespaceIndex, names[i%100])
		sink.Add(int64(len(found)))
		return 1
	})
}

func gets(store cache.ThreadSafeStore, keys []string) func() int {
	next := 0
	return func() int {
		for range 1024 {
			if _, found := store.Get(keys[next]); !found {
				panic("missing")
			}
			if next++; next == len(keys) {
				next = 0
			}
		}
		return 1024
	}
}

// getsAndReads looks at what it gets, as whoever gets an object does: at its version and its owner.
func getsAndReads(store cache.ThreadSafeStore, keys []string) func() int {
	next := 0
	return func() int {
		read := 0
		for range 1024 {
			found, _ := store.Get(keys[next])
			object := found.(*item)
			read += len(object.ResourceVersion) + len(object.owner)
			if next++; next == len(keys) {
				next = 0
			}
		}
		sink.Add(int64(read))
		return 1024
	}
}

// batches makes updates of all objects in one version.
func batches(version, size int) [][]cache.ThreadSafeStoreTransaction {
	var batches [][]cache.ThreadSafeStoreTransaction
	for start := 0; start < *objects; start += size {
		var batch []cache.ThreadSafeStoreTransaction
		for i := start; i < min(start+size, *objects); i++ {
			item := newItem(order(i), version)
			batch = append(batch, cache.ThreadSafeStoreTransaction{
				Transaction: cache.Transaction{Type: cache.TransactionTypeUpdate, Object: item}, Key: item.key(),
			})
		}
		batches = append(batches, batch)
	}
	return batches
}

type transactor interface {
	Transaction(...cache.ThreadSafeStoreTransaction)
}

func getsBesideAWriter(readers int) {
	store, keys := filled(cache.Indexers{})
	rounds := [][][]cache.ThreadSafeStoreTransaction{batches(2, batchSize), batches(3, batchSize)}
	var reads, writes atomic.Int64
	var stop atomic.Bool
	var running sync.WaitGroup
	running.Go(func() {
		for round := 0; !stop.Load(); round++ {
			for _, batch := range rounds[round%2] {
				store.(transactor).Transaction(batch...)
				writes.Add(int64(len(batch)))
				if stop.Load() {
					return
				}
			}
		}
	})
	for range readers {
		running.Go(func() {
			for get := gets(store, keys); !stop.Load(); {
				reads.Add(int64(get()))
			}
		})
	}
	time.Sleep(duration / 5)
	reads.Store(0)
	writes.Store(0)
	started := time.Now()
	time.Sleep(duration)
	elapsed := time.Since(started).Seconds()
	got, wrote := reads.Load(), writes.Load()
	stop.Store(true)
	running.Wait()
	label := plural(readers)
	report("get beside a writer, "+label, "/s", float64(got)/elapsed)
	report("the writer beside "+label, "/s", float64(wrote)/elapsed)
}

func plural(readers int) string {
	if readers == 1 {
		return "1 reader"
	}
	return fmt.Sprintf("%d readers", readers)
}

// updates measures whole rounds over all objects; making the objects is not measured.
func updates(name string, indexers cache.Indexers, size int) {
	store, _ := filled(indexers)
	var spent time.Duration
	count := 0
	for version := 2; spent < duration; version++ {
		round := batches(version, size)
		started := time.Now()
		for _, batch := range round {
			if size == 1 {
				store.Update(batch[0].Key, batch[0].Object)
			} else {
				store.(transactor).Transaction(batch...)
			}
		}
		spent += time.Since(started)
		count += *objects
	}
	report(name, "ns", float64(spent.Nanoseconds())/float64(count))
}

// replaces relists: the same objects, of which one in a hundred changed.
func replaces(name string, indexers cache.Indexers) {
	store := cache.NewIndexer(cache.MetaNamespaceKeyFunc, indexers)
	list := func(version int) []any {
		list := make([]any, *objects)
		for i := range list {
			if i%100 == 0 {
				list[i] = newItem(i, version)
			} else {
				list[i] = newItem(i, 1)
			}
		}
		return list
	}
	_ = store.Replace(list(1), "1")
	var spent time.Duration
	count := 0
	for version := 2; spent < duration; version++ {
		listed := list(version)
		started := time.Now()
		_ = store.Replace(listed, strconv.Itoa(version))
		spent += time.Since(started)
		count++
	}
	report(name, "ns", float64(spent.Nanoseconds())/float64(count))
}

// relistPause has one goroutine that gets without end while the store is relisted once.
func relistPause() {
	store := cache.NewIndexer(cache.MetaNamespaceKeyFunc, indexers)
	list := func(version int) []any {
		list := make([]any, *objects)
		for i := range list {
			list[i] = newItem(i, 1)
			if i%100 == 0 {
				list[i] = newItem(i, version)
			}
		}
		return list
	}
	_ = store.Replace(list(1), "1")
	listed := list(2)
	keys := make([]string, *objects)
	for i := range keys {
		keys[i] = newItem(order(i), 1).key()
	}
	var done atomic.Bool
	longest := make(chan time.Duration)
	go func() {
		var most time.Duration
		for i := 0; !done.Load(); i++ {
			started := time.Now()
			_, _, _ = store.GetByKey(keys[i%len(keys)])
			most = max(most, time.Since(started))
		}
		longest <- most
	}()
	time.Sleep(20 * time.Millisecond)
	_ = store.Replace(listed, "2")
	done.Store(true)
	report("longest get during a relist", "ns", float64((<-longest).Nanoseconds()))
}

// indexMemory is what a named index takes. Its values share their text with the objects.
func indexMemory() {
	without := heapOf(cache.Indexers{})
	for _, index := range []struct {
		name  string
		value func(*item) string
	}{
		{"100 values", func(i *item) string { return i.Namespace }},
		{"10 objects a value", func(i *item) string { return i.owner }},
		{"a value each", func(i *item) string { return i.Name }},
	} {
		with := heapOf(cache.Indexers{"value": func(object any) ([]string, error) {
			return []string{index.value(object.(*item))}, nil
		}})
		report("memory of an index, "+index.name+", per object", "B", (with-without)/float64(*objects))
	}
}

// heapOf is what a filled store takes, with its objects.
func heapOf(indexers cache.Indexers) float64 {
	before := heap()
	store, keys := filled(indexers)
	after := heap()
	goruntime.KeepAlive(store)
	goruntime.KeepAlive(keys)
	return after - before
}

func heap() float64 {
	goruntime.GC()
	var stats goruntime.MemStats
	goruntime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}
