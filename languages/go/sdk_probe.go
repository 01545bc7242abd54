// Package functions does through the SDK what tests/languages/sdk_behaviour.json asks.
package functions

import (
	"context"
	"encoding/json"
	"errors"
	"sort"

	"sabir"
)

// ProbeCall is the SDK's call.
func ProbeCall(ctx context.Context, address string, arguments map[string]any) (any, error) {
	return sabir.Call[any](ctx, address, arguments)
}

type probeError struct {
	Type    string `json:"type"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

// ProbeCallError gives the error that comes.
func ProbeCallError(ctx context.Context, address string, arguments map[string]any) (probeError, error) {
	_, err := sabir.Call[any](ctx, address, arguments)
	var failed *sabir.Error
	if !errors.As(err, &failed) {
		return probeError{}, errors.New("there was no error")
	}
	return probeError{failed.Type, failed.Message, failed.Hint}, nil
}

// ProbeFunctions gives the addresses of all functions.
func ProbeFunctions(ctx context.Context) ([]string, error) {
	all, err := sabir.Functions(ctx)
	addresses := []string{}
	for _, one := range all {
		addresses = append(addresses, one.Address)
	}
	sort.Strings(addresses)
	return addresses, err
}

// ProbePut is memory put.
//
//   - namespace: where (default "")
func ProbePut(ctx context.Context, key string, value any, namespace string) (int64, error) {
	return sabir.Memory.PutWith(ctx, key, value, sabir.PutOptions{Namespace: namespace})
}

// ProbePutIf is conditional put.
func ProbePutIf(ctx context.Context, key string, value any, version int64) (map[string]any, error) {
	made, err := sabir.Memory.PutWith(ctx, key, value, sabir.PutOptions{IfVersion: &version})
	var failed *sabir.Error
	if errors.As(err, &failed) {
		return map[string]any{"type": failed.Type}, nil
	}
	return map[string]any{"version": made}, err
}

// ProbeGet is memory get.
//
//   - namespace: where (default "")
func ProbeGet(ctx context.Context, key string, namespace string) (any, error) {
	var value any
	_, err := sabir.Memory.GetFrom(ctx, namespace, key, &value)
	return value, err
}

type probeItem struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// ProbeList is memory list.
func ProbeList(ctx context.Context, prefix string) ([]probeItem, error) {
	items, err := sabir.Memory.List(ctx, "", prefix)
	out := []probeItem{}
	for _, item := range items {
		out = append(out, probeItem{item.Key, item.Value})
	}
	return out, err
}

// ProbeDelete is memory delete.
func ProbeDelete(ctx context.Context, key string) (bool, error) {
	return sabir.Memory.Delete(ctx, "", key)
}

// ProbeAppend adds a message.
func ProbeAppend(ctx context.Context, conversation, role, content string) (int64, error) {
	return sabir.Memory.Append(ctx, conversation, sabir.Message{Role: role, Content: content})
}

// ProbeMessages gives the last messages.
//
//   - limit: how many (default 0)
func ProbeMessages(ctx context.Context, conversation string, limit int) ([]sabir.Message, error) {
	return sabir.Memory.Messages(ctx, conversation, limit)
}

// ProbeRender gives a completion's text.
func ProbeRender(ctx context.Context, name string, variables map[string]any) (string, error) {
	return sabir.Render(ctx, name, variables)
}

// ProbeComplete gives a model's reply.
func ProbeComplete(ctx context.Context, prompt string) (string, error) {
	reply, err := sabir.Complete(ctx, prompt)
	return reply.Content, err
}

type probeAnswer struct {
	Content           string `json:"content"`
	ConversationIsSet bool   `json:"conversation_is_set"`
}

// ProbeAsk asks an assistant.
func ProbeAsk(ctx context.Context, assistant, message string) (probeAnswer, error) {
	answer, err := sabir.Ask(ctx, assistant, message, "")
	return probeAnswer{answer.Content, answer.Conversation != ""}, err
}

// ProbeSecret gives a secret's value.
//
// Secrets: probe_secret
func ProbeSecret(ctx context.Context, name string) (string, error) {
	return sabir.Secret(ctx, name)
}

// ProbeSecretError gives the type of the error.
func ProbeSecretError(ctx context.Context, name string) (string, error) {
	_, err := sabir.Secret(ctx, name)
	var failed *sabir.Error
	if errors.As(err, &failed) {
		return failed.Type, nil
	}
	return "", err
}

// ProbeProgress reports each step.
func ProbeProgress(ctx context.Context, steps int) int {
	for i := 1; i <= steps; i++ {
		sabir.Progress(ctx, float64(i), float64(steps), "")
	}
	return steps
}

// ProbeLog writes one record.
func ProbeLog(ctx context.Context, message string) string {
	sabir.Log(ctx, "info", message)
	return message
}

// ProbeContext gives the caller's context.
func ProbeContext(context sabir.Context) sabir.Context { return context }
