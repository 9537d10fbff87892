package hook_test

import (
	"encoding/base64"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"steward/lwm2m/machine/machinetest"
	"steward/web/hook"
	"steward/web/hook/hooktest"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestTables(t *testing.T) {
	if err := hook.Table.Check(hook.Active); err != nil {
		t.Error(err)
	}
	machinetest.Golden(t, "testdata/hook.mmd", hook.Table.Mermaid(hook.Active), *update)
	if err := hook.LetterTable.Check(hook.Dead); err != nil {
		t.Error(err)
	}
	machinetest.Golden(t, "testdata/letter.mmd", hook.LetterTable.Mermaid(hook.Dead), *update)
}

func TestMemory(t *testing.T) {
	hooktest.TestStore(t, func(*testing.T) hook.Store { return &hooktest.Memory{} })
}

// TestSign has the vector of the Standard Webhooks reference libraries.
func TestSign(t *testing.T) {
	secret, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := hook.Sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("Sign = %s, want %s", got, want)
	}
}

func TestGuard(t *testing.T) {
	var g hook.Guard
	for _, text := range []string{
		"127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
		"100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
		"::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1", "::ffff:127.0.0.1",
		"::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001::1", "2001:db8::1",
	} {
		if err := g.Check(netip.MustParseAddr(text)); !errors.Is(err, hook.ErrAddress) {
			t.Errorf("Check(%s) = %v, want ErrAddress", text, err)
		}
	}
	for _, text := range []string{"1.1.1.1", "::ffff:1.1.1.1", "2606:4700:4700::1111", "172.32.0.1", "100.128.0.1"} {
		if err := g.Check(netip.MustParseAddr(text)); err != nil {
			t.Errorf("Check(%s) = %v", text, err)
		}
	}
	g.Allow = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
	if err := g.Check(netip.MustParseAddr("10.1.2.3")); err != nil {
		t.Errorf("an address that is allowed: %v", err)
	}
	if err := g.Check(netip.MustParseAddr("10.2.2.3")); err == nil {
		t.Error("its neighbour is allowed too")
	}
}

// TestClientIsGuarded calls a server of this machine by addresses and by a name.
func TestClientIsGuarded(t *testing.T) {
	called := false
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	t.Cleanup(s.Close)
	port := s.URL[strings.LastIndex(s.URL, ":"):]
	for _, host := range []string{"127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]", "2130706433", "127.1"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+host+port, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := hook.Guard{}.Client().Do(r)
		if err == nil {
			_ = res.Body.Close()
			t.Errorf("%s was called", host)
		}
	}
	if called {
		t.Error("the server was reached")
	}
}

func TestCheck(t *testing.T) {
	good := hook.Hook{Name: "n", URL: "https://example.com/x?y=1", Mode: hook.Structured}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(h *hook.Hook){
		"no name":         func(h *hook.Hook) { h.Name = "" },
		"long name":       func(h *hook.Hook) { h.Name = strings.Repeat("x", 65) },
		"newline":         func(h *hook.Hook) { h.Name = "a\nb" },
		"no URL":          func(h *hook.Hook) { h.URL = "" },
		"another scheme":  func(h *hook.Hook) { h.URL = "file:///etc/passwd" },
		"gopher":          func(h *hook.Hook) { h.URL = "gopher://example.com/" },
		"no host":         func(h *hook.Hook) { h.URL = "https:///x" },
		"user":            func(h *hook.Hook) { h.URL = "https://a:b@example.com" },
		"fragment":        func(h *hook.Hook) { h.URL = "https://example.com/#x" },
		"long URL":        func(h *hook.Hook) { h.URL = "https://example.com/" + strings.Repeat("x", 2048) },
		"mode":            func(h *hook.Hook) { h.Mode = "x" },
		"type":            func(h *hook.Hook) { h.Types = []string{"*"} },
		"empty type":      func(h *hook.Hook) { h.Types = []string{""} },
		"too many types":  func(h *hook.Hook) { h.Types = make([]string, 17) },
		"too long a name": func(h *hook.Hook) { h.Subject = strings.Repeat("x", 65) },
	} {
		h := good
		change(&h)
		if err := h.Check(); !errors.Is(err, hook.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWants(t *testing.T) {
	for _, row := range []struct {
		types, kind string
		want        bool
	}{
		{"", "device.state", true},
		{"", "device.value", false},
		{"device.", "device.value", false},
		{"device.value", "device.value", true},
		{"device.", "device.state", true},
		{"campaign", "transfer", false},
		{"transfer campaign", "campaign", true},
	} {
		h := hook.Hook{Types: strings.Fields(row.types)}
		if got := h.Wants(row.kind, "s"); got != row.want {
			t.Errorf("%q wants %s: %v", row.types, row.kind, got)
		}
	}
	if (hook.Hook{Subject: "a"}).Wants("campaign", "b") {
		t.Error("another subject is wanted")
	}
}
