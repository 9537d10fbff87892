package e2e_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// A sleeper is a device in queue mode, byte by byte.
type sleeper struct {
	t    *testing.T
	conn net.Conn
	id   uint16
	at   []string // Location-Path of its registration
}

func newSleeper(t *testing.T, server string) *sleeper {
	t.Helper()
	conn, err := net.Dial("udp", server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &sleeper{t: t, conn: conn}
}

// option appends a CoAP option with its delta (RFC 7252 §3.1).
func option(b []byte, delta byte, value string) []byte {
	if len(value) < 13 {
		return append(append(b, delta<<4|byte(len(value))), value...)
	}
	return append(append(b, delta<<4|13, byte(len(value)-13)), value...)
}

// post sends a confirmable POST and returns the options' text of the answer.
func (s *sleeper) post(path, query []string, body string) string {
	s.t.Helper()
	s.id++
	b := []byte{0x41, 0x02, byte(s.id >> 8), byte(s.id)}
	b = append(b, 0x77)
	last := byte(0)
	for _, p := range path {
		b = option(b, 11-last, p)
		last = 11
	}
	if body != "" {
		b = option(b, 12-last, "\x28") // application/link-format
		last = 12
	}
	for _, q := range query {
		b = option(b, 15-last, q)
		last = 15
	}
	if body != "" {
		b = append(append(b, 0xff), body...)
	}
	if _, err := s.conn.Write(b); err != nil {
		s.t.Fatal(err)
	}
	answer := s.receive(10 * time.Second)
	if len(answer) < 5 || answer[0]>>4&3 != 2 || answer[1]>>5 != 2 {
		s.t.Fatalf("POST %q: %x", path, answer)
	}
	return string(answer[5:])
}

func (s *sleeper) receive(limit time.Duration) []byte {
	s.t.Helper()
	if err := s.conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		s.t.Fatal(err)
	}
	b := make([]byte, 2048)
	n, err := s.conn.Read(b)
	if err != nil {
		return nil
	}
	return b[:n]
}

// register registers in queue mode.
func (s *sleeper) register(name string) {
	s.t.Helper()
	text := s.post([]string{"rd"}, []string{"ep=" + name, "lt=300", "lwm2m=1.1", "b=U", "Q"}, "</3/0>,</1/0>")
	s.at = []string{"rd", strings.TrimPrefix(text, "\x82rd\x0d\x09")}
	if len(s.at[1]) != 22 {
		s.t.Fatalf("location %q", text)
	}
}

// serve answers n requests and returns their codes. What the server repeats, for it was not
// answered in time, is answered again and counts once.
func (s *sleeper) serve(n int) (out []string) {
	s.t.Helper()
	seen := map[string]bool{}
	for len(out) < n {
		b := s.receive(20 * time.Second)
		if b == nil {
			s.t.Fatalf("no request after %q", out)
		}
		token := int(b[0] & 15)
		if b[0]>>4&3 != 0 || b[1] == 0 || b[1] > 4 {
			continue
		}
		code := byte(0x44) // 2.04
		var body []byte
		if b[1] == 1 {
			code, body = 0x45, []byte{0xff, '7'}
		}
		answer := append([]byte{0x60 | byte(token), code, b[2], b[3]}, b[4:4+token]...)
		if _, err := s.conn.Write(append(answer, body...)); err != nil {
			s.t.Fatal(err)
		}
		if id := string(b[2:4]); !seen[id] {
			seen[id] = true
			out = append(out, fmt.Sprintf("0.%02d", b[1]))
		}
	}
	return out
}

type queued struct {
	ID, State, Path, Reason string
	WakesAt                 time.Time `json:"wakes_at"`
	Values                  []struct{ Value any }
}

// TestQueueSurvives asks a sleeping device for several things, kills the server, and
// lets the device wake: it is asked in order, once each (Core 1.2.2 §6.5).
func TestQueueSurvives(t *testing.T) {
	slow(t)
	t.Parallel()
	host, err := freeHost()
	if err != nil {
		t.Fatal(err)
	}
	addr, err := freeAddr(host)
	if err != nil {
		t.Fatal(err)
	}
	p := serve(t, "Alpha", "--coap", addr, "--allow-nosec", "--awake", "6s", "--ack-timeout", "500ms")
	d := newSleeper(t, addr)
	d.register("sleeper")
	const operations = "/api/v1/devices/ep:sleeper/operations"
	eventually(t, onlineLimit, "the device sleeps", func() error {
		var out struct {
			Registration struct{ Asleep bool }
		}
		err := p.do(t.Context(), http.MethodGet, "/api/v1/devices/ep:sleeper", nil, &out)
		if err == nil && !out.Registration.Asleep {
			err = errors.New("awake")
		}
		return err
	})
	ask := func(op, path string, value any) (q queued) {
		t.Helper()
		in := map[string]any{"op": op, "path": path}
		if value != nil {
			in["value"] = value
		}
		if err := p.do(t.Context(), http.MethodPost, operations, in, &q); err != nil {
			t.Fatal(err)
		}
		if q.State != "queued" || q.WakesAt.IsZero() {
			t.Fatalf("%s %s = %+v", op, path, q)
		}
		return q
	}
	replaced := ask("write", "/1/0/1", 60)
	write := ask("write", "/1/0/1", 90)
	execute := ask("execute", "/3/0/4", nil)
	read := ask("read", "/3/0/9", nil)
	gone := ask("read", "/3/0/13", nil)
	if err := p.do(t.Context(), http.MethodDelete, operations+"/"+gone.ID, nil, nil); err != nil {
		t.Fatal(err)
	}
	p.kill()
	p.restart(t)
	if b := d.receive(2 * time.Second); b != nil {
		t.Errorf("sent to a sleeping device: %x", b)
	}
	d.post(d.at, nil, "")
	if got := d.serve(3); !slices.Equal(got, []string{"0.03", "0.02", "0.01"}) {
		t.Errorf("asked %q, want PUT, POST, GET", got)
	}
	for id, want := range map[string]string{
		replaced.ID: "cancelled", write.ID: "done", execute.ID: "done", read.ID: "done", gone.ID: "cancelled",
	} {
		eventually(t, onlineLimit, "operation "+id+" is "+want, func() error {
			var q queued
			if err := p.do(t.Context(), http.MethodGet, operations+"/"+id, nil, &q); err != nil {
				return err
			}
			if q.State != want {
				return fmt.Errorf("%s %s is %s: %s", q.Path, id, q.State, q.Reason)
			}
			return nil
		})
	}
	var q queued
	if err := p.do(t.Context(), http.MethodGet, operations+"/"+read.ID, nil, &q); err != nil || len(q.Values) != 1 ||
		fmt.Sprint(q.Values[0].Value) != "7" {
		t.Errorf("read = %+v, %v", q, err)
	}
}
