package e2e_test

import (
	"bytes"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestLibcoapRegisters registers by libcoap's client, without security and with a
// pre-shared key: a device that says what it has and answers nothing.
func TestLibcoapRegisters(t *testing.T) {
	slow(t)
	t.Parallel()
	p, plain := servePlain(t, scaled...)
	d := newDesk(t)
	key := bytes.Repeat([]byte{0x41}, 16) // the client takes text
	p.post(t, "/api/v1/devices", map[string]any{"endpoint": "libcoap-plain", "nosec": true})
	p.post(t, "/api/v1/devices", map[string]any{"endpoint": "libcoap-psk"})
	p.put(t, "/api/v1/devices/ep:libcoap-psk/keys/server", map[string]any{"identity": "libcoap", "key": key})
	for _, c := range []struct {
		name, base string
		args       []string
	}{
		{name: "libcoap-plain", base: plain},
		{name: "libcoap-psk", base: p.uri(), args: []string{"-u", "libcoap", "-k", string(key)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			call := func(method, path string, more ...string) string {
				t.Helper()
				args := append([]string{"-v", "7", "-B", "10", "-m", method}, append(c.args, more...)...)
				return d.run(t, "coap-client-openssl", append(args, c.base+path)...)
			}
			links := `</>;rt="oma.lwm2m";ct=110,</1/0>,</3/0>`
			at := location(t, call("post", "/rd?ep="+c.name+"&lt=300&lwm2m=1.1&b=U", "-t", "40", "-e", links))
			p.state(t, c.name, "online")
			var got struct{ Objects []struct{ ID int } }
			p.get(t, "/api/v1/devices/ep:"+c.name, &got)
			if len(got.Objects) != 2 || got.Objects[1].ID != 3 {
				t.Errorf("objects = %v, want those of %s", got.Objects, links)
			}
			for _, bad := range []struct{ method, path, code string }{
				{"post", "/rd?ep=" + c.name + "&lwm2m=9.9", "4.12"},
				{"post", "/rd?ep=" + c.name + "&lt=x&lwm2m=1.1", "4.00"},
				{"post", "/rd?ep=somebody-else&lwm2m=1.1", "4.0"},
				{"post", "/rd/nowhere", "4.04"},
				{"get", "/rd", "4.0"},
			} {
				if text := call(bad.method, bad.path, "-t", "40", "-e", links); !strings.Contains(text, bad.code) {
					t.Errorf("%s %s: %q, want %s", bad.method, bad.path, text, bad.code)
				}
			}
			if text := call("post", at+"?lt=600"); !strings.Contains(text, "2.04") {
				t.Errorf("Update: %q, want 2.04", text)
			}
			// It has gone, and can be told from one that refuses.
			var none *problem
			if _, err := p.ask(t, c.name, map[string]any{"op": "read", "path": "/3/0/0"}); !errors.As(err, &none) ||
				none.Status < http.StatusConflict || none.CoAP != "" {
				t.Errorf("read of a device that has gone: %v", err)
			}
			if text := call("delete", at); !strings.Contains(text, "2.02") {
				t.Errorf("De-register: %q, want 2.02", text)
			}
			p.state(t, c.name, "offline")
		})
	}
}

// location finds the Location-Path in what the client prints of an answer.
func location(t *testing.T, text string) (path string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`Location-Path:([^ ,\]]+)`).FindAllStringSubmatch(text, -1) {
		path += "/" + m[1]
	}
	if !strings.HasPrefix(path, "/rd/") {
		t.Fatalf("no location in %s", text)
	}
	return path
}
