package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

// runChild is a child's main: the real command, which ends with its parent.
func runChild(name string, arguments []string) {
	go func() {
		// The parent holds the other end and never writes: this returns when the parent is gone.
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	switch name {
	case "etcd":
		etcdmain.Main(append([]string{name}, arguments...))
	case "apiserver":
		command := app.NewAPIServerCommand()
		command.SetArgs(arguments)
		os.Exit(cli.Run(command))
	default:
		fmt.Fprintf(os.Stderr, "error: unknown command %q\n", name)
		os.Exit(2)
	}
}

// child is a server that runs in a process of its own and can be started again.
type child struct {
	name      string
	arguments []string
	log       string
	// probe says whether the server is ready.
	probe func(context.Context) error

	command *exec.Cmd
	leash   io.Closer
	exited  chan struct{}
}

const (
	startTimeout = 2 * time.Minute
	stopTimeout  = 20 * time.Second
)

// start runs the server and returns once it is ready.
func (c *child) start(ctx context.Context) error {
	if c.running() {
		return fmt.Errorf("%s runs already", c.name)
	}
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.Command(binary, append([]string{c.name}, c.arguments...)...)
	command.Stdout, command.Stderr = log, log
	leash, err := command.StdinPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		_ = command.Wait()
	}()
	c.command, c.leash, c.exited = command, leash, exited
	return c.waitReady(ctx)
}

func (c *child) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := c.probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-c.exited:
			return fmt.Errorf("%s ended: %s\n%s", c.name, c.command.ProcessState, c.tail())
		case <-ctx.Done():
			c.signal(syscall.SIGKILL)
			return fmt.Errorf("%s does not become ready: %w\n%s", c.name, err, c.tail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (c *child) running() bool {
	if c.command == nil {
		return false
	}
	select {
	case <-c.exited:
		return false
	default:
		return true
	}
}

// signal ends the server and waits until it is gone: SIGTERM lets it finish first, SIGKILL does not.
func (c *child) signal(signal syscall.Signal) {
	if !c.running() {
		return
	}
	_ = c.command.Process.Signal(signal)
	select {
	case <-c.exited:
	case <-time.After(stopTimeout):
		_ = c.command.Process.Kill()
		<-c.exited
	}
	_ = c.leash.Close()
}

// tail is the end of the server's log, for an error message.
func (c *child) tail() string {
	text, _ := os.ReadFile(c.log)
	lines := strings.Split(string(bytes.TrimSpace(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
