package transport_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
)

// childDir names, in the environment, the directory of TestChild.
const childDir = "STEWARD_TEST_CHILD"

// TestChild is no test but the process that TestKilledUnderLoad kills: a
// listener that writes the payload of each request it executes to a file. It
// says that it listens, and at the end of its input what it has counted.
func TestChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("only as a child of TestKilledUnderLoad")
	}
	log, err := os.OpenFile(filepath.Join(dir, "executed"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	engine := coap.New(coap.Options{Params: fast, Handler: coap.HandlerFunc(
		func(_ context.Context, r *coap.Request) *coap.Response {
			_, _ = log.Write(append(r.Payload, '\n'))
			return &coap.Response{Code: coap.Changed}
		})})
	addr, err := os.ReadFile(filepath.Join(dir, "addr"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := transport.Listen(transport.ListenOptions{
		Addr: string(addr), Credentials: newCredentials(t), Engine: engine,
		Keep: transport.KeepOptions{
			Dir: filepath.Join(dir, "associations"), Rejudge: func(coap.Identity) error { return nil },
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, engine.Run)
	run(t, l.Run)
	fmt.Printf("\nready\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
	s := l.Stats()
	fmt.Printf("\ncounted %d %d %d\n", s.Restored, s.Handshakes, s.Drops[transport.DropReplay])
}

// A child is a running TestChild.
type child struct {
	cmd *exec.Cmd
	in  io.Closer
	out *bufio.Scanner
}

func startChild(t *testing.T, dir string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.v")}
	c.cmd.Env = append(os.Environ(), childDir+"="+dir)
	c.cmd.Stderr = os.Stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	c.in, c.out = in, bufio.NewScanner(out)
	c.line(t, "ready")
	return c
}

// line waits for a line of the child's that begins so.
func (c *child) line(t *testing.T, prefix string) string {
	t.Helper()
	for c.out.Scan() {
		if rest, ok := strings.CutPrefix(c.out.Text(), prefix); ok {
			return rest
		}
	}
	t.Fatalf("the child ended without %q", prefix)
	return ""
}

func (c *child) kill() {
	_ = c.cmd.Process.Kill() // SIGKILL; it may have ended
	_ = c.cmd.Wait()
}

// count asks the child what it has counted, which ends it.
func (c *child) count(t *testing.T) (restored, handshakes, replays int) {
	t.Helper()
	c.in.Close()
	if _, err := fmt.Sscan(c.line(t, "counted "), &restored, &handshakes, &replays); err != nil {
		t.Fatal(err)
	}
	return restored, handshakes, replays
}

// TestKilledUnderLoad kills a process while its peers talk, at random moments.
// In the next everything that was captured is sent again: no request is executed
// twice, each peer's next request is answered at once, and no sequence number is
// used twice.
func TestKilledUnderLoad(t *testing.T) {
	const devices, rounds = 16, 4
	dir := t.TempDir()
	addr := freeUDP(t)
	if err := os.WriteFile(filepath.Join(dir, "addr"), []byte(addr), 0o600); err != nil {
		t.Fatal(err)
	}
	c := startChild(t, dir)
	// No retransmissions: each request is one record.
	e := coap.New(coap.Options{Params: coap.Params{AckTimeout: time.Minute}})
	run(t, e.Run)
	var all []*recorder
	var requests atomic.Int64
	for i := range devices {
		all = append(all, recordPSK(t, e, addr, fmt.Sprint("sensor-", i)))
	}
	post := func(ctx context.Context, r *recorder) error {
		payload := fmt.Appendf(nil, "%s %d", r.name, requests.Add(1))
		_, err := e.Do(ctx, r.conn, &coap.Request{Method: coap.POST, Path: []string{"x"}, Payload: payload})
		return err
	}
	for round := range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		var talking sync.WaitGroup
		for _, r := range all {
			talking.Go(func() {
				for post(ctx, r) == nil {
				}
			})
		}
		<-time.After(time.Duration(30+rand.IntN(200)) * time.Millisecond)
		c.kill()
		cancel()
		talking.Wait()

		c = startChild(t, dir)
		for _, r := range all {
			for _, d := range r.captured(50) {
				r.inject(d)
			}
		}
		for _, r := range all {
			answered := false
			for range 3 { // the flood of old records may have pushed one out
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				answered = post(ctx, r) == nil
				cancel()
				if answered {
					break
				}
			}
			if !answered {
				t.Fatalf("round %d: no answer to %s after kill -9", round, r.name)
			}
		}
	}
	restored, handshakes, replays := c.count(t)
	if restored != devices || handshakes != 0 || replays == 0 {
		t.Errorf("%d restored, %d handshakes, %d replays; want %d, 0, some", restored, handshakes, replays, devices)
	}
	for _, r := range all {
		r.wantUnique(t)
	}
	wantOnce(t, filepath.Join(dir, "executed"), devices*rounds, int(requests.Load()))
}

// recordPSK is lives.record for a listener in another process.
func recordPSK(t *testing.T, e *coap.Engine, addr, name string) *recorder {
	t.Helper()
	r := newRecorder(t, addr, name)
	r.conn = dial(t, e, r.uri(), dtls.ClientOptions{
		PSKIdentity: []byte("sensor"), PSK: []byte("0123456789abcdef"), CID: true,
	})
	return r
}

// captured returns the last n datagrams to the server.
func (r *recorder) captured(n int) [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([][]byte(nil), r.toServer[max(0, len(r.toServer)-n):]...)
}

// wantOnce fails if a line of the file is there twice, or too few or many lines.
func wantOnce(t *testing.T, file string, least, most int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	times := map[string]int{}
	for _, l := range lines {
		if times[string(l)]++; times[string(l)] == 2 {
			t.Errorf("request %q was executed twice", l)
		}
	}
	if len(lines) > most || len(lines) < least {
		t.Errorf("%d requests of %d were executed", len(lines), most)
	}
}
