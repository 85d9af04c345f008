package main

import (
	"reflect"
	"time"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// filler sets every field of each message once, each to another value.
type filler struct {
	done  map[reflect.Type]bool
	count int64
}

func (f *filler) fill(value reflect.Value) {
	f.count++
	if f.fillSpecial(value) {
		return
	}
	switch value.Kind() {
	case reflect.Pointer:
		value.Set(reflect.New(value.Type().Elem()))
		f.fill(value.Elem())
	case reflect.Struct:
		f.fillStruct(value)
	case reflect.Slice:
		value.Set(reflect.MakeSlice(value.Type(), int(f.count%2+1), 2))
		for i := range value.Len() {
			f.fill(value.Index(i))
		}
	case reflect.Map:
		value.Set(reflect.MakeMap(value.Type()))
		for range f.count%2 + 1 {
			element := reflect.New(value.Type().Elem()).Elem()
			f.fill(element)
			f.count++
			value.SetMapIndex(reflect.ValueOf(f.text()).Convert(value.Type().Key()), element)
		}
	case reflect.String:
		value.SetString(f.text())
	case reflect.Bool:
		value.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		// Beyond one byte, and below zero.
		value.SetInt((f.count*37 - 300) * (1 - f.count%2*2))
	case reflect.Uint8:
		value.SetUint(uint64(f.count * 41 % 256))
	case reflect.Float64:
		value.SetFloat(float64(f.count) / 8)
	default:
		panic("cannot fill " + value.Type().String())
	}
}

func (f *filler) fillStruct(value reflect.Value) {
	done := f.done[value.Type()]
	f.done[value.Type()] = true
	for i := range value.NumField() {
		// A time that must be there is null where it is not, and no type takes that.
		isTime := value.Type().Field(i).Type == reflect.TypeFor[metav1.Time]()
		if _, ok := protobufTag(value.Type().Field(i)); ok && (!done || isTime) {
			f.fill(value.Field(i))
		}
	}
}

func (f *filler) text() string {
	return []string{"a", "\u00e4\"", "", "x-y", "\U0001f980"}[f.count%5] + string(rune('a'+f.count%26))
}

// fillSpecial sets what has a form of its own in JSON.
func (f *filler) fillSpecial(value reflect.Value) bool {
	moment := time.Unix(f.count*98_765_431%4_000_000_000-1_000_000_000, f.count*123_456_789%1_000_000_000)
	switch special := value.Addr().Interface().(type) {
	case *metav1.Time:
		*special = metav1.NewTime(moment)
	case *metav1.MicroTime:
		*special = metav1.NewMicroTime(moment)
	case *resource.Quantity:
		*special = *resource.NewMilliQuantity(f.count*250, resource.DecimalSI)
	case *intstr.IntOrString:
		*special = intstr.FromInt32(int32(f.count))
		if f.count%2 == 0 {
			*special = intstr.FromString("http")
		}
	case *metav1.FieldsV1:
		special.SetRawString(`{"f:a":{".":{}}}`)
	case *runtime.RawExtension:
		special.Raw = []byte(`{"a":[1,"b",null]}`)
	case *apiextensions.JSON:
		special.Raw = []byte(`{"a":1.5}`)
	case *apiextensions.JSONSchemaPropsOrBool:
		special.Allows = true
		if f.count%2 == 0 {
			special.Schema = &apiextensions.JSONSchemaProps{Type: f.text()}
		}
	case *apiextensions.JSONSchemaPropsOrArray:
		special.Schema = &apiextensions.JSONSchemaProps{Type: f.text()}
	case *apiextensions.JSONSchemaPropsOrStringArray:
		special.Property = []string{f.text(), f.text()}
	default:
		return false
	}
	return true
}
