package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"steward/lwm2m/transport"
)

// The commands that a child obeys.
const (
	commandUsage  = "usage"
	commandSettle = "settle" // usage after a forced collection
	commandStart  = "profile"
	commandStop   = "stop-profile"
	commandHeap   = "heap"
	commandCrypto = "crypto"
	commandPush   = "push" // a release to the first devices
	commandRead   = "read" // devices, from the first named to before the second
	commandMark   = "mark" // begin of what latency tells
	commandTell   = "latency"
)

// An answer is a child's answer to a command.
type answer struct {
	Value json.RawMessage `json:"value,omitempty"`
	Error string          `json:"error,omitempty"`
}

// errCommand reports a command that a child does not know.
var errCommand = errors.New("unknown command")

// A controller is the child's side of the commands.
type controller struct {
	sockets func() transport.Stats // nil: none
	read    readFunc               // nil: none
	push    pusher                 // nil: none
	profile *os.File
	mark    *transport.Latency // nil: none
}

// obey serves commands until in ends or ctx has.
func (c *controller) obey(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() { _ = c.stopProfile() }() // nobody is left to be told
	encode := json.NewEncoder(out)
	for {
		select {
		case <-ctx.Done():
			return nil
		case line, more := <-lines:
			if !more {
				return nil
			}
			if err := encode.Encode(c.answer(ctx, line)); err != nil {
				return err
			}
		}
	}
}

func (c *controller) answer(ctx context.Context, line string) answer {
	value, err := c.do(ctx, line)
	if err != nil {
		return answer{Error: err.Error()}
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Value: raw}
}

func (c *controller) do(ctx context.Context, line string) (any, error) {
	command, argument, _ := strings.Cut(line, " ")
	switch command {
	case commandUsage:
		return c.usage()
	case commandSettle:
		settle()
		return c.usage()
	case commandStart:
		return true, c.startProfile(argument)
	case commandStop:
		return true, c.stopProfile()
	case commandHeap:
		return true, writeHeap(argument)
	case commandCrypto:
		return HandshakeFloor()
	case commandPush:
		return c.pushAll(ctx, argument)
	case commandRead:
		return c.readAll(ctx, argument)
	case commandMark:
		return true, c.setMark()
	case commandTell:
		return c.latency()
	default:
		return nil, fmt.Errorf("%w: %.40q", errCommand, command)
	}
}

// usage reads the account of this process: microseconds, where /proc has ticks.
func (c *controller) usage() (usage, error) {
	u, err := usageOf(os.Getpid())
	if err != nil {
		return u, err
	}
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return u, err
	}
	u.CPU = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.Heap, u.Objects, u.Goroutines = m.HeapAlloc, m.HeapObjects, runtime.NumGoroutine()
	if c.sockets != nil {
		s := c.sockets()
		u.Handshakes, u.Associations, u.Pending = s.Handshakes, s.Associations, s.HandshakesPending
		u.Replays = s.Drops[transport.DropReplay]
	}
	return u, nil
}

// settle gives back to the kernel what is not in use.
func settle() {
	runtime.GC()
	runtime.GC() // what finalizers and pools held
	debug.FreeOSMemory()
}

func (c *controller) startProfile(path string) (err error) {
	if c.profile, err = os.Create(path); err != nil {
		return err
	}
	return pprof.StartCPUProfile(c.profile)
}

// writeHeap writes a profile of what is in use.
func writeHeap(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(pprof.WriteHeapProfile(f), f.Close())
}

func (c *controller) stopProfile() error {
	if c.profile == nil {
		return nil
	}
	pprof.StopCPUProfile()
	err := c.profile.Close()
	c.profile = nil
	return err
}
