package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// errNotReady reports a process that ended, or was silent, before it was ready.
var errNotReady = errors.New("process did not become ready")

const (
	readyTimeout = 30 * time.Second
	stopTimeout  = 10 * time.Second // what a process gets between SIGTERM and SIGKILL
)

// A process is a child: this binary with other arguments, its log in a file.
type process struct {
	name  string
	cmd   *exec.Cmd
	log   string // path of the file with its stderr
	lines chan string
	ended chan struct{}
	once  sync.Once
	err   error // of Wait, once ended is closed
}

// start runs this binary with args. Its stdout comes line by line to lines.
func start(ctx context.Context, dir, name string, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{
		name: name, log: filepath.Join(dir, name+".log"), lines: make(chan string, 256), ended: make(chan struct{}),
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	// Not CommandContext: it would kill at once what can end in order.
	p.cmd = exec.CommandContext(context.WithoutCancel(ctx), self, args...) //nolint:gosec // G204: this binary itself
	p.cmd.Stderr = log
	// Settings in the environment are those of one provider, and not of these.
	p.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "STEWARD_") })
	// A child must not outlive us, and must not get the terminal's Ctrl-C before
	// we end it in order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	go p.read(out, log)
	return p, nil
}

// read passes lines on until the child closes its stdout, then waits for its end.
func (p *process) read(out io.Reader, log io.Closer) {
	s := bufio.NewScanner(out)
	for s.Scan() {
		p.lines <- s.Text()
	}
	close(p.lines)
	p.err = p.cmd.Wait()
	_ = log.Close() // the child wrote it; nothing of ours is lost
	close(p.ended)
}

// until returns the first line with the prefix, without it.
func (p *process) until(ctx context.Context, prefix string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				return "", fmt.Errorf("%w: %s ended; see %s", errNotReady, p.name, p.log)
			}
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return rest, nil
			}
		case <-ctx.Done():
			return "", fmt.Errorf("%w: %s; see %s", errNotReady, p.name, p.log)
		}
	}
}

// kill ends the child as a power cut does.
func (p *process) kill() {
	p.once.Do(func() {
		_ = p.cmd.Process.Kill()
		go func() {
			for range p.lines { // what it said last; it may wait for a reader
				continue
			}
		}()
		<-p.ended
	})
}

// stop ends the child in order, or by force if it takes too long.
func (p *process) stop() {
	p.once.Do(func() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
		go func() {
			for range p.lines { // a child that blocks on stdout cannot end
				continue
			}
		}()
		select {
		case <-p.ended:
		case <-time.After(stopTimeout):
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
	})
}
