// Package sabir is the SDK of a Sabir project: functions in every language, memory, prompts, models and secrets.
//
// Inside a function that the engine calls, everything goes over the worker's own connection, under the caller's context.
// In any other process (go test, a service) the SDK joins the project's running engine or starts a private one; there is one
// connection per process. Every error that the engine gives is an *Error.
package sabir

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"sabir/internal/wire"
)

// Version of this SDK, which is the engine's.
const Version = "0.1.0"

// Context is who a call is made for. A parameter of this type is filled in by the engine and is no argument.
type Context struct {
	User         string `json:"user"`
	Tenant       string `json:"tenant"`
	Conversation string `json:"conversation"`
	Run          string `json:"run"`
}

// Assistant declares an assistant: an exported variable of this type, made of literals, in a file of assistants/go. The file's
// name is the assistant's.
type Assistant struct {
	Instructions string
	Prompt       string         // or the name of a template in completions/
	Model        string         // an alias of config/openai_config.yml; "" = the default
	Functions    []string       // which functions it may call, in whatever language they are written
	Parameters   map[string]any // of the model
	MaxSteps     int
	MaxSeconds   int
	History      int
}

// Error is what the engine, or a function it called, answered.
type Error struct {
	Type    string // in snake_case: "unknown_function", "timeout", …
	Message string
	Hint    string // what to do next, or ""
	File    string // the place in a user's file, or ""
	Line    int
	Data    map[string]any
}

func (e *Error) Error() string { return e.Message }

// As turns an error answer into an *Error.
func failed(failure *wire.Failure) *Error {
	out := &Error{Type: "internal", Message: failure.Message, Data: map[string]any{}}
	_ = json.Unmarshal(failure.Data, &out.Data)
	text := func(key string) string {
		value, _ := out.Data[key].(string)
		return value
	}
	if kind := text("type"); kind != "" {
		out.Type = kind
	}
	out.Hint, out.File = text("hint"), text("file")
	if line, ok := out.Data["line"].(float64); ok {
		out.Line = int(line)
	}
	return out
}

// One request; `large` names the members that may hold large values. The result is decoded into `into`.
func request(ctx context.Context, method string, params map[string]any, large string, into any, chunk func(json.RawMessage)) error {
	conn, parent, err := channel(ctx)
	if err != nil {
		return err
	}
	var places []wire.BlobPlace
	var blobs [][]byte
	if large != "" {
		text, found, beside, err := wire.Encode(params[large], "/"+large)
		if err != nil {
			return &Error{Type: "invalid_arguments", Message: fmt.Sprintf("%s cannot be sent: %v", method, err)}
		}
		params[large], places, blobs = json.RawMessage(text), found, beside
	}
	if parent != nil {
		params["parent"] = parent
	}
	if places != nil {
		params["blobs"] = places
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(params); err != nil {
		return &Error{Type: "invalid_arguments", Message: fmt.Sprintf("%s cannot be sent: %v", method, err)}
	}
	message, err := conn.Ask(ctx.Done(), method, bytes.TrimSuffix(buffer.Bytes(), []byte{'\n'}), blobs, chunk)
	switch {
	case errors.Is(err, wire.ErrClosed):
		drop(conn)
		return &Error{Type: "outcome_unknown", Message: "the engine went away during " + method + "; it may or may not have happened",
			Hint: "try again; `sabir engine status` tells whether an engine runs"}
	case message == nil:
		kind := "cancelled"
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			kind = "timeout"
		}
		return &Error{Type: kind, Message: method + " was given up: " + ctx.Err().Error()}
	case message.Error != nil:
		return failed(message.Error)
	}
	result := message.Result
	if len(message.Blobs) > 0 {
		var listed struct {
			Blobs []wire.BlobPlace `json:"blobs"`
		}
		_ = json.Unmarshal(result, &listed)
		if result, err = wire.Place(result, listed.Blobs, message.Blobs, map[string][]byte{}); err != nil {
			return &Error{Type: "protocol", Message: "the engine's answer: " + err.Error()}
		}
	}
	if into == nil {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(result))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return &Error{Type: "invalid_result", Message: fmt.Sprintf("the answer to %s does not fit: %v", method, err)}
	}
	return nil
}

func decode[T any](raw json.RawMessage, what string) (T, error) {
	var out T
	if err := decodeInto(raw, &out); err != nil {
		return out, &Error{Type: "invalid_result", Message: fmt.Sprintf("the value of %s does not fit: %v", what, err)}
	}
	return out, nil
}

func decodeInto(raw json.RawMessage, into any) error {
	if any, ok := into.(*any); ok {
		decoder := json.NewDecoder(bytes.NewReader(raw))
		decoder.UseNumber()
		if err := decoder.Decode(any); err != nil {
			return err
		}
		*any = wire.Plain(*any)
		return nil
	}
	return json.Unmarshal(raw, into)
}

// Args are arguments by name.
type Args = map[string]any

// Call calls a function of the project, in whatever language it is written, and gives its value as a T.
//
// address: "module.function", "function", or with a language in front: "ruby/module.function".
func Call[T any](ctx context.Context, address string, arguments any) (T, error) {
	var answer struct {
		Value json.RawMessage `json:"value"`
	}
	if arguments == nil {
		arguments = Args{}
	}
	if err := request(ctx, "functions.call", map[string]any{"address": address, "arguments": arguments}, "arguments", &answer, nil); err != nil {
		var none T
		return none, err
	}
	return decode[T](answer.Value, address)
}

// Stream calls a function and hands each value that it yields to `each`, as it comes; a function that yields nothing gives its
// one value. An error of `each` ends the call and is returned.
func Stream[T any](ctx context.Context, address string, arguments any, each func(T) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if arguments == nil {
		arguments = Args{}
	}
	var answer struct {
		Value    json.RawMessage `json:"value"`
		Streamed int             `json:"streamed"`
	}
	var own error
	hand := func(raw json.RawMessage) {
		if own != nil {
			return
		}
		value, err := decode[T](raw, address)
		if err == nil {
			err = each(value)
		}
		if err != nil {
			own = err
			stop()
		}
	}
	chunks := make(chan json.RawMessage, 64)
	finished := make(chan struct{})
	// Not on the goroutine that reads: `each` may call the engine.
	go func() {
		defer close(finished)
		for raw := range chunks {
			hand(raw)
		}
	}()
	err := request(ctx, "functions.call", map[string]any{"address": address, "arguments": arguments, "stream": true}, "arguments", &answer,
		func(raw json.RawMessage) {
			select {
			case chunks <- raw:
			case <-ctx.Done():
			}
		})
	close(chunks)
	<-finished
	if own != nil {
		return own
	}
	if err == nil && answer.Streamed == 0 {
		hand(answer.Value)
		err = own
	}
	return err
}

// Function is one entry of Functions.
type Function struct {
	Address      string         `json:"address"`
	Language     string         `json:"language"`
	Summary      string         `json:"summary"`
	Effect       string         `json:"effect"`
	InputSchema  map[string]any `json:"input_schema"`
	OutputSchema map[string]any `json:"output_schema"`
}

// Functions lists the project's functions.
func Functions(ctx context.Context) ([]Function, error) {
	var answer struct {
		Functions []Function `json:"functions"`
	}
	err := request(ctx, "functions.list", map[string]any{}, "", &answer, nil)
	return answer.Functions, err
}

// Render gives a completion template's text with the variables filled in. A float64 is a float there, also a whole one.
func Render(ctx context.Context, name string, variables any) (string, error) {
	if variables == nil {
		variables = Args{}
	}
	var answer struct {
		Text string `json:"text"`
	}
	err := request(ctx, "completions.render", map[string]any{"name": name, "variables": wire.WithPoints(variables)}, "variables", &answer, nil)
	return answer.Text, err
}

// Message is one of a conversation's.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Completion says more than a prompt alone.
type Completion struct {
	Model        string // an alias of config/openai_config.yml; "" = the default
	Messages     []Message
	Tools        []any
	OutputSchema map[string]any
	Parameters   map[string]any // temperature, max_tokens and the like, as the provider names them
}

// Reply is a model's.
type Reply struct {
	Content      string         `json:"content"`
	Model        string         `json:"model"`
	Provider     string         `json:"provider"`
	FinishReason string         `json:"finish_reason"`
	Usage        map[string]any `json:"usage"`
	ToolCalls    []any          `json:"tool_calls"`
}

// Complete gives a model's completion of one text.
func Complete(ctx context.Context, prompt string) (Reply, error) {
	return CompleteWith(ctx, Completion{Messages: []Message{{"user", prompt}}})
}

// CompleteWith gives a model's completion of messages.
func CompleteWith(ctx context.Context, asked Completion) (Reply, error) {
	params := map[string]any{"messages": asked.Messages}
	if asked.Model != "" {
		params["model"] = asked.Model
	}
	if asked.Tools != nil {
		params["tools"] = asked.Tools
	}
	if asked.OutputSchema != nil {
		params["output_schema"] = asked.OutputSchema
	}
	if asked.Parameters != nil {
		params["parameters"] = asked.Parameters
	}
	var reply Reply
	err := request(ctx, "models.complete", params, "messages", &reply, nil)
	return reply, err
}

// Answer is an assistant's; Conversation continues it.
type Answer struct {
	Content      string           `json:"content"`
	Conversation string           `json:"conversation"`
	Model        string           `json:"model"`
	Calls        []map[string]any `json:"calls"`
}

// Ask gives an assistant's answer. conversation: "" begins a new one.
func Ask(ctx context.Context, assistant, message, conversation string) (Answer, error) {
	params := map[string]any{"name": assistant, "message": message}
	if conversation != "" {
		params["conversation"] = conversation
	}
	var answer Answer
	err := request(ctx, "assistants.run", params, "message", &answer, nil)
	return answer, err
}

// Secret gives a secret's value, if the running function is granted it. Keep it out of results and logs.
func Secret(ctx context.Context, name string) (string, error) {
	var answer struct {
		Value string `json:"value"`
	}
	err := request(ctx, "secrets.get", map[string]any{"name": name}, "", &answer, nil)
	return answer.Value, err
}

// Progress tells the caller how far the running call is; total 0 = unknown. Does nothing outside a worker.
func Progress(ctx context.Context, done, total float64, message string) {
	conn, parent := running(ctx)
	if parent == nil {
		return
	}
	params := map[string]any{"id": parent, "done": done, "message": message}
	if total > 0 {
		params["total"] = total
	}
	text, err := json.Marshal(params)
	if err == nil {
		_ = conn.Notify("progress", text, nil)
	}
}

// Log writes one record into the engine's log; on standard error outside a worker. level: debug, info, warning or error.
func Log(ctx context.Context, level, message string) {
	conn, parent := running(ctx)
	if conn == nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", level, message)
		return
	}
	params := map[string]any{"level": level, "message": message}
	if parent != nil {
		params["id"] = parent
	}
	text, err := json.Marshal(params)
	if err == nil {
		_ = conn.Notify("log", text, nil)
	}
}
