package foreign_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	host      = "127.83.7.1" // of the real provider
	otherHost = "127.83.7.2" // of this one
	limit     = 3 * time.Minute
)

// A stage is a directory with the real program in it.
type stage struct {
	bin, dir string
	url      string
}

// run runs the program to its end, as an operator of the real provider.
func (s *stage) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.try(t.Context(), args...)
	if err != nil {
		t.Fatalf("steward %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (s *stage) try(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.bin, args...)
	cmd.Dir, cmd.Env = s.dir, environment()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// environment is that of this process without what is for tests: the program refuses
// variables that it does not know.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "STEWARD_") })
}

// operate is run with what reaches the real provider.
func (s *stage) operate(t *testing.T, args ...string) string {
	t.Helper()
	return s.run(t, append(args, "--url", s.url, "--token-file", "data/admin.token")...)
}

// start runs the program until the test ends.
func (s *stage) start(t *testing.T, args ...string) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.Command(s.bin, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.dir, environment(), &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if strings.Contains(log.String(), "level=ERROR") {
			t.Error("errors in the log")
		}
		if t.Failed() {
			t.Logf("steward %s:\n%s", args[0], log.String())
		}
	})
}

// ports counts those that this process has asked for.
var ports atomic.Int64

// freePort returns an address whose port is free, another at each call, outside the range from
// which the system takes ports: nobody else is given it before it is used.
func freePort(t *testing.T, network, host string) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("%s:%d", host, 10000+(97*int64(os.Getpid())+ports.Add(1))%20000)
		var c io.Closer
		var err error
		if network == "udp" {
			c, err = net.ListenPacket(network, addr)
		} else {
			c, err = net.Listen(network, addr)
		}
		if err != nil {
			continue
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		return addr
	}
	t.Fatal("no port is free")
	return ""
}

// newStage starts the real provider and a device that is its own.
func newStage(t *testing.T) *stage {
	t.Helper()
	if os.Getenv("STEWARD_E2E") == "" {
		t.Skip("needs STEWARD_E2E=1 and bin/steward: make e2e")
	}
	bin := os.Getenv("STEWARD_BIN")
	if bin == "" {
		bin = filepath.Join("..", "..", "..", "..", "bin", "steward")
	}
	bin, err := filepath.Abs(bin)
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{bin: bin, dir: t.TempDir()}
	http := freePort(t, "tcp", host)
	s.url = "http://" + http
	s.start(t, "serve", "--name", "Alpha", "--allow-test-range", "--data", "data", "--host", host, "--http", http,
		"--coaps", freePort(t, "udp", host), "--peer", freePort(t, "tcp", host), "--pki", "off", "--ack-timeout", "200ms",
		"--grace", "60s", "--retry", "300ms", "--poll", "200ms")
	s.await(t, "the provider serves", func() error { return s.ask("/readyz") })
	return s
}

// ask fetches a page of the provider.
func (s *stage) ask(path string) error {
	res, err := http.Get(s.url + path)
	if err != nil {
		return err
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, res.Status)
	}
	return nil
}

// await asks until there is no error.
func (s *stage) await(t *testing.T, what string, ask func() error) {
	t.Helper()
	until := time.Now().Add(limit)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%s: %v", what, err)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(what, t.Context().Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// rest asks the REST API of the provider, with a body unless it is nil.
func (s *stage) rest(t *testing.T, method, path string, body any) json.RawMessage {
	t.Helper()
	var in bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&in).Encode(body); err != nil {
			t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+"/api/v1"+path, &in)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(s.read(t, "data/admin.token"))))
	if method == http.MethodPut {
		r.Header.Set("If-Match", "*")
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	out, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s, %v\n%s", method, path, res.Status, err, out)
	}
	return out
}

// deliver makes a device, with more flags for its factory, gives it to the provider
// and runs it. It returns the certificate of the factory's CA.
func (s *stage) deliver(t *testing.T, more ...string) *x509.Certificate {
	t.Helper()
	s.write(t, "settings.json", s.rest(t, http.MethodGet, "/device-settings", nil))
	s.run(t, append([]string{
		"ca", "factory", "--count", "1", "--prefix", "dev-", "--provider", "settings.json",
	}, more...)...)
	s.operate(t, "ca", "trust-factory", "devices/permanent-ca.pem")
	s.write(t, "dev-0001.pem", []byte(s.bundle(t).Factory.Chain[0]))
	s.operate(t, "devices", "import", "dev-0001.pem")
	s.start(t, "device", "--state", "state", "--ack-timeout", "200ms", "--flight-interval", "200ms", "--retry", "300ms",
		"--retry-max", "1s", "--keep-alive", "500ms", "--tick", "200ms", "devices")
	block, _ := pem.Decode(s.read(t, "devices/permanent-ca.pem"))
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *stage) read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (s *stage) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// online waits until the device is registered at the real provider.
func (s *stage) online(t *testing.T) {
	t.Helper()
	s.await(t, "the device is online", func() error {
		out, err := s.try(t.Context(), "devices", "list", "--json", "--url", s.url, "--token-file", "data/admin.token")
		if err == nil && !strings.Contains(out, `"online"`) {
			err = fmt.Errorf("%s", out)
		}
		return err
	})
}
