// Package wire is one connection of the worker protocol (spec/worker-protocol.md): frames, messages, blobs.
//
// Goroutines: any may send and ask; one reads at a time, in Serve.
package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

const (
	MaxFrame = 64 << 20
	MaxBlobs = 1024
	MaxHead  = 16384
	// Blob is the size from which a string or a byte sequence travels beside the JSON.
	Blob = 65536
)

// Message is one JSON-RPC object with its frame's blobs.
type Message struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  *string         `json:"method"`
	Params  json.RawMessage `json:"params"`
	Result  json.RawMessage `json:"result"`
	Error   *Failure        `json:"error"`
	Blobs   [][]byte        `json:"-"`
	Call    *Call           `json:"-"` // the parameters of a call without blobs, which then has no Params
}

// Call is what a call's parameters say.
type Call struct {
	Module           string          `json:"module"`
	Receiver         string          `json:"receiver"`
	Function         string          `json:"function"`
	Arguments        json.RawMessage `json:"arguments"`
	Context          json.RawMessage `json:"context"`
	ContextParameter string          `json:"context_parameter"`
	Variadic         string          `json:"variadic"`
	DeadlineMS       int64           `json:"deadline_ms"`
	Blobs            []BlobPlace     `json:"blobs"`
}

// Failure is an error answer.
type Failure struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// BlobPlace says where a blob belongs.
type BlobPlace struct {
	At   string `json:"at"`
	Type string `json:"type"`
}

// ErrClosed means that the connection ended before the answer came.
var ErrClosed = errors.New("the connection to the engine has ended")

// Conn is a connection. Handle is called by Serve for every request and notification, and tells what Inline told it, or true;
// Ended, where there is one, when the connection has ended.
type Conn struct {
	Handle func(*Message) bool
	Ended  func()

	in      *bufio.Reader
	out     *os.File
	inline  atomic.Bool // the reading goroutine runs a function
	known   map[string]*Call
	mu      sync.Mutex
	unsent  []byte
	pending map[int64]*waiting
	next    int64
	closed  bool
}

type waiting struct {
	answer chan *Message
	chunk  func(json.RawMessage)
}

// New takes the descriptors' files over; in and out may be the same.
func New(in, out *os.File) *Conn {
	return &Conn{in: bufio.NewReaderSize(in, 65536), out: out, pending: map[int64]*waiting{}, next: 1}
}

type frameError struct{ text string }

func (e *frameError) Error() string { return e.text }

// The sizes in a frame's head.
func (c *Conn) head() ([]int, error) {
	var line []byte
	for {
		c.beforeReading(1)
		if _, err := c.in.Peek(1); err != nil {
			return nil, io.EOF
		}
		part, _ := c.in.Peek(c.in.Buffered())
		if end := bytes.IndexByte(part, '\n'); end >= 0 {
			part = part[:end+1]
		}
		if len(line)+len(part) > MaxHead+1 {
			return nil, &frameError{"a frame's head is longer than 16384 bytes"}
		}
		line = append(line, part...)
		_, _ = c.in.Discard(len(part))
		if line[len(line)-1] == '\n' {
			break
		}
	}
	line = line[:len(line)-1]
	var sizes []int
	total := 0
	for _, part := range bytes.Split(line, []byte{' '}) {
		if len(part) == 0 || len(part) > 9 || (len(part) > 1 && part[0] == '0') {
			return nil, &frameError{"a frame's head is malformed"}
		}
		size := 0
		for _, digit := range part {
			if digit < '0' || digit > '9' {
				return nil, &frameError{"a frame's head is malformed"}
			}
			size = size*10 + int(digit-'0')
		}
		sizes = append(sizes, size)
		total += size
		if len(sizes) > MaxBlobs+1 || total > MaxFrame {
			return nil, &frameError{"a frame is larger than the protocol allows"}
		}
	}
	return sizes, nil
}

// Answers leave before the next read waits. Who holds the lock is about to send, or sending, what there is.
func (c *Conn) beforeReading(size int) {
	if c.in.Buffered() >= size || !c.mu.TryLock() {
		return
	}
	_ = c.flush()
	c.mu.Unlock()
}

// Inline runs a function on the reading goroutine, which spares a call the way to another one. False: another goroutine reads
// by now, and the caller has to return from Handle with that.
func (c *Conn) Inline(run func()) bool {
	c.inline.Store(true)
	returned := false
	defer func() {
		if !returned {
			fmt.Fprintln(os.Stderr, "sabir: a function ended its goroutine (runtime.Goexit)")
			os.Exit(1)
		}
	}()
	run()
	returned = true
	if c.inline.CompareAndSwap(true, false) {
		return true
	}
	// Who reads by now may be waiting already.
	_ = c.Flush()
	return false
}

// HandOver lets another goroutine read, if the reading one runs a function: it is about to wait for what has to be read.
func (c *Conn) HandOver() {
	if c.inline.CompareAndSwap(true, false) {
		go c.Serve()
	}
}

// Serve reads until the connection ends or another goroutine has taken over. A frame that breaks the rules is answered and
// ends it.
func (c *Conn) Serve() {
	for c.serveOne() {
	}
}

func (c *Conn) serveOne() bool {
	sizes, err := c.head()
	if err != nil {
		var broken *frameError
		if errors.As(err, &broken) {
			c.AnswerError(nil, -32600, "protocol", broken.text, nil)
			_ = c.Flush()
		}
		c.end()
		return false
	}
	var blobs [][]byte
	var text []byte
	for i, size := range sizes {
		part := make([]byte, size)
		c.beforeReading(size)
		if _, err := io.ReadFull(c.in, part); err != nil {
			c.end()
			return false
		}
		if i == 0 {
			text = part
		} else {
			blobs = append(blobs, part)
		}
	}
	return c.take(text, blobs)
}

// How the engine begins a call: what differs from call to call, then its arguments; what follows them is the same for each call
// of a function (spec/worker-protocol.md).
var (
	callID         = []byte(`{"jsonrpc":"2.0","id":`)
	callDeadline   = []byte(`,"method":"call","params":{"deadline_ms":`)
	callKey        = []byte(`"idempotency_key":"`)
	callContext    = []byte(`"context":{`)
	callArguments  = []byte(`},"arguments":`)
	afterArguments = []byte(`,"module":`)
	methodCall     = "call"
)

const mostKnown = 1000

func digits(text []byte) int {
	n := 0
	for n < len(text) && n < 15 && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return n
}

// A call of a function that was called before, with its arguments as they are; nil: it is to be looked at as a whole. The split
// is right if both sides are JSON by themselves, since an object ends where its brace does. On the reading goroutine.
func (c *Conn) knownCall(text []byte) *Message {
	at := len(callID)
	if !bytes.HasPrefix(text, callID) {
		return nil
	}
	n := digits(text[at:])
	id := text[at : at+n]
	at += n
	if n == 0 || !bytes.HasPrefix(text[at:], callDeadline) {
		return nil
	}
	at += len(callDeadline)
	n = digits(text[at:])
	milliseconds, err := strconv.ParseInt(string(text[at:at+n]), 10, 64)
	at += n
	if err != nil || at >= len(text) || text[at] != ',' {
		return nil
	}
	at++
	if bytes.HasPrefix(text[at:], callKey) {
		at += len(callKey)
		end := bytes.IndexByte(text[at:], '"')
		if end < 0 || bytes.IndexByte(text[at:at+end], '\\') >= 0 || at+end+1 >= len(text) || text[at+end+1] != ',' {
			return nil
		}
		at += end + 2
	}
	if !bytes.HasPrefix(text[at:], callContext) {
		return nil
	}
	begin := at + len(callContext) - 1
	end := bytes.Index(text[begin:], callArguments)
	cut := bytes.LastIndex(text, afterArguments)
	if end < 0 {
		return nil
	}
	end += begin + 1
	at = begin + (end - begin) - 1 + len(callArguments)
	if cut < at {
		return nil
	}
	context, arguments := text[begin:end], text[at:cut]
	if len(arguments) == 0 || arguments[0] != '{' || !json.Valid(context) || !json.Valid(arguments) {
		return nil
	}
	rest := c.known[string(text[cut:])]
	if rest == nil {
		if rest = c.learn(text[cut:]); rest == nil {
			return nil
		}
	}
	call := *rest
	call.DeadlineMS, call.Context, call.Arguments = milliseconds, context, arguments
	return &Message{Version: "2.0", ID: id, Method: &methodCall, Call: &call}
}

// nil: it is no end of a call's parameters without blobs.
func (c *Conn) learn(text []byte) *Call {
	if !bytes.HasSuffix(text, []byte("}}")) {
		return nil
	}
	whole := append([]byte{'{'}, text[1:len(text)-1]...)
	var members map[string]json.RawMessage
	call := &Call{}
	if json.Unmarshal(whole, &members) != nil || json.Unmarshal(whole, call) != nil || call.Function == "" {
		return nil
	}
	for _, name := range []string{"arguments", "context", "deadline_ms", "blobs"} {
		if _, ok := members[name]; ok {
			return nil
		}
	}
	if c.known == nil || len(c.known) >= mostKnown {
		c.known = map[string]*Call{}
	}
	c.known[string(text)] = call
	return call
}

func (c *Conn) take(text []byte, blobs [][]byte) bool {
	if !utf8.Valid(text) {
		c.AnswerError(nil, -32700, "protocol", "a frame's JSON text does not parse", nil)
		_ = c.Flush()
		return true
	}
	if len(blobs) == 0 && !loneSurrogate(text) {
		if message := c.knownCall(text); message != nil {
			return c.Handle(message)
		}
	}
	if !json.Valid(text) {
		c.AnswerError(nil, -32700, "protocol", "a frame's JSON text does not parse", nil)
		_ = c.Flush()
		return true
	}
	message := &Message{Blobs: blobs}
	isResponse := func() bool {
		return message.Method == nil && message.ID != nil && (message.Result != nil || message.Error != nil)
	}
	if err := json.Unmarshal(text, message); err != nil || message.Version != "2.0" || (message.Method == nil && !isResponse()) {
		c.AnswerError(nil, -32600, "protocol", "a frame's JSON is not a JSON-RPC 2.0 object", nil)
		_ = c.Flush()
		return true
	}
	if loneSurrogate(text) {
		const why = "a string has a lone surrogate, which Go's text cannot hold"
		if message.Method != nil {
			if message.ID != nil {
				c.AnswerError(message.ID, -32602, "invalid_arguments", why, nil)
				_ = c.Flush()
			}
			return true
		}
		message.Result = nil
		message.Error = &Failure{Code: -32000, Message: why, Data: json.RawMessage(`{"type":"invalid_result"}`)}
	}
	if message.Method == nil {
		c.answered(message)
		return true
	}
	if *message.Method == "chunk" && message.ID == nil {
		c.chunk(message)
		return true
	}
	return c.Handle(message)
}

func (c *Conn) answered(message *Message) {
	id, err := strconv.ParseInt(string(message.ID), 10, 64)
	if err != nil {
		return
	}
	c.mu.Lock()
	asked := c.pending[id]
	delete(c.pending, id)
	c.mu.Unlock()
	if asked != nil {
		asked.answer <- message
	}
}

func (c *Conn) chunk(message *Message) {
	var chunk struct {
		ID    int64           `json:"id"`
		Value json.RawMessage `json:"value"`
	}
	if json.Unmarshal(message.Params, &chunk) != nil {
		return
	}
	c.mu.Lock()
	asked := c.pending[chunk.ID]
	c.mu.Unlock()
	if asked != nil && asked.chunk != nil {
		asked.chunk(chunk.Value)
	}
}

func (c *Conn) end() {
	c.mu.Lock()
	c.closed = true
	for _, asked := range c.pending {
		close(asked.answer)
	}
	c.pending = map[int64]*waiting{}
	c.mu.Unlock()
	if c.Ended != nil {
		c.Ended()
	}
}

// Put queues a frame; Flush sends what is queued.
func (c *Conn) Put(text []byte, blobs [][]byte) {
	c.mu.Lock()
	c.put(text, blobs)
	c.mu.Unlock()
}

func (c *Conn) put(text []byte, blobs [][]byte) {
	c.unsent = strconv.AppendInt(c.unsent, int64(len(text)), 10)
	for _, blob := range blobs {
		c.unsent = append(c.unsent, ' ')
		c.unsent = strconv.AppendInt(c.unsent, int64(len(blob)), 10)
	}
	c.unsent = append(c.unsent, '\n')
	c.unsent = append(c.unsent, text...)
	for _, blob := range blobs {
		c.unsent = append(c.unsent, blob...)
	}
}

// Unsent tells whether frames are queued.
func (c *Conn) Unsent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.unsent) > 0
}

// Flush writes what is queued, in one system call where the peer takes it.
func (c *Conn) Flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flush()
}

func (c *Conn) flush() error {
	if len(c.unsent) == 0 {
		return nil
	}
	_, err := c.out.Write(c.unsent)
	c.unsent = c.unsent[:0]
	if cap(c.unsent) > 1<<20 {
		c.unsent = nil
	}
	return err
}

func idOrNull(id json.RawMessage) []byte {
	if id == nil {
		return []byte("null")
	}
	return id
}

// AnswerResult queues {"id", "result"}.
func (c *Conn) AnswerResult(id json.RawMessage, result []byte, blobs [][]byte) {
	text := make([]byte, 0, len(result)+64)
	text = append(text, `{"jsonrpc":"2.0","id":`...)
	text = append(text, idOrNull(id)...)
	text = append(text, `,"result":`...)
	text = append(text, result...)
	text = append(text, '}')
	c.Put(text, blobs)
}

// AnswerError queues an error answer; `more` adds members to its data.
func (c *Conn) AnswerError(id json.RawMessage, code int, kind, message string, more map[string]any) {
	data := map[string]any{"type": kind}
	for name, value := range more {
		data[name] = value
	}
	raw, err := json.Marshal(data)
	if err != nil {
		raw, _ = json.Marshal(map[string]any{"type": kind})
	}
	text, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": json.RawMessage(idOrNull(id)), "error": Failure{code, message, raw}})
	c.Put(text, nil)
}

// Notify sends a notification at once.
func (c *Conn) Notify(method string, params []byte, blobs [][]byte) error {
	text := []byte(`{"jsonrpc":"2.0","method":"` + method + `","params":`)
	text = append(text, params...)
	text = append(text, '}')
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(text, blobs)
	return c.flush()
}

// Ask sends a request and waits for its answer; `chunk` may be nil. When `done` closes first, the engine is told.
func (c *Conn) Ask(done <-chan struct{}, method string, params []byte, blobs [][]byte, chunk func(json.RawMessage)) (*Message, error) {
	asked := &waiting{answer: make(chan *Message, 1), chunk: chunk}
	c.HandOver()
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, ErrClosed
	}
	id := c.next
	c.next++
	c.pending[id] = asked
	text := []byte(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"%s","params":`, id, method))
	text = append(text, params...)
	text = append(text, '}')
	c.put(text, blobs)
	err := c.flush()
	c.mu.Unlock()
	if err != nil {
		return nil, ErrClosed
	}
	select {
	case message, ok := <-asked.answer:
		if !ok {
			return nil, ErrClosed
		}
		return message, nil
	case <-done:
		c.mu.Lock()
		delete(c.pending, id)
		c.mu.Unlock()
		_ = c.Notify("cancel", []byte(fmt.Sprintf(`{"id":%d,"reason":"the caller has given up"}`, id)), nil)
		return nil, nil
	}
}
