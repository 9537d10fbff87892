package e2e_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// TestDeviceByRawKey: the simulated device shows a raw public key of its own to the
// Bootstrap-Server, gets a key pair for the server, registers by it and is asked over
// it; neither side takes another key.
func TestDeviceByRawKey(t *testing.T) {
	slow(t)
	t.Parallel()
	p, d := serve(t, "Alpha", scaled...), newDesk(t)
	const name = "urn:dev:ops:raw-4"
	own, other := newKeyPair(t), newKeyPair(t)
	other.store(t, d, "other")
	p.post(t, "/api/v1/devices", map[string]any{"endpoint": name, "nosec": false, "tags": []string{"raw"}})
	p.put(t, "/api/v1/devices/ep:"+name+"/keys/bootstrap", map[string]any{"public_key": own.store(t, d, "own")})
	p.put(t, "/api/v1/bootstrap-profiles/raw", map[string]any{
		"tag": "raw", "mode": "rpk", "short_id": 7, "lifetime": 300,
	})
	server := filepath.Join(p.data, "pki", "server.pem")
	run := func(key, server string, more ...string) *process {
		return start(t, name, &tail{}, append([]string{
			"device", "--raw-key", d.path(key + ".key"), "--server-key", server, "--endpoint", name, "--every", "1s",
		}, more...)...)
	}
	run("own", server, "--bootstrap", p.uri())
	p.state(t, name, "online")
	p.reads(t, name, "/3/0/0", `"Steward"`)
	var seen struct{ Security string }
	p.get(t, "/api/v1/devices/ep:"+name, &seen)
	if seen.Security != "rawkey" {
		t.Errorf("security %q", seen.Security)
	}
	stranger := run("other", server, "--server", p.uri())
	eventually(t, onlineLimit, "the refusal of another key", func() error {
		var out json.RawMessage
		if err := p.do(t.Context(), http.MethodGet, "/api/v1/audit?limit=200", nil, &out); err != nil {
			return err
		}
		if !strings.Contains(string(out), "nobody has the raw public key") {
			return errors.New("not in the audit yet")
		}
		return nil
	})
	deceived := run("own", d.path("other.pub"), "--bootstrap", p.uri())
	eventually(t, onlineLimit, "the refusal of another server", func() error {
		if text := deceived.out.String(); !strings.Contains(text, "server not trusted") {
			return errors.New(text)
		}
		return nil
	})
	if text := stranger.out.String(); strings.Contains(text, " registered") {
		t.Errorf("registered by another key: %s", text)
	}
}
