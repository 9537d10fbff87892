package app_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"steward/cmd/internal/app"
	"steward/cmd/internal/config"
	"steward/cmd/internal/keys"
)

// A logbook keeps what was logged.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// forms are how a secret could be written.
func forms(secret []byte) map[string][]byte {
	return map[string][]byte{
		"bytes": secret, "hex": []byte(hex.EncodeToString(secret)),
		"HEX": []byte(strings.ToUpper(hex.EncodeToString(secret))),
		// Where the secret begins within other bytes is not known: the middle is the
		// same for one of three offsets.
		"base64":  []byte(base64.RawStdEncoding.EncodeToString(secret[:len(secret)/3*3])),
		"base64+": []byte(base64.RawStdEncoding.EncodeToString(secret[1 : 1+(len(secret)-1)/3*3])),
		"base64-": []byte(base64.RawStdEncoding.EncodeToString(secret[2 : 2+(len(secret)-2)/3*3])),
		"URL":     []byte(base64.RawURLEncoding.EncodeToString(secret[:len(secret)/3*3])),
	}
}

// TestNoKeyLeaves looks for every private key in what is logged, stored, exported by
// REST and told to devices, after a provider did a bit of everything.
func TestNoKeyLeaves(t *testing.T) {
	const passphrase = "the passphrase of this test"
	secretFile := filepath.Join(t.TempDir(), "passphrase")
	if err := os.WriteFile(secretFile, []byte(passphrase), 0o600); err != nil {
		t.Fatal(err)
	}
	p := newProvider(t, "Alpha", func(o *config.Options) {
		o.HTTP, o.Keys.PassphraseFile = lasting(t), secretFile
	})
	p.log = &logbook{}
	f := newFleet(t, p)
	f.start()
	f.add("sensor")
	f.step(keys.SUIT, (*app.Maintenance).Begin)
	f.step(keys.Root, (*app.Maintenance).Begin)
	f.step(keys.Issuing, (*app.Maintenance).Begin)
	f.all()
	seen := map[string][]byte{}
	for path, body := range p.everything() {
		seen["GET "+path] = body
	}
	secrets := map[string][]byte{"passphrase": []byte(passphrase)}
	for name, key := range p.app.PrivateKeys(t) {
		raw, err := key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		secrets[name] = raw
	}
	if len(secrets) < 9 {
		t.Fatalf("%d secrets, want those of 8 keys at least", len(secrets))
	}
	f.stop()
	seen["the log"] = p.log.text.Bytes()
	err := filepath.WalkDir(p.cfg.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		seen[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for where, text := range seen {
		for name, secret := range secrets {
			for form, written := range forms(secret) {
				if bytes.Contains(text, written) {
					t.Errorf("%s holds the secret %s as %s", where, name, form)
				}
			}
		}
	}
	if len(seen) < 30 {
		t.Errorf("only %d places were looked at", len(seen))
	}
}

// TestLeakIsSeen checks the test above: it sees a key that leaks.
func TestLeakIsSeen(t *testing.T) {
	ring, err := keys.Open(keys.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	key, err := ring.Key(keys.Root)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := key.(*ecdsa.PrivateKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(der), base64.StdEncoding.EncodeToString(der), hex.EncodeToString(der)} {
		found := false
		for _, written := range forms(raw) {
			found = found || strings.Contains(text, string(written))
		}
		if !found {
			t.Errorf("not seen in %q", text)
		}
	}
}

var parameterless = regexp.MustCompile(`(?m)^  (/[^{}\n]*):\n    get:`)

// everything fetches all that REST gives to an administrator without parameters.
func (p *provider) everything() map[string][]byte {
	p.t.Helper()
	contract, err := os.ReadFile("../../../web/api/openapi.yaml")
	if err != nil {
		p.t.Fatal(err)
	}
	token, err := os.ReadFile(filepath.Join(p.cfg.Data, "admin.token"))
	if err != nil {
		p.t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, m := range parameterless.FindAllSubmatch(contract, -1) {
		path := string(m[1])
		if strings.HasSuffix(path, "/events") || strings.HasSuffix(path, "/event") { // does not end
			continue
		}
		ctx, cancel := context.WithCancel(context.Background())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.cfg.HTTP+path, nil)
		if err != nil {
			p.t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			p.t.Fatal(err)
		}
		if answer.StatusCode != http.StatusOK {
			p.t.Logf("GET %s: %s", path, answer.Status)
		}
		out[path], err = io.ReadAll(answer.Body)
		if err := errors.Join(err, answer.Body.Close()); err != nil {
			p.t.Fatal(err)
		}
		cancel()
	}
	if len(out) < 10 {
		p.t.Errorf("only %d exports", len(out))
	}
	return out
}

func (p *provider) logger() *slog.Logger {
	if p.log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
