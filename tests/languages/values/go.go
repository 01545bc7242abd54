// Package functions tells what values are when they arrive, and what comes of those that go back: tests/languages/test_values.py.
package functions

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"time"
)

func Echo(value any) any { return value }

func Kind(value any) string { return fmt.Sprintf("%T", value) }

func Absent(given *string) string {
	if given == nil {
		return "null"
	}
	return *given
}

func Size(data []byte) int { return len(data) }

func Bytes(count int) []byte { return []byte(strings.Repeat("\a", count)) }

func Text(count int) string { return strings.Repeat("é", count) }

func Later(at time.Time) time.Time { return at.Add(time.Millisecond) }

func Next(n *big.Int) *big.Int { return new(big.Int).Add(n, big.NewInt(1)) }

type members struct {
	A int    `json:"a"`
	B *int   `json:"b,omitempty"`
	C []*int `json:"c"`
}

func Odd(name string) any {
	return map[string]any{"nan": math.NaN(), "infinity": math.Inf(-1), "surrogate": "a\xff", "inside": map[string]any{"a": []any{math.NaN()}},
		"absent": nil, "member": members{A: 1, C: []*int{nil}}}[name]
}
