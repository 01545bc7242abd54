package sabir

import (
	"context"
	"encoding/json"
	"time"
)

// Memory is the project's one store, which every language shares.
var Memory memory

type memory struct{}

// PutOptions of Memory.PutWith.
type PutOptions struct {
	Namespace string
	IfVersion *int64 // only when the item has this version; 0: only when the key is new
	TTL       time.Duration
}

// Item of Memory.List.
type Item struct {
	Key       string          `json:"key"`
	Value     json.RawMessage `json:"value"`
	Version   int64           `json:"version"`
	UpdatedMS int64           `json:"updated_ms"`
}

// The engine's own namespace stands where none is named.
func within(namespace string, params map[string]any) map[string]any {
	if namespace != "" {
		params["namespace"] = namespace
	}
	return params
}

// Put stores a JSON value and gives its version.
func (m memory) Put(ctx context.Context, key string, value any) (int64, error) {
	return m.PutWith(ctx, key, value, PutOptions{})
}

// PutWith stores under conditions. Errors: *Error of type "conflict" when the version is another.
func (memory) PutWith(ctx context.Context, key string, value any, options PutOptions) (int64, error) {
	params := within(options.Namespace, map[string]any{"key": key, "value": value})
	if options.IfVersion != nil {
		params["if_version"] = *options.IfVersion
	}
	if options.TTL > 0 {
		params["ttl_ms"] = options.TTL.Milliseconds()
	}
	var answer struct {
		Version int64 `json:"version"`
	}
	err := request(ctx, "memory.put", params, "value", &answer, nil)
	return answer.Version, err
}

// Get decodes an item's value into `into`; false when there is none.
func (m memory) Get(ctx context.Context, key string, into any) (bool, error) {
	return m.GetFrom(ctx, "", key, into)
}

// GetFrom is Get in a namespace.
func (memory) GetFrom(ctx context.Context, namespace, key string, into any) (bool, error) {
	var answer struct {
		Found bool            `json:"found"`
		Value json.RawMessage `json:"value"`
	}
	if err := request(ctx, "memory.get", within(namespace, map[string]any{"key": key}), "", &answer, nil); err != nil || !answer.Found {
		return false, err
	}
	if err := decodeInto(answer.Value, into); err != nil {
		return true, &Error{Type: "invalid_result", Message: "the item " + key + " does not fit: " + err.Error()}
	}
	return true, nil
}

// List gives the items whose keys begin with `prefix`, in the order of their keys.
func (memory) List(ctx context.Context, namespace, prefix string) ([]Item, error) {
	const page = 1000
	var all []Item
	after := ""
	for {
		var answer struct {
			Items []Item `json:"items"`
		}
		params := within(namespace, map[string]any{"prefix": prefix, "limit": page})
		if after != "" {
			params["after"] = after
		}
		if err := request(ctx, "memory.list", params, "", &answer, nil); err != nil {
			return nil, err
		}
		all = append(all, answer.Items...)
		if len(answer.Items) < page {
			return all, nil
		}
		after = answer.Items[len(answer.Items)-1].Key
	}
}

// Delete tells whether there was such an item.
func (memory) Delete(ctx context.Context, namespace, key string) (bool, error) {
	var answer struct {
		Deleted bool `json:"deleted"`
	}
	err := request(ctx, "memory.delete", within(namespace, map[string]any{"key": key}), "", &answer, nil)
	return answer.Deleted, err
}

// Append adds a message to a conversation's log and gives its number.
func (memory) Append(ctx context.Context, conversation string, message Message) (int64, error) {
	var answer struct {
		Seq int64 `json:"seq"`
	}
	err := request(ctx, "memory.append", map[string]any{"conversation": conversation, "message": message}, "message", &answer, nil)
	return answer.Seq, err
}

// Messages gives a conversation's last messages, oldest first; limit 0 = the engine's own.
func (memory) Messages(ctx context.Context, conversation string, limit int) ([]Message, error) {
	params := map[string]any{"conversation": conversation}
	if limit > 0 {
		params["limit"] = limit
	}
	var answer struct {
		Messages []struct {
			Message Message `json:"message"`
		} `json:"messages"`
	}
	if err := request(ctx, "memory.messages", params, "", &answer, nil); err != nil {
		return nil, err
	}
	out := make([]Message, 0, len(answer.Messages))
	for _, one := range answer.Messages {
		out = append(out, one.Message)
	}
	return out, nil
}
