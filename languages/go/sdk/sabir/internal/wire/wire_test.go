package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// Two connections that talk to each other over pipes; `handle` answers what the second one gets.
func pair(t *testing.T, handle func(*Conn, *Message)) *Conn {
	t.Helper()
	left, _ := pairOf(t, func(*Conn, *Message) bool { return true }, func(c *Conn, m *Message) bool { handle(c, m); return true })
	return left
}

func pairOf(t *testing.T, onLeft, onRight func(*Conn, *Message) bool) (*Conn, *Conn) {
	t.Helper()
	leftIn, rightOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	rightIn, leftOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	left, right := New(leftIn, leftOut), New(rightIn, rightOut)
	left.Handle = func(m *Message) bool { return onLeft(left, m) }
	right.Handle = func(m *Message) bool { return onRight(right, m) }
	go left.Serve()
	go right.Serve()
	t.Cleanup(func() {
		for _, file := range []*os.File{leftOut, rightOut} {
			file.Close()
		}
	})
	return left, right
}

func within(t *testing.T, what func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); what() }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("no end after 10 s")
	}
}

func TestAnAnswerComesToWhoAsked(t *testing.T) {
	conn := pair(t, func(c *Conn, m *Message) {
		c.AnswerResult(m.ID, []byte(`{"method":"`+*m.Method+`"}`), m.Blobs)
		_ = c.Flush()
	})
	within(t, func() {
		answer, err := conn.Ask(nil, "ask", []byte(`{}`), [][]byte{{0, 255, '\n'}}, nil)
		if err != nil || string(answer.Result) != `{"method":"ask"}` || !bytes.Equal(answer.Blobs[0], []byte{0, 255, '\n'}) {
			t.Errorf("got %+v, %v", answer, err)
		}
	})
}

// A function on the reading goroutine waits for an answer that has to be read, and what comes later is served as well.
func TestWhoAsksWhileItReadsHandsTheReadingOver(t *testing.T) {
	left, _ := pairOf(t, func(c *Conn, m *Message) bool {
		c.AnswerResult(m.ID, []byte(`{"inner":true}`), nil)
		_ = c.Flush()
		return true
	}, func(c *Conn, m *Message) bool {
		return c.Inline(func() {
			result := []byte(`{"asked":false}`)
			if *m.Method == "nested" {
				inner, err := c.Ask(nil, "inner", []byte(`{}`), nil, nil)
				if err != nil || string(inner.Result) != `{"inner":true}` {
					t.Errorf("got %+v, %v", inner, err)
				}
				result = []byte(`{"asked":true}`)
			}
			c.AnswerResult(m.ID, result, nil)
		})
	})
	within(t, func() {
		for _, method := range []string{"nested", "plain", "nested", "nested", "plain"} {
			answer, err := left.Ask(nil, method, []byte(`{}`), nil, nil)
			if err != nil || string(answer.Result) != map[string]string{"nested": `{"asked":true}`, "plain": `{"asked":false}`}[method] {
				t.Errorf("%s: got %+v, %v", method, answer, err)
			}
		}
	})
}

func TestACallIsKnownByItsEndOrLookedAtAsAWhole(t *testing.T) {
	got := make(chan *Message, 1)
	left, _ := pairOf(t, func(*Conn, *Message) bool { return true }, func(_ *Conn, m *Message) bool { got <- m; return true })
	const first = `"deadline_ms":5,"context":{"user":"u"},`
	const rest = `,"module":"a","receiver":"","function":"f","positional":["x"],"context_parameter":"","depth":1}`
	for _, one := range []struct {
		params, arguments string
		known             bool
	}{
		{`{` + first + `"arguments":{"x":1}` + rest, `{"x":1}`, true},
		{`{` + first + `"arguments":{"x":2}` + rest, `{"x":2}`, true},
		{`{"deadline_ms":5,"idempotency_key":"k-1","context":{},"arguments":{}` + rest, `{}`, true},
		{`{` + first + `"arguments":{"x":{"y":1,"module":"b"}}` + rest, `{"x":{"y":1,"module":"b"}}`, true},
		{`{` + first + `"arguments":{"x":"},\"arguments\":{\"y\":1},\"module\":"}` + rest, `{"x":"},\"arguments\":{\"y\":1},\"module\":"}`, true},
		{`{"deadline_ms":5,"context":{"user":"},\"arguments\":{"},"arguments":{"x":3}` + rest, `{"x":3}`, true},
		{`{"deadline_ms":5,"context":{"a":{}},"arguments":{"x":1}` + rest, `{"x":1}`, true},
		{`{` + first + `"arguments":{"x":1},"module":"a","function":"f","nested":{"y":1,"module":"b"}}`, "", false},
		{`{` + first + `"arguments":{"x":1},"module":"a","function":"f","arguments":{}}`, "", false},
		{`{` + first + `"arguments":{"x":1},"module":"a","function":""}`, "", false},
		{`{` + first + `"arguments":[1]` + rest, "", false},
		{`{"module":"a","function":"f","arguments":{"x":1},"deadline_ms":5}`, "", false},
		{`{"module":7,"function":"f"}`, "", false},
		{`[]`, "", false},
	} {
		within(t, func() {
			left.Put([]byte(`{"jsonrpc":"2.0","id":1,"method":"call","params":`+one.params+`}`), nil)
			_ = left.Flush()
			m := <-got
			if (m.Call != nil) != one.known || *m.Method != "call" || string(m.ID) != "1" {
				t.Errorf("%s: got %+v", one.params, m)
			} else if one.known && (m.Call.Function != "f" || string(m.Call.Arguments) != one.arguments || m.Call.DeadlineMS != 5) {
				t.Errorf("%s: got %+v", one.params, m.Call)
			} else if !one.known && string(m.Params) != one.params {
				t.Errorf("%s: got the parameters %s", one.params, m.Params)
			}
		})
	}
}

func TestGivingUpTellsThePeer(t *testing.T) {
	told := make(chan string, 4)
	conn := pair(t, func(_ *Conn, m *Message) { told <- *m.Method })
	done := make(chan struct{})
	within(t, func() {
		time.AfterFunc(20*time.Millisecond, func() { close(done) })
		if answer, err := conn.Ask(done, "slow", []byte(`{}`), nil, nil); answer != nil || err != nil {
			t.Errorf("got %v, %v", answer, err)
		}
		if first, second := <-told, <-told; first != "slow" || second != "cancel" {
			t.Errorf("the peer got %s, %s", first, second)
		}
	})
}

func TestTheEndOfTheConnectionIsAnError(t *testing.T) {
	conn := pair(t, func(c *Conn, _ *Message) { c.out.Close() })
	within(t, func() {
		if _, err := conn.Ask(nil, "ask", []byte(`{}`), nil, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

func TestBadHeadsEndTheConnectionWithAnAnswer(t *testing.T) {
	for _, head := range []string{"\n", "x\n", "01\n", "1 \n", "70000000\n", "-1\n", strings.Repeat("1 ", 1030) + "1\n", strings.Repeat("9", MaxHead+9)} {
		in, theirs, _ := os.Pipe()
		mine, out, _ := os.Pipe()
		conn := New(in, out)
		within(t, func() {
			go func() { _, _ = theirs.WriteString(head) }()
			conn.Serve()
			out.Close()
			answer := make([]byte, 4096)
			n, _ := mine.Read(answer)
			if !bytes.Contains(answer[:n], []byte(`"protocol"`)) {
				t.Errorf("%.20q: got %q", head, answer[:n])
			}
		})
	}
}

func TestLargeStringsAndBytesTravelAsBlobs(t *testing.T) {
	type record struct {
		Name string            `json:"name"`
		Data []byte            `json:"data"`
		More map[string]string `json:"more"`
		List []any             `json:"list"`
	}
	large := strings.Repeat("é", Blob)
	raw := bytes.Repeat([]byte{7}, Blob)
	value := record{large, raw, map[string]string{"a/b~": large}, []any{1, raw}}
	text, places, blobs, err := Encode(value, "/value")
	if err != nil || len(places) != 4 || len(text) > 1000 {
		t.Fatalf("%d places, %d bytes, %v", len(places), len(text), err)
	}
	whole, err := Place([]byte(`{"value":`+string(text)+`}`), places, blobs, map[string][]byte{})
	if err != nil {
		t.Fatal(err)
	}
	var back struct{ Value record }
	if err := json.Unmarshal(whole, &back); err != nil || back.Value.Name != large || !bytes.Equal(back.Value.Data, raw) || back.Value.More["a/b~"] != large {
		t.Errorf("it did not come back: %v", err)
	}
}

func TestPlacesThatDoNotFitAreRefused(t *testing.T) {
	for _, place := range []BlobPlace{{"/value/a", "string"}, {"/value/x", "string"}, {"", "string"}, {"/value/list/9", "string"}, {"/value/a/b", "bytes"}, {"/value/n", "stone"}} {
		if _, err := Place([]byte(`{"value":{"a":1,"n":null,"list":[null]}}`), []BlobPlace{place}, [][]byte{[]byte("x")}, map[string][]byte{}); err == nil {
			t.Errorf("%v was taken", place)
		}
	}
	if _, err := Place([]byte(`{"a":null}`), []BlobPlace{{"/a", "string"}}, [][]byte{{0xff}}, map[string][]byte{}); err == nil {
		t.Error("a string that is not UTF-8 was taken")
	}
}

func TestNumbersWithoutATypeAreExact(t *testing.T) {
	decoder := json.NewDecoder(strings.NewReader(`[1, 9223372036854775807, 9223372036854775808, 1.5, 1e400]`))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%#v", Plain(value))
	if want := `[]interface {}{1, 9223372036854775807, "9223372036854775808", 1.5, "1e400"}`; got != want {
		t.Errorf("got %s", got)
	}
}

func TestWholeFloatsKeepTheirPoint(t *testing.T) {
	nested := 3.0
	given := map[string]any{"a": []float64{1, 2.5, -0.0, 1e20}, "b": map[string]any{"c": []any{2.0, 2, "2", nil, &nested, true, int64(7)}},
		"d": json.Number("5"), "e": []byte("x"), "f": struct{ X float64 }{1}, "g": 1e21, "h": []string(nil), "i": json.RawMessage(`{"x": 1}`)}
	text, _, _, err := Encode(WithPoints(given), "")
	want := `{"a":[1.0,2.5,0.0,100000000000000000000.0],"b":{"c":[2.0,2,"2",null,3.0,true,7]},"d":5,"e":"eA==","f":{"X":1},"g":1e+21,"h":null,"i":{"x":1}}`
	if err != nil || string(text) != want {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestHalvesOfSurrogatePairsAreFound(t *testing.T) {
	for text, lone := range map[string]bool{`"\ud800"`: true, `"a\uDFFFb"`: true, `"\ud834\udd1e"`: false, `"\ud834\udd1e\udd1e"`: true,
		`"\\ud800"`: false, `"\\\ud800"`: true, `"\ud834\ud834\udd1e"`: true, `"\n\u00e9"`: false, `{}`: false, `"\ud834x"`: true} {
		if loneSurrogate([]byte(text)) != lone {
			t.Errorf("%s: %v", text, !lone)
		}
	}
}
