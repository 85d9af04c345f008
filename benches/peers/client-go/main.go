// Command peers measures client-go's caches and queues, statedb's change feed, and statedb's and go-memdb's
// tables on the workload of ../main.rs, and prints one JSON line per figure. ../run runs the two in turn and
// prints them side by side.
package main

import (
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"time"
)

// row is one figure. "ns" is time per operation, "/s" operations per second, "B" bytes.
type row struct {
	Peer  string  `json:"peer"`
	Case  string  `json:"case"`
	Unit  string  `json:"unit"`
	Value float64 `json:"value"`
}

type bench struct {
	name string
	run  func()
}

var (
	objects   = flag.Int("objects", 100_000, "objects in the store")
	millis    = flag.Int("duration", 500, "how long a case runs, in milliseconds")
	only      = flag.String("only", "", "run the cases whose name contains this, or one of these between slashes")
	server    = flag.String("kubeconfig", "", "only sync with this server, see -keep")
	follow    = flag.Bool("watch", false, "with a server: not its list but its watch, once a line of input says up to which version")
	keep      = flag.String("keep", "typed", "what watchcache keeps in the case compared with: typed, lazy or slim")
	transform = flag.Bool("transform", false, "with a server, its list only: keep no more than watchcache does")
	accept    = flag.String("accept", "json", "with a server: what is asked for, json (the default of custom resources) or default")

	duration time.Duration
)

func main() {
	flag.Parse()
	if *server != "" {
		measure := initialSync
		if *follow {
			measure = watchThroughput
		}
		measure(*server, *keep+", "+label(*accept))
		return
	}
	duration = time.Duration(*millis) * time.Millisecond
	for _, bench := range slices.Concat(storeBenches(), tableBenches(), queueBenches(), feedBenches(), informerBenches()) {
		if slices.ContainsFunc(strings.Split(*only, "/"), func(part string) bool { return strings.Contains(bench.name, part) }) {
			bench.run()
		}
	}
}

// label names what is asked for.
func label(accept string) string {
	if accept == "default" {
		return "client-go's default"
	}
	return "JSON"
}

var out = json.NewEncoder(os.Stdout)

func report(name, unit string, value float64) {
	reportOf("client-go", name, unit, value)
}

func reportOf(peer, name, unit string, value float64) {
	_ = out.Encode(row{peer, name, unit, value})
}

func perOperation(name string, op func() int) {
	report(name, "ns", nanoseconds(op))
}

// nanoseconds repeats op, which does a number of operations, for the duration; the time of one.
func nanoseconds(op func() int) float64 {
	count, started := 0, time.Now()
	for time.Since(started) < duration {
		count += op()
	}
	return float64(time.Since(started).Nanoseconds()) / float64(count)
}
