package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// credentials are paths of what was written.
type credentials struct {
	authority         string
	serverCertificate string
	serverKey         string

	administrator string
	distrusting   string
	distrusted    string
	expired       string
}

// writeCredentials makes an authority, the API server's certificate and the kubeconfigs.
func writeCredentials(directory, url string) (paths credentials, err error) {
	ours, err := newAuthority("watchcache test cluster")
	if err != nil {
		return paths, err
	}
	theirs, err := newAuthority("some other cluster")
	if err != nil {
		return paths, err
	}
	server, err := ours.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:    []string{"localhost", "kubernetes.default.svc"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return paths, err
	}
	file := func(name string, content []byte) string {
		path := filepath.Join(directory, name)
		if err == nil {
			err = os.WriteFile(path, content, 0o600)
		}
		return path
	}
	paths.authority = file("ca.crt", ours.pem)
	paths.serverCertificate = file("apiserver.crt", server.certificate)
	paths.serverKey = file("apiserver.key", server.key)

	config := func(name string, trusted, issuer *authority, notAfter time.Time) string {
		path := filepath.Join(directory, name+".kubeconfig")
		if err != nil {
			return path
		}
		client, failed := issuer.issue(&x509.Certificate{
			Subject:     pkix.Name{CommonName: "administrator", Organization: []string{"system:masters"}},
			NotAfter:    notAfter,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
		if failed == nil {
			failed = clientcmd.WriteToFile(kubeconfig(url, trusted.pem, client), path)
		}
		err = failed
		return path
	}
	paths.administrator = config("administrator", ours, ours, validUntil())
	paths.distrusting = config("distrusting", theirs, ours, validUntil())
	paths.distrusted = config("distrusted", ours, theirs, validUntil())
	paths.expired = config("expired", ours, ours, time.Now().Add(-time.Minute))
	return paths, err
}

func kubeconfig(url string, authority []byte, client pair) clientcmdapi.Config {
	return clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{
			"test": {Server: url, CertificateAuthorityData: authority},
		},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{
			"user": {ClientCertificateData: client.certificate, ClientKeyData: client.key},
		},
		Contexts:       map[string]*clientcmdapi.Context{"test": {Cluster: "test", AuthInfo: "user"}},
		CurrentContext: "test",
	}
}

// pair is a certificate and its key, in PEM.
type pair struct {
	certificate []byte
	key         []byte
}

// authority issues certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

func newAuthority(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             validFrom(),
		NotAfter:              validUntil(),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{certificate, key, encode("CERTIFICATE", der)}, nil
}

// issue signs a certificate for a new key. A template without an end is valid as long as the authority.
func (a *authority) issue(template *x509.Certificate) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return pair{}, err
	}
	template.SerialNumber = serial
	template.NotBefore = validFrom()
	if template.NotAfter.IsZero() {
		template.NotAfter = validUntil()
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return pair{}, err
	}
	encodedKey, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return pair{}, err
	}
	return pair{encode("CERTIFICATE", der), encode("EC PRIVATE KEY", encodedKey)}, nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func validFrom() time.Time { return time.Now().Add(-time.Hour) }

func validUntil() time.Time { return time.Now().Add(24 * time.Hour) }
