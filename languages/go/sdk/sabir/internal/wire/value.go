package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Encode gives a value as JSON with its large strings and byte sequences as blobs; `root` is the value's place.
//
// Errors: what encoding/json says of values that JSON cannot carry.
func Encode(value any, root string) ([]byte, []BlobPlace, [][]byte, error) {
	if raw, ok := value.([]byte); ok && len(raw) >= Blob {
		return []byte("null"), []BlobPlace{{root, "bytes"}}, [][]byte{raw}, nil
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, nil, nil, err
	}
	text := bytes.TrimSuffix(buffer.Bytes(), []byte{'\n'})
	if len(text) < Blob {
		return text, nil, nil, nil
	}
	sequences := map[string][]byte{}
	findBytes(reflect.ValueOf(value), root, sequences, 0)
	var generic any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&generic); err != nil {
		return nil, nil, nil, err
	}
	var places []BlobPlace
	var blobs [][]byte
	generic = cut(generic, root, sequences, &places, &blobs)
	if len(places) == 0 {
		return text, nil, nil, nil
	}
	buffer.Reset()
	if err := encoder.Encode(generic); err != nil {
		return nil, nil, nil, err
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte{'\n'}), places, blobs, nil
}

// WithPoints gives a value in which floats that are whole are written as 2.0, not 2: a template shows them so. Structs, and what
// marshals itself, are as encoding/json writes them.
func WithPoints(value any) any { return withPoints(reflect.ValueOf(value), 0) }

func withPoints(value reflect.Value, depth int) any {
	if !value.IsValid() {
		return nil
	}
	if _, marshals := value.Interface().(json.Marshaler); marshals || depth > 100 {
		return value.Interface()
	}
	switch value.Kind() {
	case reflect.Float32, reflect.Float64:
		if number := value.Float(); number == math.Trunc(number) && math.Abs(number) < 1e21 {
			return json.Number(strconv.FormatFloat(number, 'f', 1, 64))
		}
	case reflect.Pointer, reflect.Interface:
		if !value.IsNil() && value.Elem().Kind() != reflect.Struct {
			return withPoints(value.Elem(), depth+1)
		}
	case reflect.Slice, reflect.Array:
		if value.Type().Elem().Kind() == reflect.Uint8 || (value.Kind() == reflect.Slice && value.IsNil()) {
			return value.Interface()
		}
		items := make([]any, value.Len())
		for i := range items {
			items[i] = withPoints(value.Index(i), depth+1)
		}
		return items
	case reflect.Map:
		if value.Type().Key().Kind() != reflect.String || value.IsNil() {
			return value.Interface()
		}
		members := make(map[string]any, value.Len())
		for _, key := range value.MapKeys() {
			members[key.String()] = withPoints(value.MapIndex(key), depth+1)
		}
		return members
	}
	return value.Interface()
}

func token(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}

// Byte sequences of a blob's size, by their place in the JSON.
func findBytes(value reflect.Value, at string, found map[string][]byte, depth int) {
	if depth > 100 {
		return
	}
	switch value.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !value.IsNil() {
			findBytes(value.Elem(), at, found, depth+1)
		}
	case reflect.Slice:
		if value.Type().Elem().Kind() == reflect.Uint8 {
			if value.Len() >= Blob {
				found[at] = value.Bytes()
			}
			return
		}
		fallthrough
	case reflect.Array:
		for i := 0; i < value.Len(); i++ {
			findBytes(value.Index(i), at+"/"+strconv.Itoa(i), found, depth+1)
		}
	case reflect.Map:
		if value.Type().Key().Kind() == reflect.String {
			for _, key := range value.MapKeys() {
				findBytes(value.MapIndex(key), at+"/"+token(key.String()), found, depth+1)
			}
		}
	case reflect.Struct:
		for i := 0; i < value.NumField(); i++ {
			field := value.Type().Field(i)
			if !field.IsExported() {
				continue
			}
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "" {
				name = field.Name
			}
			findBytes(value.Field(i), at+"/"+token(name), found, depth+1)
		}
	}
}

func cut(value any, at string, sequences map[string][]byte, places *[]BlobPlace, blobs *[][]byte) any {
	switch v := value.(type) {
	case string:
		if raw, ok := sequences[at]; ok {
			*places, *blobs = append(*places, BlobPlace{at, "bytes"}), append(*blobs, raw)
			return nil
		}
		if len(v) >= Blob {
			*places, *blobs = append(*places, BlobPlace{at, "string"}), append(*blobs, []byte(v))
			return nil
		}
	case []any:
		for i := range v {
			v[i] = cut(v[i], at+"/"+strconv.Itoa(i), sequences, places, blobs)
		}
	case map[string]any:
		for name := range v {
			v[name] = cut(v[name], at+"/"+token(name), sequences, places, blobs)
		}
	}
	return value
}

// Place puts blobs into JSON: strings as strings, byte sequences as base64 text. `bytesAt` gets the raw ones by place.
// Errors: a count or a place that does not fit.
func Place(text json.RawMessage, places []BlobPlace, blobs [][]byte, bytesAt map[string][]byte) (json.RawMessage, error) {
	if len(places) != len(blobs) {
		return nil, fmt.Errorf("the frame has %d blobs, the list names %d", len(blobs), len(places))
	}
	if len(blobs) == 0 {
		return text, nil
	}
	var generic any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&generic); err != nil {
		return nil, err
	}
	for i, place := range places {
		var put any
		switch place.Type {
		case "string":
			if !utf8.Valid(blobs[i]) {
				return nil, fmt.Errorf("the string blob %d is not UTF-8", i)
			}
			put = string(blobs[i])
		case "bytes":
			put = base64.StdEncoding.EncodeToString(blobs[i])
			bytesAt[place.At] = blobs[i]
		default:
			return nil, fmt.Errorf("a blob has the unknown type '%s'", place.Type)
		}
		if !strings.HasPrefix(place.At, "/") {
			return nil, fmt.Errorf("a blob's place '%s' is no pointer to a member", place.At)
		}
		if err := putAt(generic, strings.Split(place.At[1:], "/"), put); err != nil {
			return nil, fmt.Errorf("a blob's place '%s': %w", place.At, err)
		}
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(generic); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

func putAt(in any, path []string, value any) error {
	name := strings.ReplaceAll(strings.ReplaceAll(path[0], "~1", "/"), "~0", "~")
	switch v := in.(type) {
	case map[string]any:
		inner, ok := v[name]
		if !ok {
			return fmt.Errorf("there is no member '%s'", name)
		}
		if len(path) > 1 {
			return putAt(inner, path[1:], value)
		}
		if inner != nil {
			return fmt.Errorf("the member '%s' is not null", name)
		}
		v[name] = value
		return nil
	case []any:
		index, err := strconv.Atoi(name)
		if err != nil || index < 0 || index >= len(v) || (len(name) > 1 && name[0] == '0') {
			return fmt.Errorf("there is no item '%s'", name)
		}
		if len(path) > 1 {
			return putAt(v[index], path[1:], value)
		}
		if v[index] != nil {
			return fmt.Errorf("item %d is not null", index)
		}
		v[index] = value
		return nil
	}
	return fmt.Errorf("it points into a plain value")
}

// Plain makes the numbers of a value that was decoded without a type exact Go numbers: int64, float64, or json.Number for
// what neither holds.
func Plain(value any) any {
	switch v := value.(type) {
	case json.Number:
		if whole, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return whole
		}
		if strings.ContainsAny(string(v), ".eE") {
			if number, err := v.Float64(); err == nil && !math.IsInf(number, 0) {
				return number
			}
		}
		return v
	case []any:
		for i := range v {
			v[i] = Plain(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = Plain(v[name])
		}
	}
	return value
}

// Whether a string of the JSON text has half of a surrogate pair, which encoding/json would replace without a word.
func loneSurrogate(text []byte) bool {
	half := func(at int) rune {
		if at+6 > len(text) || text[at] != '\\' || text[at+1] != 'u' {
			return 0
		}
		code, err := strconv.ParseUint(string(text[at+2:at+6]), 16, 16)
		if err != nil || code < 0xd800 || code > 0xdfff {
			return 0
		}
		return rune(code)
	}
	for at := bytes.IndexByte(text, '\\'); at >= 0 && at+1 < len(text); {
		step := 2
		if code := half(at); code >= 0xdc00 || (code > 0 && half(at+6) < 0xdc00) {
			return true
		} else if code > 0 {
			step = 12
		}
		next := bytes.IndexByte(text[at+step:], '\\')
		if next < 0 {
			return false
		}
		at += step + next
	}
	return false
}
