package worker

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"sabir"
	"sabir/internal/wire"
)

// A call's context.Context. Its timer is made, and its cancellation read, from when somebody looks: a timer wakes another
// thread, which costs a quick call more than all the rest.
type callContext struct {
	conn     *wire.Conn
	values   context.Context
	deadline time.Time // zero: none

	mu    sync.Mutex
	inner context.Context // nil: nobody has looked
	stop  context.CancelFunc
	over  bool // cancelled, or the call has ended
}

func newCallContext(conn *wire.Conn, id json.RawMessage, milliseconds int64) *callContext {
	c := &callContext{conn: conn, values: sabir.WithCall(context.Background(), id)}
	if milliseconds > 0 {
		c.deadline = time.Now().Add(time.Duration(milliseconds) * time.Millisecond)
	}
	return c
}

func (c *callContext) watched() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inner == nil {
		if c.deadline.IsZero() {
			c.inner, c.stop = context.WithCancel(context.Background())
		} else {
			c.inner, c.stop = context.WithDeadline(context.Background(), c.deadline)
		}
		if c.over {
			c.stop()
		}
		c.conn.HandOver()
	}
	return c.inner
}

func (c *callContext) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }
func (c *callContext) Done() <-chan struct{}       { return c.watched().Done() }
func (c *callContext) Err() error                  { return c.watched().Err() }
func (c *callContext) Value(key any) any           { return c.values.Value(key) }

// Err, for who does not wait.
func (c *callContext) state() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.inner != nil:
		return c.inner.Err()
	case c.over:
		return context.Canceled
	case !c.deadline.IsZero() && !time.Now().Before(c.deadline):
		return context.DeadlineExceeded
	}
	return nil
}

// The call was cancelled, or has ended.
func (c *callContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.stop != nil {
		c.stop()
	}
}
