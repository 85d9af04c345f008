package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/statedb"
	"github.com/cilium/statedb/index"
)

// lead is how many batches the writer is ahead of the slowest subscriber, at most.
const lead = 64

// feedBenches measures the changes of a statedb table: client-go has no feed that is read in place.
func feedBenches() []bench {
	var benches []bench
	for _, subscribers := range []int{100, 1_000} {
		name := fmt.Sprintf("feed deliver %d", subscribers)
		benches = append(benches, bench{name, func() {
			run := feed(subscribers)
			reportOf("statedb", name, "/s", float64(run.deliveries)/run.elapsed.Seconds())
		}})
	}
	for _, subscribers := range []int{0, 1_000} {
		name := fmt.Sprintf("feed writer %d", subscribers)
		benches = append(benches, bench{name, func() {
			run := feed(subscribers)
			var sum time.Duration
			for _, write := range run.writes {
				sum += write
			}
			reportOf("statedb", name+", mean", "ns", float64(sum.Nanoseconds())/float64(len(run.writes)*batchSize))
			slices.Sort(run.writes)
			reportOf("statedb", name, "ns", float64(run.writes[len(run.writes)/2].Nanoseconds())/batchSize)
		}})
	}
	return benches
}

// record is a row of the table: an item that has its key's text, as watchcache's has.
type record struct {
	item
	id string
}

func (*record) TableHeader() []string { return []string{"ID"} }
func (r *record) TableRow() []string  { return []string{r.id} }

// byID is the one index: the least that a table has.
var byID = statedb.Index[*record, string]{
	Name:       "id",
	FromObject: func(r *record) index.KeySet { return index.NewKeySet(index.String(r.id)) },
	FromKey:    index.String,
	Unique:     true,
}

// records makes all objects in one version, in the order in which they are written.
func records(version int) []*record {
	records := make([]*record, *objects)
	for i := range records {
		item := newItem(order(i), version)
		records[i] = &record{item: *item, id: item.key()}
	}
	return records
}

func batched(records []*record) [][]*record {
	return slices.Collect(slices.Chunk(records, batchSize))
}

// place is where a subscriber is. Padded: only the subscriber and the writer look at it.
type place struct {
	seen, revision atomic.Uint64
	_              [112]byte
}

type feedRun struct {
	deliveries uint64
	elapsed    time.Duration
	writes     []time.Duration // of each batch
}

func feed(subscribers int) feedRun {
	db := statedb.New()
	if err := db.Start(); err != nil {
		panic(err)
	}
	defer func() { _ = db.Stop() }()
	table := statedb.MustNewTable(db, "items", byID)
	// Of two rounds, so that no object is written while it is in the table.
	batches := slices.Concat(batched(records(1)), batched(records(1)))
	write := func(batch []*record) {
		txn := db.WriteTxn(table)
		for _, record := range batch {
			if _, _, err := table.Insert(txn, record); err != nil {
				panic(err)
			}
		}
		txn.Commit()
	}
	write(records(1))

	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	places := make([]*place, subscribers)
	for i := range places {
		places[i] = &place{}
		txn := db.WriteTxn(table)
		changes, err := table.Changes(txn)
		txn.Commit()
		if err != nil {
			panic(err)
		}
		running.Go(func() { readChanges(ctx, db, changes, places[i]) })
	}
	// wait returns once all are at most so many batches behind: each change is a revision.
	wait := func(lead int) {
		enough := int(table.Revision(db.ReadTxn())) - lead*batchSize
		for slices.ContainsFunc(places, func(p *place) bool { return int(p.revision.Load()) < enough }) {
			time.Sleep(20 * time.Microsecond)
		}
	}
	// A subscriber begins with the content.
	wait(0)
	var before uint64
	for _, place := range places {
		before += place.seen.Load()
	}

	run := feedRun{}
	started := time.Now()
	for i := 0; time.Since(started) < duration; i++ {
		began := time.Now()
		write(batches[i%len(batches)])
		run.writes = append(run.writes, time.Since(began))
		if len(run.writes)%(lead/4) == 0 {
			wait(lead)
		}
	}
	wait(0)
	run.elapsed = time.Since(started)
	for _, place := range places {
		run.deliveries += place.seen.Load()
	}
	run.deliveries -= before
	cancel()
	running.Wait()
	return run
}

// readChanges reads changes in place, as statedb's documentation does it.
func readChanges(ctx context.Context, db *statedb.DB, iterator statedb.ChangeIterator[*record], at *place) {
	var seen, looked uint64
	for {
		changes, watch := iterator.Next(db.ReadTxn())
		var last statedb.Revision
		for change, revision := range changes {
			looked += uint64(len(change.Object.id)) + change.Object.body[0]
			if change.Deleted {
				looked++
			}
			seen++
			last = revision
		}
		if last > 0 {
			at.seen.Store(seen)
			at.revision.Store(last)
		}
		select {
		case <-ctx.Done():
			sink.Add(int64(looked))
			return
		case <-watch:
		}
	}
}
