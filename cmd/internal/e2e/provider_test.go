package e2e_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// readyLimit is what a provider gets from start to ready, keys and all, on a
// machine busy with other tests.
const readyLimit = 60 * time.Second

// scaled are timers that make protocols of minutes fit a test.
var scaled = []string{
	"--ack-timeout", "200ms", "--grace", "6s", "--retry", "300ms", "--poll", "200ms",
}

// A provider is one steward serve with its data directory. It survives its own
// process: restart runs another on the same data and addresses.
type provider struct {
	*process
	rest

	host, data             string
	http, coaps, peer, pki string // addresses
	args                   []string
	logs                   *tail
	link                   string // one-time, of the process that runs now
}

// serve starts a provider on a loopback address of its own.
func serve(t *testing.T, name string, args ...string) *provider {
	t.Helper()
	host, err := freeHost()
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{host: host, data: filepath.Join(t.TempDir(), "data"), logs: &tail{}}
	for _, addr := range []*string{&p.http, &p.coaps, &p.peer, &p.pki} {
		if *addr, err = freeAddr(host); err != nil {
			t.Fatal(err)
		}
	}
	p.args = append([]string{
		"serve", "--name", name, "--data", p.data, "--host", host, "--http", p.http, "--coaps", p.coaps,
		"--peer", p.peer, "--pki", p.pki, "--allow-test-range",
	}, args...)
	showOnFailure(t, name, p.logs)
	p.restart(t)
	return p
}

var readyMessage = regexp.MustCompile(`(?m)^Sign in once, within 10 minutes: (\S+)$`)

// restart runs a process on the provider's data and waits until it serves. The
// one before must have ended.
func (p *provider) restart(t *testing.T) {
	t.Helper()
	p.process = start(t, p.args[2], p.logs, p.args...)
	eventually(t, readyLimit, p.name+" is ready", func() error {
		if err := p.alive(); err != nil {
			return err
		}
		m := readyMessage.FindStringSubmatch(p.out.String())
		if m == nil {
			return errors.New("no ready message")
		}
		p.link = m[1]
		_, _, err := fetch(t.Context(), "http://"+p.http+"/readyz", "")
		return err
	})
	token, err := os.ReadFile(filepath.Join(p.data, "admin.token"))
	if err != nil {
		t.Fatal(err)
	}
	p.rest = rest{base: "http://" + p.http, token: strings.TrimSpace(string(token))}
}

// uri is what devices are told to connect to.
func (p *provider) uri() string { return "coaps://" + p.coaps }
