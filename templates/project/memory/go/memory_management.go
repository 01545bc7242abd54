// Package memory keeps what outlives a run. Every language of the project reads and writes the same store.
package memory

import (
	"context"

	"sabir"
)

// StoreResult keeps a result under a name, in place of the one that was there.
// It gives the result's version: 1 for the first of that name, then 2, and so on.
//
//   - result: anything that JSON can hold
//   - name: what to ask for it by (default latest)
func StoreResult(ctx context.Context, result any, name string) (int64, error) {
	return sabir.Memory.Put(ctx, "results/"+name, result)
}

// RetrieveResult gives back the result that was last stored under a name, or null if there is none.
//
//   - name: the name it was stored under (default latest)
//
// Effect: read
func RetrieveResult(ctx context.Context, name string) (any, error) {
	var result any
	_, err := sabir.Memory.Get(ctx, "results/"+name, &result)
	return result, err
}
