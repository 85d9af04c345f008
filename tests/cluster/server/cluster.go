package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// cluster is the two servers and what they need on disk.
type cluster struct {
	credentials credentials
	etcd        *child
	apiserver   *child
	etcdURL     string
	apiURL      string
}

func newCluster(directory string) (*cluster, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	c := &cluster{
		etcdURL: fmt.Sprintf("http://127.0.0.1:%d", ports[0]),
		apiURL:  fmt.Sprintf("https://127.0.0.1:%d", ports[2]),
	}
	if c.credentials, err = writeCredentials(directory, c.apiURL); err != nil {
		return nil, err
	}
	peerURL := fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	c.etcd = &child{
		name:  "etcd",
		log:   filepath.Join(directory, "etcd.log"),
		probe: probe(http.DefaultClient, c.etcdURL+"/health"),
		arguments: []string{
			"--name=etcd",
			"--data-dir=" + filepath.Join(directory, "etcd"),
			"--listen-client-urls=" + c.etcdURL,
			"--advertise-client-urls=" + c.etcdURL,
			"--listen-peer-urls=" + peerURL,
			"--initial-advertise-peer-urls=" + peerURL,
			"--initial-cluster=etcd=" + peerURL,
			"--log-level=warn",
			// The API server's cache learns within a second how far etcd is, and so do bookmarks.
			"--watch-progress-notify-interval=1s",
			// The data lives as long as the process; it has to survive a kill, not a power cut.
			"--unsafe-no-fsync",
		},
	}
	probeAPIServer, err := c.apiserverProbe()
	if err != nil {
		return nil, err
	}
	c.apiserver = &child{
		name:  "apiserver",
		log:   filepath.Join(directory, "apiserver.log"),
		probe: probeAPIServer,
		arguments: []string{
			"--etcd-servers=" + c.etcdURL,
			"--bind-address=127.0.0.1",
			"--advertise-address=127.0.0.1",
			fmt.Sprintf("--secure-port=%d", ports[2]),
			"--tls-cert-file=" + c.credentials.serverCertificate,
			"--tls-private-key-file=" + c.credentials.serverKey,
			"--client-ca-file=" + c.credentials.authority,
			"--service-account-issuer=" + c.apiURL,
			"--service-account-key-file=" + c.credentials.serverKey,
			"--service-account-signing-key-file=" + c.credentials.serverKey,
			"--service-cluster-ip-range=10.0.0.0/24",
			"--authorization-mode=RBAC",
			// Its accounts come from the controller manager, which does not run here.
			"--disable-admission-plugins=ServiceAccount",
			// The address is loopback, which no Endpoints object may name.
			"--endpoint-reconciler-type=none",
			// History ends when a test says so.
			"--etcd-compaction-interval=0",
			// Secrets are watched in etcd itself, so that its compaction is felt.
			"--watch-cache-sizes=secrets#0",
			"--profiling=false",
		},
	}
	return c, nil
}

func (c *cluster) start(ctx context.Context) error {
	if err := c.etcd.start(ctx); err != nil {
		return err
	}
	return c.apiserver.start(ctx)
}

func (c *cluster) stop() {
	c.apiserver.signal(syscall.SIGKILL)
	c.etcd.signal(syscall.SIGKILL)
}

func (c *cluster) ready() ready {
	return ready{
		Server:      c.apiURL,
		Kubeconfig:  c.credentials.administrator,
		Distrusting: c.credentials.distrusting,
		Distrusted:  c.credentials.distrusted,
		Expired:     c.credentials.expired,
		Kubernetes:  moduleVersion("k8s.io/kubernetes"),
		Etcd:        moduleVersion("go.etcd.io/etcd/server/v3"),
	}
}

// compact makes etcd forget every revision before its present one, which it returns.
func (c *cluster) compact(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	client, err := clientv3.New(clientv3.Config{Context: ctx, Endpoints: []string{c.etcdURL}})
	if err != nil {
		return 0, err
	}
	defer client.Close()
	now, err := client.Get(ctx, "any", clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	_, err = client.Compact(ctx, now.Header.Revision, clientv3.WithCompactPhysical())
	return now.Header.Revision, err
}

// apiserverProbe asks the API server, as the administrator, whether all of its parts are up.
func (c *cluster) apiserverProbe() (func(context.Context) error, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.credentials.administrator)
	if err != nil {
		return nil, err
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	return probe(client, c.apiURL+"/readyz"), nil
}

// probe asks a URL, which answers 200 when the server is ready.
func probe(client *http.Client, url string) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("not ready: %s", response.Status)
		}
		return nil
	}
}

// freePorts finds ports that nobody listens on. They are all held until the last one is found, so
// they differ.
func freePorts(count int) ([]int, error) {
	ports := make([]int, count)
	for i := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

func moduleVersion(path string) string {
	info, _ := debug.ReadBuildInfo()
	for _, module := range info.Deps {
		if module.Path == path {
			return module.Version
		}
	}
	return "unknown"
}
