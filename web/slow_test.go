package web_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/web"
)

// A pipeListener accepts one connection, then waits for its end.
type pipeListener struct {
	conns chan net.Conn
}

func (l pipeListener) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, http.ErrServerClosed
	}
	return c, nil
}
func (l pipeListener) Close() error   { return nil }
func (l pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// TestSlowBodies checks that a body that does not come ends its request, and that
// one that came holds no answer up, however long that takes.
func TestSlowBodies(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"never comes", "half", "i/o timeout"},
		{"is there", "full body.", "answered after 1h0m0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := web.Stack(web.StackOptions{Log: slog.New(slog.DiscardHandler), Now: time.Now},
					http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if _, err := io.ReadAll(r.Body); err != nil {
							_, _ = fmt.Fprint(w, err)
							return
						}
						begin := time.Now()
						select { // a device that sleeps
						case <-time.After(time.Hour):
						case <-r.Context().Done():
						}
						_, _ = fmt.Fprint(w, "answered after ", time.Since(begin))
					}))
				client, end := net.Pipe()
				l := pipeListener{make(chan net.Conn, 1)}
				l.conns <- end
				s := &http.Server{Handler: h, ReadHeaderTimeout: time.Second}
				served := make(chan error, 1)
				go func() { served <- s.Serve(l) }()
				_, err := fmt.Fprintf(client, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n%s", c.body)
				if err != nil {
					t.Fatal(err)
				}
				answer, err := http.ReadResponse(bufio.NewReader(client), nil)
				if err != nil {
					t.Fatal(err)
				}
				defer answer.Body.Close()
				text, err := io.ReadAll(answer.Body)
				if err != nil || !strings.Contains(string(text), c.want) {
					t.Errorf("answer %q, %v; want %q", text, err, c.want)
				}
				_ = client.Close()
				close(l.conns)
				<-served
			})
		})
	}
}
