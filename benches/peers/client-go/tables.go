package main

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/cilium/statedb"
	"github.com/cilium/statedb/index"
	"github.com/hashicorp/go-memdb"
)

// table is one of the databases of Go that are kept in memory, read by snapshots and written in transactions.
// Each has an index by namespace, as every watchcache store has.
type table struct {
	peer      string
	get       func(id string) *record
	namespace func(name string) iter.Seq[*record]
	all       func() iter.Seq[*record]
	write     func(batch []*record)
}

// tableBenches measures on them what they have in common with a store: client-go has no transactions that
// readers see as a whole, and no snapshots.
func tableBenches() []bench {
	var benches []bench
	for _, open := range []func() *table{openStatedb, openMemdb} {
		benches = append(benches,
			bench{"get", func() { open().gets("get") }},
			bench{"get, borrowed", func() { open().gets("get, borrowed") }},
			bench{"get and read two fields", func() { open().getsAndReads() }},
			bench{"list a namespace", func() { open().lists() }},
			bench{"list all", func() { open().listsAll() }},
			bench{"update", func() { open().updates("update, one at a time, both by namespace", 1) }},
			bench{"update", func() { open().updates("update, 64 at a time, both by namespace", batchSize) }},
		)
	}
	return benches
}

func openStatedb() *table {
	db := statedb.New()
	byNamespace := statedb.Index[*record, string]{
		Name:       "namespace",
		FromObject: func(r *record) index.KeySet { return index.NewKeySet(index.String(r.Namespace)) },
		FromKey:    index.String,
	}
	records := statedb.MustNewTable(db, "items", byID, byNamespace)
	return filledTable(&table{
		peer: "statedb",
		get: func(id string) *record {
			found, _, _ := records.Get(db.ReadTxn(), byID.Query(id))
			return found
		},
		namespace: func(name string) iter.Seq[*record] {
			return statedb.ToSeq(records.List(db.ReadTxn(), byNamespace.Query(name)))
		},
		all: func() iter.Seq[*record] { return statedb.ToSeq(records.All(db.ReadTxn())) },
		write: func(batch []*record) {
			txn := db.WriteTxn(records)
			for _, record := range batch {
				if _, _, err := records.Insert(txn, record); err != nil {
					panic(err)
				}
			}
			txn.Commit()
		},
	})
}

// field is an index of go-memdb's. Its own StringFieldIndex looks fields up by reflection, which costs more.
type field func(*record) string

func (f field) FromObject(object any) (bool, []byte, error) {
	return true, append([]byte(f(object.(*record))), 0), nil
}

func (f field) FromArgs(arguments ...any) ([]byte, error) {
	return append([]byte(arguments[0].(string)), 0), nil
}

func openMemdb() *table {
	const items, id, namespace = "items", "id", "namespace"
	db, err := memdb.NewMemDB(&memdb.DBSchema{Tables: map[string]*memdb.TableSchema{items: {
		Name: items,
		Indexes: map[string]*memdb.IndexSchema{
			id:        {Name: id, Unique: true, Indexer: field(func(r *record) string { return r.id })},
			namespace: {Name: namespace, Indexer: field(func(r *record) string { return r.Namespace })},
		},
	}}})
	if err != nil {
		panic(err)
	}
	walk := func(index string, arguments ...any) iter.Seq[*record] {
		found, err := db.Txn(false).Get(items, index, arguments...)
		if err != nil {
			panic(err)
		}
		return func(yield func(*record) bool) {
			for next := found.Next(); next != nil && yield(next.(*record)); next = found.Next() {
			}
		}
	}
	return filledTable(&table{
		peer: "go-memdb",
		get: func(key string) *record {
			found, err := db.Txn(false).First(items, id, key)
			if err != nil {
				panic(err)
			}
			return found.(*record)
		},
		namespace: func(name string) iter.Seq[*record] { return walk(namespace, name) },
		all:       func() iter.Seq[*record] { return walk(id) },
		write: func(batch []*record) {
			txn := db.Txn(true)
			for _, record := range batch {
				if err := txn.Insert(items, record); err != nil {
					panic(err)
				}
			}
			txn.Commit()
		},
	})
}

func filledTable(table *table) *table {
	table.write(records(1))
	return table
}

func (t *table) gets(name string) {
	ids := ids()
	next := 0
	t.report(name, func() int {
		for range 1024 {
			if t.get(ids[next]) == nil {
				panic("missing")
			}
			if next++; next == len(ids) {
				next = 0
			}
		}
		return 1024
	})
}

func (t *table) getsAndReads() {
	ids := ids()
	next := 0
	get := func() int {
		read := 0
		for range 1024 {
			found := t.get(ids[next])
			read += len(found.ResourceVersion) + len(found.owner)
			if next++; next == len(ids) {
				next = 0
			}
		}
		sink.Add(int64(read))
		return 1024
	}
	t.report("get and read two fields", get)
	t.report("get, borrowed, and read two fields", get)
}

func (t *table) lists() {
	i := 0
	t.report("list a namespace", func() int {
		i++
		found := slices.Collect(t.namespace(fmt.Sprintf("namespace-%04d", i%100)))
		sink.Add(int64(len(found)))
		return 1
	})
	t.report("list a namespace, in place", func() int {
		i++
		count := 0
		for range t.namespace(fmt.Sprintf("namespace-%04d", i%100)) {
			count++
		}
		sink.Add(int64(count))
		return 1
	})
}

func (t *table) listsAll() {
	t.report("list all", func() int {
		sink.Add(int64(len(slices.Collect(t.all()))))
		return 1
	})
}

// updates measures whole rounds over all objects; making the objects is not measured.
func (t *table) updates(name string, size int) {
	var spent time.Duration
	count := 0
	for version := 2; spent < duration; version++ {
		round := slices.Collect(slices.Chunk(records(version), size))
		started := time.Now()
		for _, batch := range round {
			t.write(batch)
		}
		spent += time.Since(started)
		count += *objects
	}
	reportOf(t.peer, name, "ns", float64(spent.Nanoseconds())/float64(count))
}

func (t *table) report(name string, op func() int) {
	reportOf(t.peer, name, "ns", nanoseconds(op))
}

func ids() []string {
	ids := make([]string, *objects)
	for i := range ids {
		ids[i] = newItem(order(i), 1).key()
	}
	return ids
}
