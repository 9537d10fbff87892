package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// foreignLimit bounds one run of a foreign program.
const foreignLimit = 60 * time.Second

// A desk is a directory in which foreign programs work.
type desk struct{ dir string }

func newDesk(t *testing.T) desk {
	t.Helper()
	return desk{t.TempDir()}
}

func (d desk) path(name string) string { return filepath.Join(d.dir, name) }

func (d desk) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(d.path(name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (d desk) read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(d.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// try runs a program with stdin at its end and returns all that it printed.
func (d desk) try(t *testing.T, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), foreignLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = d.dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { // all that they ask is on this machine
		return strings.HasPrefix(strings.ToLower(v), "http_proxy=")
	})
	text, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s %s: %w", program, strings.Join(args, " "), err)
	}
	return string(text), err
}

// run is try for what must succeed.
func (d desk) run(t *testing.T, program string, args ...string) string {
	t.Helper()
	text, err := d.try(t, program, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return text
}

// roots fetches the CA certificates of a provider from its own listener, as PEM
// files root.pem and issuing.pem.
func (d desk) roots(t *testing.T, p *provider) {
	t.Helper()
	for _, name := range []string{"root", "issuing"} {
		code, der, err := fetch(t.Context(), "http://"+p.pki+"/issuer/"+name+".cer", "")
		if err != nil || code != http.StatusOK {
			t.Fatalf("%s certificate: %d, %v", name, code, err)
		}
		d.write(t, name+".der", []byte(der))
		d.run(t, "openssl", "x509", "-inform", "DER", "-in", name+".der", "-out", name+".pem")
	}
}

// coap runs libcoap's client and returns the body of the answer. Its text has
// the code of an answer that is an error.
func (d desk) coap(t *testing.T, who factoryDevice, block int, uri string, args ...string) (body []byte, text string) {
	t.Helper()
	_ = os.Remove(d.path("answer"))
	args = append([]string{
		"-c", who.certFile, "-j", who.keyFile, "-C", d.path("root.pem"),
		"-b", fmt.Sprint(block), "-B", "20", "-o", "answer",
	}, append(args, uri)...)
	text = d.run(t, "coap-client-openssl", args...)
	body, _ = os.ReadFile(d.path("answer")) // an error makes no file
	return body, text
}
