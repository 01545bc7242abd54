package memory

import (
	"context"
	"reflect"
	"testing"
)

func TestWhatWasStoredIsGivenBack(t *testing.T) {
	result := map[string]any{"words": int64(3), "list": []any{int64(1), 2.5, nil}, "text": "Été"}
	if _, err := StoreResult(context.Background(), result, "go test"); err != nil {
		t.Fatal(err)
	}
	got, err := RetrieveResult(context.Background(), "go test")
	if err != nil || !reflect.DeepEqual(got, any(result)) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestANameWithoutAResultGivesNil(t *testing.T) {
	if got, err := RetrieveResult(context.Background(), "nothing was stored here"); err != nil || got != nil {
		t.Errorf("got %v, %v", got, err)
	}
}
