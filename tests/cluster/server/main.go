// Command server runs one etcd and one Kubernetes API server on loopback, for tests.
//
// It prints one JSON line when both are ready (see ready), then obeys the commands that it reads
// from its standard input, a line each (see control.go), and answers each with one JSON line. When
// its input closes, or on SIGINT or SIGTERM, it stops both and removes everything that it wrote.
//
// Both servers are the published commands, linked into this binary and run as its children, so
// that each can be stopped, killed and started by itself.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) > 1 {
		runChild(os.Args[1], os.Args[2:])
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// ready is the first line of output.
type ready struct {
	// Server is the API server's URL.
	Server string `json:"server"`
	// Kubeconfig is the administrator's.
	Kubeconfig string `json:"kubeconfig"`
	// Distrusting is a kubeconfig that trusts another authority than the API server's.
	Distrusting string `json:"distrusting"`
	// Distrusted is a kubeconfig whose client certificate the API server does not trust.
	Distrusted string `json:"distrusted"`
	// Expired is a kubeconfig whose client certificate is no longer valid.
	Expired string `json:"expired"`
	// Versions of the modules that this binary is built from.
	Kubernetes string `json:"kubernetes"`
	Etcd       string `json:"etcd"`
}

func run() (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	directory, err := os.MkdirTemp("", "watchcache-cluster-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()

	cluster, err := newCluster(directory)
	if err != nil {
		return err
	}
	defer cluster.stop()
	if err := cluster.start(ctx); err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(cluster.ready()); err != nil {
		return err
	}
	return control(ctx, cluster, os.Stdin, out)
}
