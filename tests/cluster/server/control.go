package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"syscall"
)

// answer is the line that follows a command.
type answer struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
	// Revision is etcd's, after "compact".
	Revision int64 `json:"revision,omitempty"`
}

// control obeys commands until the input closes or the context ends.
//
//	compact                         etcd forgets its history before now
//	start|stop|kill etcd|apiserver  starts it until it is ready, asks it to end, ends it at once
func control(ctx context.Context, c *cluster, in io.Reader, out *json.Encoder) error {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(in); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case line, open := <-lines:
			if !open {
				return nil
			}
			revision, err := obey(ctx, c, strings.Fields(line))
			reply := answer{OK: err == nil, Revision: revision}
			if err != nil {
				reply.Error = err.Error()
			}
			if err := out.Encode(reply); err != nil {
				return err
			}
		}
	}
}

func obey(ctx context.Context, c *cluster, words []string) (revision int64, err error) {
	switch {
	case len(words) == 1 && words[0] == "compact":
		return c.compact(ctx)
	case len(words) == 2:
		server, known := map[string]*child{"etcd": c.etcd, "apiserver": c.apiserver}[words[1]]
		if !known {
			return 0, fmt.Errorf("unknown server %q: expected etcd or apiserver", words[1])
		}
		switch words[0] {
		case "start":
			return 0, server.start(ctx)
		case "stop":
			server.signal(syscall.SIGTERM)
			return 0, nil
		case "kill":
			server.signal(syscall.SIGKILL)
			return 0, nil
		}
	}
	return 0, fmt.Errorf("unknown command %q", strings.Join(words, " "))
}
