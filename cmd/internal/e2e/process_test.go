package e2e_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// stopLimit is what a process gets to end after SIGTERM: as much as its unit gives it.
const stopLimit = 30 * time.Second

// A tail collects what processes write, the newest part of it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// maxTail is more than anyone reads of a failed test.
const maxTail = 256 << 10

// Write implements io.Writer.
func (b *tail) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p...)
	if over := len(b.text) - maxTail; over > 0 {
		b.text = b.text[over:]
	}
	return len(p), nil
}

func (b *tail) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.text)
}

// A process is a running steward. It is killed at the end of its test, which
// shows its log if it failed.
type process struct {
	name     string
	cmd      *exec.Cmd
	out, log *tail         // stdout, unless somebody else takes it, and stderr
	ended    chan struct{} // closed when it has
	err      error         // of Wait; after ended
}

// binary returns the path of the program under test.
func binary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("STEWARD_BIN")
	if path == "" {
		path = filepath.Join("..", "..", "..", "bin", "steward")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v: run make build", err)
	}
	return path
}

// start runs steward with args. Its stderr is added to log.
func start(t *testing.T, name string, log *tail, args ...string) *process {
	t.Helper()
	out := &tail{}
	p := startWith(t, name, log, out, args...)
	p.out = out
	return p
}

// startWith is start with stdout to a writer.
func startWith(t *testing.T, name string, log *tail, out io.Writer, args ...string) *process {
	t.Helper()
	p := &process{name: name, log: log, ended: make(chan struct{})}
	p.cmd = exec.Command(binary(t), args...)
	p.cmd.Dir = t.TempDir()
	// Variables such as STEWARD_E2E are for tests: the program refuses what it does not know.
	p.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "STEWARD_") })
	p.cmd.Stdout, p.cmd.Stderr = out, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that timed out leaves none
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(p.kill)
	return p
}

// kill ends the process at once, as a power cut would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// stop ends the process as an operator does, and demands that it agrees.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	select {
	case <-p.ended:
	case <-time.After(stopLimit):
		t.Fatalf("%s: still running %v after SIGTERM", p.name, stopLimit)
	}
	if p.err != nil {
		t.Errorf("%s: SIGTERM ended it with %v, want exit status 0", p.name, p.err)
	}
}

// errEnded reports a process that ended by itself.
var errEnded = errors.New("process ended")

// alive returns errEnded if the process has ended.
func (p *process) alive() error {
	select {
	case <-p.ended:
		return errEnded
	default:
		return nil
	}
}

// showOnFailure prints a log if t failed.
func showOnFailure(t *testing.T, name string, log *tail) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, log)
		}
	})
}
