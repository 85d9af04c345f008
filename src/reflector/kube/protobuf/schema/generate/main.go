// Writes the schema table from the struct tags of Kubernetes' Go types, which say what the .proto files
// do not: what is inlined, what is left out when it is zero, and what a field is called in JSON. And
// writes vectors to test it by: each kind as client-go encodes it, in protobuf and in JSON.
//
// Run in this folder: `go run .`
package main

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"sort"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

const (
	tableFile   = "../table.rs"
	vectorsFile = "../../tests/vectors.txt"
	streamsFile = "../../tests/streams.txt"
)

// kind is one that a server serves, in one version.
type kind struct {
	schema.GroupVersionKind
	goType reflect.Type
}

func main() {
	all := kinds()
	must(os.WriteFile(tableFile, table(withDeleteOptions(all)), 0o644))
	must(os.WriteFile(vectorsFile, vectors(all), 0o644))
	must(os.WriteFile(streamsFile, streams(), 0o644))
}

// kinds are all that have metadata and a stable version, and a Status, in the table's order.
func kinds() []kind {
	must(apiextensions.AddToScheme(scheme.Scheme))
	must(apiregistration.AddToScheme(scheme.Scheme))
	stable := regexp.MustCompile(`^v\d+$`)
	var all []kind
	for gvk, goType := range scheme.Scheme.AllKnownTypes() {
		if stable.MatchString(gvk.Version) && hasMetadata(goType) {
			checkList(gvk)
			all = append(all, kind{gvk, goType})
		}
	}
	metadata := metav1.SchemeGroupVersion.WithKind("PartialObjectMetadata")
	all = append(all, kind{metadata, reflect.TypeFor[metav1.PartialObjectMetadata]()})
	status := schema.GroupVersionKind{Version: "v1", Kind: "Status"}
	all = append(all, kind{status, reflect.TypeFor[metav1.Status]()})
	return inOrder(all)
}

// withDeleteOptions adds what a client writes that deletes, which is no object.
func withDeleteOptions(all []kind) []kind {
	options := metav1.SchemeGroupVersion.WithKind("DeleteOptions")
	return inOrder(append(slices.Clone(all), kind{options, reflect.TypeFor[metav1.DeleteOptions]()}))
}

func inOrder(all []kind) []kind {
	sort.Slice(all, func(i, j int) bool { return all[i].order() < all[j].order() })
	return all
}

func (k kind) order() string { return k.apiVersion() + " " + k.Kind }

func (k kind) apiVersion() string { return k.GroupVersion().String() }

// hasMetadata says whether a type is that of an object; the decoder finds metadata by this number.
func hasMetadata(goType reflect.Type) bool {
	field, ok := goType.FieldByName("ObjectMeta")
	if !ok || field.Type != reflect.TypeFor[metav1.ObjectMeta]() {
		return false
	}
	if tag, ok := protobufTag(field); !ok || tag != 1 {
		panic(goType.String() + " has its metadata elsewhere")
	}
	return true
}

// checkList makes sure that a list of the kind is as the decoder takes every list to be.
func checkList(gvk schema.GroupVersionKind) {
	gvk.Kind += "List"
	list, ok := scheme.Scheme.AllKnownTypes()[gvk]
	if !ok {
		return
	}
	for name, number := range map[string]int{"ListMeta": 1, "Items": 2} {
		field, _ := list.FieldByName(name)
		if tag, ok := protobufTag(field); !ok || tag != number {
			panic(list.String() + " is another kind of list")
		}
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
