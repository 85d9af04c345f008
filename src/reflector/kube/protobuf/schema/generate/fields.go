package main

import (
	"reflect"
	"strconv"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// special are the types that are something else in JSON than their messages are.
var special = map[reflect.Type]string{
	reflect.TypeFor[metav1.Time]():                                "Time",
	reflect.TypeFor[metav1.MicroTime]():                           "MicroTime",
	reflect.TypeFor[resource.Quantity]():                          "Quantity",
	reflect.TypeFor[intstr.IntOrString]():                         "IntOrString",
	reflect.TypeFor[metav1.FieldsV1]():                            "Json",
	reflect.TypeFor[runtime.RawExtension]():                       "Json",
	reflect.TypeFor[apiextensions.JSON]():                         "Json",
	reflect.TypeFor[apiextensions.JSONSchemaPropsOrBool]():        "SchemaOrBool",
	reflect.TypeFor[apiextensions.JSONSchemaPropsOrArray]():       "SchemaOrSchemas",
	reflect.TypeFor[apiextensions.JSONSchemaPropsOrStringArray](): "SchemaOrTexts",
}

// field is one of a message.
type field struct {
	number int
	json   string
	// form and kind are names of the table's variants.
	form, kind string
	// message is the type of a field that is a message or a list or map of them, else nil.
	message reflect.Type
}

// fields are those of a message, by their numbers.
func fields(message reflect.Type) map[int]field {
	all := map[int]field{}
	for i := range message.NumField() {
		goField := message.Field(i)
		number, ok := protobufTag(goField)
		if !ok {
			continue
		}
		name, options, _ := strings.Cut(goField.Tag.Get("json"), ",")
		has := func(option string) bool {
			return strings.Contains(","+options+",", ","+option+",")
		}
		form, value := formOf(goField.Type, has("omitempty"), has("omitzero"))
		if has("inline") || goField.Anonymous && name == "" {
			form = "Inline"
		}
		kind, nested := kindOf(value)
		if nested == reflect.TypeFor[metav1.ManagedFieldsEntry]() && form == "List" {
			form = "ManagedFields"
		}
		all[number] = field{number, name, form, kind, nested}
	}
	return all
}

// formOf says how a field is there, and the type of its value, or of one of its values.
func formOf(goType reflect.Type, omitEmpty, omitZero bool) (string, reflect.Type) {
	switch {
	case goType.Kind() == reflect.Pointer:
		return "Optional", goType.Elem()
	case goType.Kind() == reflect.Map && goType.Key().Kind() == reflect.String:
		return "Map", goType.Elem()
	case goType.Kind() == reflect.Slice && goType.Elem().Kind() != reflect.Uint8:
		if isTexts(goType) {
			break
		}
		return "List", goType.Elem()
	}
	// Go's encoder does not take a struct for empty.
	if omitZero || omitEmpty && goType.Kind() != reflect.Struct {
		return "NonZero", goType
	}
	return "Always", goType
}

func kindOf(goType reflect.Type) (string, reflect.Type) {
	if name, ok := special[goType]; ok {
		// These hold schemas, which the table must have, too.
		if strings.HasPrefix(name, "Schema") {
			return name, reflect.TypeFor[apiextensions.JSONSchemaProps]()
		}
		return name, nil
	}
	switch goType.Kind() {
	case reflect.String:
		return "Text", nil
	case reflect.Bool:
		return "Boolean", nil
	case reflect.Int32:
		return "Int32", nil
	case reflect.Int, reflect.Int64:
		return "Integer", nil
	case reflect.Float64:
		return "Double", nil
	case reflect.Slice:
		if isTexts(goType) {
			return "Texts", nil
		}
		if goType.Elem().Kind() == reflect.Uint8 {
			return "Bytes", nil
		}
	case reflect.Struct:
		return "Message", goType
	}
	panic("no kind for " + goType.String())
}

// isTexts says whether a slice of strings is a message of its own, as a map's value must be.
func isTexts(goType reflect.Type) bool {
	_, ok := reflect.PointerTo(goType).MethodByName("ProtoMessage")
	_, marshal := reflect.PointerTo(goType).MethodByName("MarshalToSizedBuffer")
	return goType.Kind() == reflect.Slice && goType.Elem().Kind() == reflect.String && (ok || marshal)
}

// protobufTag is a field's number.
func protobufTag(goField reflect.StructField) (int, bool) {
	parts := strings.Split(goField.Tag.Get("protobuf"), ",")
	if len(parts) < 2 {
		return 0, false
	}
	number, err := strconv.Atoi(parts[1])
	must(err)
	return number, true
}
