package transport_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/transport"
)

const (
	csm      = "40e122048020" // Max-Message-Size 1152, Block-Wise-Transfer
	shortCSM = "00e1"
)

// TestStreamInput gives a server what the table says and reads all that it answers
// until it closes the stream or waits: bytes of our own, no codec of ours.
func TestStreamInput(t *testing.T) {
	tests := []struct {
		name, in string
		answer   string // behind the CSM, hexadecimal; of an Abort only its code
		err      error
		open     bool // the stream lives on
	}{
		{name: "RFC 8323 §5.3, CSM first", in: csm, open: true},
		{name: "RFC 8323 §5.4, ping", in: shortCSM + "01e242", answer: "01e342", open: true},
		{name: "RFC 8323 §5.4.1, ping with custody", in: shortCSM + "11e24220", answer: "11e34220", open: true},
		{name: "RFC 8323 §3.4, empty message", in: shortCSM + "0000", open: true},
		{name: "a request", in: shortCSM + "01019a", answer: "01849a", open: true},
		{name: "no CSM first", in: "01019a", answer: "e5", err: transport.ErrSignal},
		{name: "critical option in a CSM", in: "10e110", answer: "e5", err: coap.ErrOption},
		{name: "critical option in a ping", in: shortCSM + "10e210", answer: "e5", err: coap.ErrOption},
		{name: "longer than Max-Message-Size", in: shortCSM + "e0ffff", answer: "e5", err: transport.ErrTooLong},
		{name: "4 GiB", in: shortCSM + "f0ffffffff", answer: "e5", err: transport.ErrTooLong},
		{name: "1152 bytes and one", in: shortCSM + "e0" + "0370" + "02", answer: "e5", err: transport.ErrTooLong},
		{name: "token of 9 bytes", in: shortCSM + "09", answer: "e5", err: coap.ErrTokenLength},
		{name: "option without end", in: shortCSM + "1002b5", answer: "e5", err: coap.ErrOptionForm},
		{name: "release", in: shortCSM + "00e4"},
		{name: "abort", in: shortCSM + "00e5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answer, open, err := speak(t, tt.in)
				if !errors.Is(err, tt.err) || open != tt.open {
					t.Fatalf("%v, stream open: %t, want %v, %t", err, open, tt.err, tt.open)
				}
				rest, ok := strings.CutPrefix(answer, csm)
				if tt.answer == "e5" && len(rest) > 4 {
					n, _, err := coap.FrameLength(unhexed(t, rest))
					if err != nil || 2*n != len(rest) {
						t.Errorf("Abort %s", rest)
					}
					if !strings.HasPrefix(rest[2:], "e5") && !strings.HasPrefix(rest[4:], "e5") {
						t.Errorf("answered %s, want an Abort", rest)
					}
					rest = "e5"
				}
				if !ok || rest != tt.answer {
					t.Errorf("answered %s, want %s", answer, csm+tt.answer)
				}
			})
		})
	}
}

func unhexed(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// speak says in to a server, and returns what it answered within a second, and how
// it ended if it did.
func speak(t *testing.T, in string) (answer string, open bool, err error) {
	t.Helper()
	near, far := net.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- transport.ServeStream(far, coap.New(coap.Options{}), time.Minute, time.Hour) }()
	var heard bytes.Buffer
	all := make(chan struct{})
	go func() {
		defer close(all)
		_, _ = io.Copy(&heard, near)
	}()
	_, _ = near.Write(unhexed(t, in)) // the server may have hung up already
	time.Sleep(time.Second)
	select {
	case err = <-ended:
	default:
		open = true
	}
	_ = near.Close()
	<-all
	if open {
		<-ended
	}
	return hex.EncodeToString(heard.Bytes()), open, err
}

// TestSlowloris: who sends a byte now and then holds a connection no longer than
// the handshake, or one frame, may take; who is silent, no longer than IdleTimeout;
// who does not read, not at all.
func TestSlowloris(t *testing.T) {
	tests := []struct {
		name, first string
		drip        time.Duration
		after       time.Duration
		deaf        bool
	}{
		{name: "nothing", after: 20 * time.Second},
		{name: "CSM byte by byte", drip: 15 * time.Second, first: "40", after: 45 * time.Second},
		{name: "frame byte by byte", first: shortCSM, drip: 10 * time.Second, after: 40 * time.Second},
		{name: "silence", first: shortCSM, after: time.Hour},
		{name: "no reading", deaf: true, after: 2 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				defer near.Close()
				began := time.Now()
				ended := make(chan time.Duration, 1)
				go func() {
					_ = transport.ServeStream(far, coap.New(coap.Options{}), 20*time.Second, time.Hour)
					ended <- time.Since(began)
				}()
				if !tt.deaf {
					go func() { _, _ = io.Copy(io.Discard, near) }()
				}
				if tt.first != "" {
					_, _ = near.Write(unhexed(t, tt.first))
				}
				for tt.drip > 0 {
					time.Sleep(tt.drip)
					if _, err := near.Write([]byte{0xd0}); err != nil {
						break
					}
				}
				if d := <-ended; d > tt.after+time.Second {
					t.Errorf("ended after %v, want %v", d, tt.after)
				}
			})
		})
	}
}

// FuzzStream: whatever comes, in whatever pieces, the stream ends and the engine
// keeps nothing.
func FuzzStream(f *testing.F) {
	for _, s := range []string{csm + "01e242", shortCSM + "e0ffff", shortCSM + "01019a", "0000", shortCSM + "1002b5"} {
		b, _ := hex.DecodeString(s)
		f.Add(b, uint8(3))
	}
	f.Fuzz(func(t *testing.T, in []byte, piece uint8) {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			e := coap.New(coap.Options{})
			ended := make(chan error, 1)
			go func() { ended <- transport.ServeStream(far, e, time.Minute, time.Hour) }()
			go func() { _, _ = io.Copy(io.Discard, near) }()
			for len(in) > 0 {
				n := min(int(piece)+1, len(in))
				if _, err := near.Write(in[:n]); err != nil {
					break
				}
				in = in[n:]
			}
			_ = near.Close()
			if err := <-ended; errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v", err)
			}
			if s := e.Stats(); s.Peers+s.Bodies+s.Remembered > 0 {
				t.Errorf("left %+v", s)
			}
		})
	})
}
