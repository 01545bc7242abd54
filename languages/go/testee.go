// Package testee is what the conformance runner calls. conformance/README.md describes each function.
package testee

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"sabir"
)

type TesteeError struct{ message string }

func (e *TesteeError) Error() string { return e.message }

// Echo gives its argument.
func Echo(value any) any { return value }

// Subtract gives a - b.
func Subtract(a, b float64) float64 { return a - b }

// ContextUser joins the greeting and the caller's user by a space.
func ContextUser(greeting string, context sabir.Context) string { return greeting + " " + context.User }

// ContextFields gives the whole context.
func ContextFields(context sabir.Context) sabir.Context { return context }

// Fail returns an error with that text.
func Fail(message string) error { return &TesteeError{message} }

// NotANumber gives NaN, which JSON cannot carry.
func NotANumber() []float64 { return []float64{1, math.NaN()} }

// Unfit gives a value without any JSON form.
func Unfit() any { return func() {} }

// Count yields 0 … n - 1.
func Count(ctx context.Context, n int) <-chan int {
	out := make(chan int)
	go func() {
		defer close(out)
		for i := 0; i < n; i++ {
			select {
			case out <- i:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// TextOf gives `size` bytes of text.
func TextOf(size int) string { return strings.Repeat("é", size/2) + strings.Repeat("x", size%2) }

// BytesOf gives `size` bytes, each its index modulo 256.
func BytesOf(size int) []byte {
	out := make([]byte, size)
	for i := range out {
		out[i] = byte(i)
	}
	return out
}

// Length gives the characters of a string, the bytes of a byte sequence.
func Length(value any) (int, error) {
	switch v := value.(type) {
	case string:
		return utf8.RuneCountInString(v), nil
	case []byte:
		return len(v), nil
	}
	return 0, errors.New("neither text nor bytes")
}

// Kind tells bytes from text.
func Kind(value any) string {
	switch value.(type) {
	case []byte:
		return "bytes"
	case string:
		return "text"
	}
	return "other"
}

// PrintLine writes to standard output and standard error, which are the log.
func PrintLine(text string) string {
	fmt.Println(text)
	fmt.Fprintln(os.Stderr, text)
	return text
}

// Sleep waits without talking to the engine.
func Sleep(milliseconds int) int {
	time.Sleep(time.Duration(milliseconds) * time.Millisecond)
	return milliseconds
}

// CallEngine is functions.call of the engine.
func CallEngine(ctx context.Context, address string, arguments map[string]any) (any, error) {
	return sabir.Call[any](ctx, address, arguments)
}

// CallEngineCaught gives the engine's error as a value.
func CallEngineCaught(ctx context.Context, address string) map[string]any {
	value, err := sabir.Call[any](ctx, address, nil)
	var failed *sabir.Error
	if errors.As(err, &failed) {
		return map[string]any{"type": failed.Type, "message": failed.Message}
	}
	return map[string]any{"value": value}
}

// Report sends one progress and one log notification before the answer.
func Report(ctx context.Context, message string) string {
	sabir.Progress(ctx, 1, 2, message)
	sabir.Log(ctx, "info", message)
	return message
}

var runCount int

// CountRun tells how often it ran in this worker.
func CountRun() int {
	runCount++
	return runCount
}

// Runs tells how often CountRun ran in this worker.
func Runs() int { return runCount }

type point struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

type structured struct {
	Point  point  `json:"point"`
	Colour string `json:"colour"`
}

// Structured gives the language's own structured types.
func Structured() structured { return structured{point{1.5, 2}, "red"} }

// AnHourLater gives the moment an hour later.
func AnHourLater(moment time.Time) time.Time { return moment.Add(time.Hour) }
