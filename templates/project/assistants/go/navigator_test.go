package assistants

import (
	"context"
	"strings"
	"testing"

	"sabir"
)

// The model is played by tests/scripted_replies.json; the function it calls is the real one.
func TestNavigatorAsksTheFunction(t *testing.T) {
	answer, err := sabir.Ask(context.Background(), "navigator", "How far is it from Paris to Rome?", "")
	if err != nil || !strings.Contains(answer.Content, "1106") {
		t.Errorf("got %q, %v", answer.Content, err)
	}
}
