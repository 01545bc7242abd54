package sabir

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"sabir/internal/wire"
)

const connectTime = 10 * time.Second

type callKey struct{}

var (
	channelLock sync.Mutex
	worker      *wire.Conn             // the worker's connection; nil in every other process
	current     func() json.RawMessage // the id of the call that runs in this worker, or nil
	client      *wire.Conn             // this process's connection to an engine
)

// ServeWorker is for the worker package: from now on requests go over its connection.
func ServeWorker(conn *wire.Conn, runningCall func() json.RawMessage) {
	worker, current = conn, runningCall
}

// WithCall is for the worker package: a context that knows the call it belongs to.
func WithCall(ctx context.Context, id json.RawMessage) context.Context {
	return context.WithValue(ctx, callKey{}, id)
}

// The worker's connection and the call that ctx, or else this process, is running.
func running(ctx context.Context) (*wire.Conn, any) {
	if worker == nil {
		return nil, nil
	}
	if id, ok := ctx.Value(callKey{}).(json.RawMessage); ok {
		return worker, id
	}
	if id := current(); id != nil {
		return worker, id
	}
	return worker, nil
}

func channel(ctx context.Context) (*wire.Conn, any, error) {
	if conn, parent := running(ctx); conn != nil {
		return conn, parent, nil
	}
	channelLock.Lock()
	defer channelLock.Unlock()
	if client == nil {
		conn, err := connect()
		if err != nil {
			return nil, nil, err
		}
		client = conn
	}
	return client, nil, nil
}

func drop(conn *wire.Conn) {
	channelLock.Lock()
	defer channelLock.Unlock()
	if client == conn {
		client = nil
	}
}

func findProject() (string, error) {
	start := os.Getenv("SABIR_PROJECT")
	given := start != ""
	if !given {
		start, _ = os.Getwd()
	}
	for folder := start; ; folder = filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, "sabir.yml")); err == nil {
			return folder, nil
		}
		if given || filepath.Dir(folder) == folder {
			return "", &Error{Type: "no_project", Message: "no Sabir project at " + start + ": there is no sabir.yml",
				Hint: "change into the project's folder, set SABIR_PROJECT, or make one with `sabir new`"}
		}
	}
}

func environment() string {
	if name := os.Getenv("SABIR_ENV"); name != "" {
		return name
	}
	return "development"
}

func connect() (*wire.Conn, error) {
	root, err := findProject()
	if err != nil {
		return nil, err
	}
	if conn := runningEngine(root); conn != nil {
		return conn, nil
	}
	return attach(root)
}

// The project's running engine, if one of this version answers.
func runningEngine(root string) *wire.Conn {
	if os.Getenv("SABIR_RECORD") != "" || os.Getenv("SABIR_REPLAY") != "" || os.Getenv("SABIR_STATE_DIR") != "" || os.Getenv("SABIR_ENGINE") != "" {
		// What is recorded or replayed, has a store of its own or goes to an engine elsewhere is this process's own.
		return nil
	}
	text, err := os.ReadFile(filepath.Join(root, ".sabir", environment(), "engine.json"))
	var published struct {
		Format int    `json:"format"`
		Socket string `json:"socket"`
	}
	if err != nil || json.Unmarshal(text, &published) != nil || published.Format != 1 {
		return nil
	}
	dialed, err := net.DialTimeout("unix", published.Socket, connectTime)
	if err != nil {
		return nil
	}
	file, err := dialed.(*net.UnixConn).File()
	dialed.Close()
	if err != nil {
		return nil
	}
	conn := speak(file)
	if hello(conn, root) != nil {
		file.Close()
		return nil
	}
	return conn
}

func attach(root string) (*wire.Conn, error) {
	binary := os.Getenv("SABIR_BIN")
	if binary == "" {
		binary = "sabir"
	}
	found, err := exec.LookPath(binary)
	if err != nil {
		return nil, &Error{Type: "unavailable", Message: "the engine `sabir` was not found", Hint: "put it on PATH, or set SABIR_BIN to its path"}
	}
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, &Error{Type: "unavailable", Message: "no socket pair: " + err.Error()}
	}
	theirs := os.NewFile(uintptr(ends[1]), "engine")
	command := exec.Command(found, "attach", "--project", root, "--env", environment())
	command.Env = append(os.Environ(), "SABIR_FD=3")
	command.ExtraFiles = []*os.File{theirs}
	command.Stderr = os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = command.Start()
	theirs.Close()
	ours := os.NewFile(uintptr(ends[0]), "engine")
	if err != nil {
		ours.Close()
		return nil, &Error{Type: "unavailable", Message: "the engine " + found + " does not start: " + err.Error()}
	}
	// It ends with the connection, which ends with this process.
	go func() { _ = command.Wait() }()
	conn := speak(ours)
	if err := hello(conn, root); err != nil {
		ours.Close()
		return nil, err
	}
	return conn, nil
}

func speak(file *os.File) *wire.Conn {
	conn := wire.New(file, file)
	conn.Handle = func(message *wire.Message) bool {
		if message.ID == nil {
			return true
		}
		if *message.Method == "ping" {
			conn.AnswerResult(message.ID, []byte("{}"), nil)
		} else {
			conn.AnswerError(message.ID, -32601, "unknown_method", "unknown method "+*message.Method, nil)
		}
		_ = conn.Flush()
		return true
	}
	go conn.Serve()
	return conn
}

func hello(conn *wire.Conn, root string) error {
	params := map[string]any{"protocol": map[string]int{"min": 1, "max": 1}, "role": "client", "sdk": Version, "language": "go", "project": root}
	if user := os.Getenv("SABIR_USER"); user != "" {
		params["context"] = map[string]string{"user": user}
	}
	text, _ := json.Marshal(params)
	done := make(chan struct{})
	timer := time.AfterFunc(connectTime, func() { close(done) })
	defer timer.Stop()
	message, err := conn.Ask(done, "hello", text, nil, nil)
	switch {
	case err != nil || message == nil:
		return &Error{Type: "protocol", Message: "the engine did not answer within " + strconv.Itoa(int(connectTime.Seconds())) + " seconds",
			Hint: "`sabir doctor` looks for the cause; its messages are on standard error"}
	case message.Error != nil:
		return failed(message.Error)
	}
	return nil
}

// String of a Context is for logs.
func (c Context) String() string { return fmt.Sprintf("user %q, tenant %q", c.User, c.Tenant) }
