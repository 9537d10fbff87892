package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A usage is what a process has used so far.
type usage struct {
	CPU time.Duration `json:"cpu_ns"`
	RSS uint64        `json:"rss_bytes"`
	// What only a server of our own tells.
	Heap         uint64 `json:"heap_bytes"`
	Objects      uint64 `json:"heap_objects"`
	Handshakes   uint64 `json:"handshakes"`
	Associations int    `json:"associations"`
	Pending      int    `json:"pending"` // handshakes under way
	Replays      uint64 `json:"replays"` // records refused as seen before
	Goroutines   int    `json:"goroutines"`
}

// A server is the process that is measured.
type server interface {
	// usage reads the kernel's account of the process. Settled collects garbage
	// first, where that can be asked for.
	usage(settled bool) (usage, error)
}

// A stranger is the process of another server; 0 has no account.
type stranger struct{ pid int }

func (s stranger) usage(bool) (usage, error) {
	if s.pid == 0 {
		return usage{}, nil
	}
	return usageOf(s.pid)
}

// CPUTime returns the user and system time that a process has had so far. It returns
// ErrServer where the kernel's account is not as expected, and the errors of os.
func CPUTime(pid int) (time.Duration, error) {
	u, err := usageOf(pid)
	return u.CPU, err
}

// usageOf reads /proc.
func usageOf(pid int) (usage, error) {
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux (proc(5))
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	text, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return usage{}, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // behind the command's name, which may hold anything
	fields := strings.Fields(rest)
	const utime, stime, rss = 11, 12, 21
	if len(fields) <= rss {
		return usage{}, fmt.Errorf("%w: %s/stat has %d fields", ErrServer, dir, len(fields))
	}
	var n [3]uint64
	for i, f := range []string{fields[utime], fields[stime], fields[rss]} {
		if n[i], err = strconv.ParseUint(f, 10, 63); err != nil {
			return usage{}, err
		}
	}
	return usage{
		CPU: time.Duration(n[0]+n[1]) * tick, //nolint:gosec // G115: 63 bits
		RSS: n[2] * uint64(os.Getpagesize()), //nolint:gosec // G115: positive
	}, nil
}

// A child is this binary with other arguments. It obeys commands, one a line on
// its stdin, and answers each by one line.
type child struct {
	cmd      *exec.Cmd
	greeting string // its first line
	log      string // path of the file with its stderr

	mu    sync.Mutex
	in    io.WriteCloser
	lines *bufio.Scanner
}

const (
	stopTimeout = 20 * time.Second // what a child gets to end in order
	maxLine     = 1 << 16
)

// startServer starts a server of our own over the data directory in dir.
func startServer(ctx context.Context, dir, addr string, more ...string) (*child, error) {
	args := append([]string{"bench", "serve", "--data", dataDir(dir), "--coaps", addr}, more...)
	return start(ctx, dir, "server", args...)
}

func startEcho(ctx context.Context, dir string) (*child, error) {
	return start(ctx, dir, "echo", "bench", "echo")
}

// start runs this binary and waits for its first line.
func start(ctx context.Context, dir, name string, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{log: filepath.Join(dir, name+".log")}
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the child has it
	// Without ctx, which would kill at once what can end in order.
	c.cmd = exec.CommandContext(context.WithoutCancel(ctx), self, args...) //nolint:gosec // G204: this binary itself
	c.cmd.Stderr = log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	c.lines = bufio.NewScanner(out)
	c.lines.Buffer(nil, maxLine)
	if !c.lines.Scan() {
		return nil, fmt.Errorf("%w: no greeting of %s: %w", ErrServer, name, c.stop())
	}
	c.greeting = c.lines.Text()
	return c, nil
}

// lastWords returns the end of what the child wrote to stderr.
func (c *child) lastWords() string {
	const most = 500
	text, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-most):]))
}

// ask sends one command and decodes the answer into out.
func (c *child) ask(out any, command ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := fmt.Fprintln(c.in, strings.Join(command, " ")); err != nil {
		return errors.Join(ErrServer, err)
	}
	if !c.lines.Scan() {
		return fmt.Errorf("%w: it ended: %s", ErrServer, c.lastWords())
	}
	var a answer
	if err := json.Unmarshal(c.lines.Bytes(), &a); err != nil {
		return fmt.Errorf("%w: %w", ErrServer, err)
	}
	if a.Error != "" {
		return fmt.Errorf("%w: %s", ErrServer, a.Error)
	}
	return json.Unmarshal(a.Value, out)
}

// usage implements server.
func (c *child) usage(settled bool) (u usage, err error) {
	command := commandUsage
	if settled {
		command = commandSettle
	}
	err = c.ask(&u, command)
	return u, err
}

// stop ends the child in order, or by force if it takes too long, and reports if
// it did not end well.
func (c *child) stop() error {
	_ = c.in.Close() // it ends with its stdin
	timer := time.AfterFunc(stopTimeout, func() { _ = c.cmd.Process.Kill() })
	defer timer.Stop()
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("%w: it ended by %w: %s", ErrServer, err, c.lastWords())
	}
	return nil
}
