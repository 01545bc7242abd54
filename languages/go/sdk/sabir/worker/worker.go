// Package worker serves a project's Go functions to the engine (spec/worker-protocol.md). The build program writes a main
// package that adds every function and runs it.
//
// Calls run one at a time: those of functions that were quick on the goroutine that reads, until they wait for something that
// has to be read; all others on the main one.
package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sabir"
	"sabir/internal/wire"
)

// Param is one parameter as the source writes it.
type Param struct {
	Name    string
	Default string // JSON; "" = required, or optional by its type
}

type function struct {
	value    reflect.Value
	name     string
	params   []Param
	types    []reflect.Type
	context  bool // the first parameter is a context.Context
	variadic bool
	quick    atomic.Bool
}

// Worker is what main adds functions to.
type Worker struct {
	functions map[[2]string]*function
	files     map[string]bool
	conn      *wire.Conn
	mu        sync.Mutex
	wake      *sync.Cond
	queue     []*wire.Message
	closed    bool
	busy      bool // a call runs
	running   json.RawMessage
	cancel    func()
}

const quickTime = 200 * time.Microsecond

// New makes an empty worker.
func New() *Worker {
	w := &Worker{functions: map[[2]string]*function{}, files: map[string]bool{}}
	w.wake = sync.NewCond(&w.mu)
	return w
}

var (
	contextType = reflect.TypeOf((*context.Context)(nil)).Elem()
	sabirType   = reflect.TypeOf(sabir.Context{})
	errorType   = reflect.TypeOf((*error)(nil)).Elem()
)

// Add makes a function callable; `params` names its parameters without a leading context.Context.
func (w *Worker) Add(file, name string, value any, params ...Param) {
	f := &function{value: reflect.ValueOf(value), name: name, params: params}
	t := f.value.Type()
	for i := 0; i < t.NumIn(); i++ {
		if i == 0 && t.In(0) == contextType {
			f.context = true
			continue
		}
		f.types = append(f.types, t.In(i))
	}
	f.variadic = t.IsVariadic()
	if len(f.types) != len(params) {
		panic(fmt.Sprintf("%s has %d parameters, not %d", name, len(f.types), len(params)))
	}
	w.files[file] = true
	w.functions[[2]string{file, name}] = f
}

// Run serves until the connection ends.
func (w *Worker) Run() {
	in, out, err := descriptors(os.Getenv("SABIR_FD"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "sabir: the Go worker is started by the engine:", err)
		os.Exit(2)
	}
	os.Unsetenv("SABIR_FD")
	w.conn = wire.New(in, out)
	w.conn.Handle = w.take
	sabir.ServeWorker(w.conn, func() json.RawMessage {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.running
	})
	w.conn.Ended = func() {
		w.mu.Lock()
		w.closed = true
		if w.cancel != nil {
			w.cancel()
		}
		w.mu.Unlock()
		w.wake.Signal()
	}
	go w.conn.Serve()
	for {
		message := w.next()
		if message == nil {
			return
		}
		if *message.Method == "drain" {
			w.conn.AnswerResult(message.ID, []byte("{}"), nil)
			_ = w.conn.Flush()
			return
		}
		w.call(message)
		w.mu.Lock()
		w.busy = false
		w.mu.Unlock()
	}
}

func descriptors(given string) (*os.File, *os.File, error) {
	first, second, two := strings.Cut(given, ",")
	in, err := strconv.Atoi(first)
	if err != nil {
		return nil, nil, errors.New("SABIR_FD has to name its connection")
	}
	file := os.NewFile(uintptr(in), "engine")
	if !two {
		return file, file, nil
	}
	out, err := strconv.Atoi(second)
	if err != nil {
		return nil, nil, errors.New("SABIR_FD has to name its connection")
	}
	return file, os.NewFile(uintptr(out), "engine"), nil
}

// The next call or drain; nil when the connection has ended. Answers leave before it waits.
func (w *Worker) next() *wire.Message {
	w.mu.Lock()
	if len(w.queue) == 0 {
		w.mu.Unlock()
		_ = w.conn.Flush()
		w.mu.Lock()
	}
	defer w.mu.Unlock()
	for (len(w.queue) == 0 || w.busy) && !w.closed {
		w.wake.Wait()
	}
	if w.closed {
		return nil
	}
	message := w.queue[0]
	w.queue = w.queue[1:]
	w.busy = true
	return message
}

// A call: here where it is expected to be quick and nothing is before it, else later. On the reading goroutine.
func (w *Worker) enter(message *wire.Message) bool {
	w.mu.Lock()
	if message.Call != nil && !w.busy && len(w.queue) == 0 && !w.closed {
		if f := w.functions[[2]string{message.Call.Module, message.Call.Function}]; f != nil && f.quick.Load() {
			w.busy = true
			w.mu.Unlock()
			return w.conn.Inline(func() {
				w.call(message)
				w.mu.Lock()
				w.busy = false
				more := len(w.queue) > 0
				w.mu.Unlock()
				if more {
					w.wake.Signal()
				}
			})
		}
	}
	w.queue = append(w.queue, message)
	w.mu.Unlock()
	w.wake.Signal()
	return true
}

// Everything that arrives; on the reading goroutine. False: another one reads by now.
func (w *Worker) take(message *wire.Message) bool {
	method := *message.Method
	if message.ID == nil {
		if method == "cancel" {
			w.cancelled(message.Params)
		}
		return true
	}
	switch method {
	case "call", "drain":
		return w.enter(message)
	case "ping":
		w.conn.AnswerResult(message.ID, []byte("{}"), nil)
	case "hello":
		var params struct {
			Protocol struct {
				Min *int `json:"min"`
				Max *int `json:"max"`
			} `json:"protocol"`
		}
		if err := json.Unmarshal(message.Params, &params); err != nil || params.Protocol.Min == nil || params.Protocol.Max == nil {
			w.conn.AnswerError(message.ID, -32602, "invalid_arguments", "hello needs protocol.min and protocol.max", nil)
			break
		}
		if *params.Protocol.Min > 1 || *params.Protocol.Max < 1 {
			w.conn.AnswerError(message.ID, -32001, "protocol", "this worker speaks protocol 1", nil)
			_ = w.conn.Flush()
			os.Exit(1)
		}
		answer, _ := json.Marshal(map[string]any{"protocol": 1, "language": "go", "runtime": strings.TrimPrefix(runtime.Version(), "go"),
			"sdk": sabir.Version, "capabilities": map[string]bool{"blobs": true, "chunks": true, "cancel": true}})
		w.conn.AnswerResult(message.ID, answer, nil)
	case "start":
		var params struct {
			Project     *string `json:"project"`
			Environment string  `json:"environment"`
		}
		if err := json.Unmarshal(message.Params, &params); err != nil || params.Project == nil {
			w.conn.AnswerError(message.ID, -32602, "invalid_arguments", "start needs the project's folder", nil)
			break
		}
		if os.Getenv("SABIR_PROJECT") == "" {
			os.Setenv("SABIR_PROJECT", *params.Project)
		}
		if os.Getenv("SABIR_ENV") == "" && params.Environment != "" {
			os.Setenv("SABIR_ENV", params.Environment)
		}
		w.conn.AnswerResult(message.ID, []byte("{}"), nil)
	default:
		w.conn.AnswerError(message.ID, -32601, "unknown_method", "unknown method "+method, nil)
	}
	_ = w.conn.Flush()
	return true
}

func (w *Worker) cancelled(raw json.RawMessage) {
	var params struct {
		ID     json.RawMessage `json:"id"`
		Reason string          `json:"reason"`
	}
	if json.Unmarshal(raw, &params) != nil || params.ID == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if bytes.Equal(params.ID, w.running) && w.cancel != nil {
		w.cancel()
		return
	}
	for i, message := range w.queue {
		if *message.Method == "call" && bytes.Equal(message.ID, params.ID) {
			w.queue = append(w.queue[:i:i], w.queue[i+1:]...)
			w.conn.AnswerError(message.ID, -32000, "cancelled", "the call was cancelled before it ran", map[string]any{"reason": params.Reason})
			go func() { _ = w.conn.Flush() }()
			return
		}
	}
}

func (w *Worker) find(module, name string) *function {
	if f := w.functions[[2]string{module, name}]; f != nil {
		return f
	}
	if f := w.functions[[2]string{filepath.Clean(module), name}]; f != nil {
		return f
	}
	for key, f := range w.functions {
		if key[0] == module && snake(key[1]) == name {
			return f
		}
	}
	return nil
}

func snake(name string) string {
	var out strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		upper := r >= 'A' && r <= 'Z'
		if upper && i > 0 {
			before := runes[i-1] >= 'a' && runes[i-1] <= 'z' || runes[i-1] >= '0' && runes[i-1] <= '9'
			after := i+1 < len(runes) && runes[i+1] >= 'a' && runes[i+1] <= 'z' && runes[i-1] >= 'A' && runes[i-1] <= 'Z'
			if before || after {
				out.WriteByte('_')
			}
		}
		if upper {
			r += 'a' - 'A'
		}
		out.WriteRune(r)
	}
	return out.String()
}

func (w *Worker) call(message *wire.Message) {
	refuse := func(text string) { w.conn.AnswerError(message.ID, -32602, "invalid_arguments", text, nil) }
	params := message.Call
	if params == nil {
		params = &wire.Call{}
		if err := json.Unmarshal(message.Params, params); err != nil || params.Function == "" {
			refuse("a call needs module, function and arguments")
			return
		}
	}
	if len(params.Blobs) != len(message.Blobs) {
		refuse(fmt.Sprintf("the frame has %d blobs, the list names %d", len(message.Blobs), len(params.Blobs)))
		return
	}
	var sequences map[string][]byte
	if len(message.Blobs) > 0 {
		sequences = map[string][]byte{}
		whole, err := wire.Place(message.Params, params.Blobs, message.Blobs, sequences)
		if err != nil {
			refuse(err.Error())
			return
		}
		var again wire.Call
		if err := json.Unmarshal(whole, &again); err != nil {
			refuse(err.Error())
			return
		}
		params.Arguments = again.Arguments
	}
	f := w.find(params.Module, params.Function)
	if f == nil {
		w.conn.AnswerError(message.ID, -32000, "unknown_function", fmt.Sprintf("%s has no function %s", params.Module, params.Function), nil)
		return
	}
	ctx := newCallContext(w.conn, message.ID, params.DeadlineMS)
	defer ctx.end()
	arguments, err := w.bind(ctx, f, params, sequences)
	if err != nil {
		refuse(err.Error())
		return
	}
	if !f.quick.Load() {
		_ = w.conn.Flush()
	}
	w.mu.Lock()
	w.running, w.cancel = message.ID, ctx.end
	w.mu.Unlock()
	began := time.Now()
	value, failure := w.run(ctx, f, arguments, message.ID)
	f.quick.Store(time.Since(began) < quickTime)
	w.mu.Lock()
	w.running, w.cancel = nil, nil
	w.mu.Unlock()
	if failure != nil {
		w.conn.AnswerError(message.ID, -32000, failure.kind, failure.message, failure.data)
		return
	}
	text, places, blobs, err := wire.Encode(value, "/value")
	if err != nil {
		w.conn.AnswerError(message.ID, -32000, "invalid_result", fmt.Sprintf("%s returned a value that JSON cannot carry: %v", f.name, err),
			map[string]any{"hint": "return strings, finite numbers, booleans, nil, slices, maps and structs of them"})
		return
	}
	result := append([]byte(`{"value":`), text...)
	if len(places) > 0 {
		listed, _ := json.Marshal(places)
		result = append(append(result, `,"blobs":`...), listed...)
	}
	size := len(result)
	for _, blob := range blobs {
		size += len(blob)
	}
	if size > wire.MaxFrame-1024 || len(blobs) > wire.MaxBlobs {
		w.conn.AnswerError(message.ID, -32000, "invalid_result", fmt.Sprintf("%s returned more than a frame can carry", f.name), nil)
		return
	}
	w.conn.AnswerResult(message.ID, append(result, '}'), blobs)
}

// The arguments in the order of the parameters.
func (w *Worker) bind(ctx context.Context, f *function, params *wire.Call, sequences map[string][]byte) ([]reflect.Value, error) {
	var given map[string]json.RawMessage
	if len(params.Arguments) > 0 {
		if err := json.Unmarshal(params.Arguments, &given); err != nil {
			return nil, errors.New("the arguments are no object")
		}
	}
	var out []reflect.Value
	if f.context {
		out = append(out, reflect.ValueOf(ctx))
	}
	used := 0
	for i, param := range f.params {
		t := f.types[i]
		if t == sabirType && params.ContextParameter == param.Name {
			var caller sabir.Context
			if len(params.Context) > 0 {
				if err := json.Unmarshal(params.Context, &caller); err != nil {
					return nil, errors.New("the context is no object of texts")
				}
			}
			out = append(out, reflect.ValueOf(caller))
			if _, ok := given[param.Name]; ok {
				return nil, fmt.Errorf("the context %s is no argument", param.Name)
			}
			continue
		}
		raw, ok := given[param.Name]
		if ok {
			used++
		} else if param.Default != "" {
			raw, ok = json.RawMessage(param.Default), true
		}
		if f.variadic && i == len(f.params)-1 {
			if !ok {
				continue
			}
			rest := reflect.New(t)
			if err := decode(raw, rest, nil); err != nil {
				return nil, fmt.Errorf("argument /%s: %w", param.Name, err)
			}
			for j := 0; j < rest.Elem().Len(); j++ {
				out = append(out, rest.Elem().Index(j))
			}
			continue
		}
		value := reflect.New(t)
		if !ok {
			if t.Kind() != reflect.Pointer {
				return nil, fmt.Errorf("argument /%s is missing", param.Name)
			}
			out = append(out, value.Elem())
			continue
		}
		if err := decode(raw, value, sequences["/arguments/"+strings.ReplaceAll(strings.ReplaceAll(param.Name, "~", "~0"), "/", "~1")]); err != nil {
			return nil, fmt.Errorf("argument /%s: %w", param.Name, err)
		}
		out = append(out, value.Elem())
	}
	if used != len(given) {
		for name := range given {
			known := false
			for _, param := range f.params {
				known = known || param.Name == name
			}
			if !known {
				return nil, fmt.Errorf("%s has no parameter %s", f.name, name)
			}
		}
	}
	return out, nil
}

// Decodes JSON into a pointer, strictly. `sequence` is the byte sequence that came as a blob at this place, or nil.
func decode(raw json.RawMessage, into reflect.Value, sequence []byte) error {
	switch into.Elem().Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64:
		if into.Elem().Type().PkgPath() == "" {
			return tidy(json.Unmarshal(raw, into.Interface()))
		}
	case reflect.Interface:
		if sequence != nil {
			into.Elem().Set(reflect.ValueOf(sequence))
			return nil
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	decoder.UseNumber()
	if err := decoder.Decode(into.Interface()); err != nil {
		return tidy(err)
	}
	if into.Elem().Kind() == reflect.Interface && into.Elem().NumMethod() == 0 && !into.Elem().IsNil() {
		into.Elem().Set(reflect.ValueOf(wire.Plain(into.Elem().Interface())))
	} else if generic, ok := into.Interface().(*map[string]any); ok {
		wire.Plain(*generic)
	} else if list, ok := into.Interface().(*[]any); ok {
		wire.Plain(*list)
	}
	return nil
}

func tidy(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}

type failure struct {
	kind    string
	message string
	data    map[string]any
}

// Calls the function; what it yields is sent as it comes.
func (w *Worker) run(ctx *callContext, f *function, arguments []reflect.Value, id json.RawMessage) (value any, failed *failure) {
	defer func() {
		if panicked := recover(); panicked != nil {
			value = nil
			failed = w.panicked(panicked)
		}
	}()
	results := f.value.Call(arguments)
	if n := len(results); n > 0 && results[n-1].Type().Implements(errorType) {
		if !results[n-1].IsNil() {
			return nil, w.failure(ctx, results[n-1].Interface().(error))
		}
		results = results[:n-1]
	}
	switch len(results) {
	case 0:
		return nil, nil
	case 1:
		return w.finish(ctx, results[0], id)
	}
	all := make([]any, len(results))
	for i, result := range results {
		all[i] = result.Interface()
	}
	return all, nil
}

func (w *Worker) finish(ctx *callContext, result reflect.Value, id json.RawMessage) (any, *failure) {
	t := result.Type()
	switch {
	case t.Kind() == reflect.Chan && t.ChanDir()&reflect.RecvDir != 0:
		yielded := []any{}
		for {
			chosen, item, ok := reflect.Select([]reflect.SelectCase{
				{Dir: reflect.SelectRecv, Chan: result}, {Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())}})
			if chosen == 1 {
				return nil, &failure{"cancelled", "the call was cancelled while it yielded", nil}
			}
			if !ok {
				return yielded, nil
			}
			if failed := w.chunk(id, item.Interface()); failed != nil {
				return nil, failed
			}
			yielded = append(yielded, item.Interface())
		}
	case isSequence(t):
		yielded := []any{}
		var failed *failure
		yield := reflect.MakeFunc(t.In(0), func(items []reflect.Value) []reflect.Value {
			if len(items) == 2 && !items[1].IsNil() {
				failed = w.failure(ctx, items[1].Interface().(error))
			} else if ctx.Err() != nil {
				failed = &failure{"cancelled", "the call was cancelled while it yielded", nil}
			} else if failed = w.chunk(id, items[0].Interface()); failed == nil {
				yielded = append(yielded, items[0].Interface())
			}
			return []reflect.Value{reflect.ValueOf(failed == nil)}
		})
		result.Call([]reflect.Value{yield})
		return yielded, failed
	case t.Kind() == reflect.Slice && result.IsNil() && t.Elem().Kind() != reflect.Uint8:
		return []any{}, nil
	case t.Kind() == reflect.Map && result.IsNil():
		return map[string]any{}, nil
	}
	return result.Interface(), nil
}

// iter.Seq[T] or iter.Seq2[T, error].
func isSequence(t reflect.Type) bool {
	if t.Kind() != reflect.Func || t.NumIn() != 1 || t.NumOut() != 0 || t.In(0).Kind() != reflect.Func {
		return false
	}
	yield := t.In(0)
	if yield.NumOut() != 1 || yield.Out(0).Kind() != reflect.Bool {
		return false
	}
	return yield.NumIn() == 1 || yield.NumIn() == 2 && yield.In(1) == errorType
}

func (w *Worker) chunk(id json.RawMessage, value any) *failure {
	text, places, blobs, err := wire.Encode(value, "/value")
	if err != nil {
		return &failure{"invalid_result", fmt.Sprintf("a yielded value cannot be carried by JSON: %v", err), nil}
	}
	params := append(append(append([]byte(`{"id":`), id...), `,"value":`...), text...)
	if len(places) > 0 {
		listed, _ := json.Marshal(places)
		params = append(append(params, `,"blobs":`...), listed...)
	}
	_ = w.conn.Notify("chunk", append(params, '}'), blobs)
	return nil
}

func className(err error) string {
	t := reflect.TypeOf(err)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Name() == "errorString" || t.Name() == "wrapError" || t.Name() == "" {
		return "error"
	}
	return t.Name()
}

// A function that gave up because its context was done ended as the context did.
func (w *Worker) failure(ctx *callContext, err error) *failure {
	data := map[string]any{"error_class": className(err)}
	if over := ctx.state(); over != nil && errors.Is(err, over) {
		if errors.Is(err, context.DeadlineExceeded) {
			return &failure{"timeout", "its deadline passed", data}
		}
		return &failure{"cancelled", err.Error(), data}
	}
	var engine *sabir.Error
	if errors.As(err, &engine) {
		data["cause"] = map[string]any{"type": engine.Type, "data": engine.Data}
		if engine.Type == "cancelled" && errors.Is(err, engine) {
			return &failure{"cancelled", err.Error(), data}
		}
	}
	return &failure{"function_error", err.Error(), data}
}

func (w *Worker) panicked(value any) *failure {
	data := map[string]any{"error_class": "panic", "traceback": string(debug.Stack())}
	message := fmt.Sprint(value)
	if err, ok := value.(error); ok {
		data["error_class"] = className(err)
	}
	// The innermost frame in one of the user's own files.
	callers := make([]uintptr, 100)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)])
	for {
		frame, more := frames.Next()
		if w.files[frame.File] {
			data["file"], data["line"] = frame.File, frame.Line
			break
		}
		if !more {
			break
		}
	}
	return &failure{"function_error", "panic: " + message, data}
}
