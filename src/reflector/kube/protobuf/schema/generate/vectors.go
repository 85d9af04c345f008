package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
)

// vectors are lines of a base64 text and a JSON text: each kind twice, with every field set and with
// none. What a message has of its own is written in the first kind that has such a message, and left
// out in those after it; a Pod is the first.
func vectors(all []kind) []byte {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b kind) int { return place(a) - place(b) })
	filler := filler{done: map[reflect.Type]bool{}}
	var out bytes.Buffer
	for _, kind := range all {
		for _, fill := range []bool{true, false} {
			value := reflect.New(kind.goType)
			if fill {
				filler.fill(value.Elem())
			}
			object := value.Interface().(runtime.Object)
			object.GetObjectKind().SetGroupVersionKind(kind.GroupVersionKind)
			write(&out, object)
		}
	}
	return out.Bytes()
}

func place(kind kind) int {
	if kind.Kind == "Pod" {
		return 0
	}
	return 1
}

func write(out *bytes.Buffer, object runtime.Object) {
	var wire, text bytes.Buffer
	must(protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(object, &wire))
	plain := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, json.SerializerOptions{})
	must(plain.Encode(object, &text))
	// The text has its line's end.
	fmt.Fprintf(out, "%s %s", base64.StdEncoding.EncodeToString(wire.Bytes()), text.Bytes())
}
