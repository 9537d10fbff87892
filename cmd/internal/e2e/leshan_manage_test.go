package e2e_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestLeshan looks after devices made of Eclipse Leshan's client, with its
// Californium.
func TestLeshan(t *testing.T) {
	slow(t)
	t.Parallel()
	kit := newLeshan(t)
	t.Run("device management", func(t *testing.T) { t.Parallel(); leshanManaged(t, kit) })
	t.Run("formats", func(t *testing.T) { t.Parallel(); leshanFormats(t, kit) })
	t.Run("psk", func(t *testing.T) { t.Parallel(); leshanPSK(t, kit) })
	t.Run("x509", func(t *testing.T) { t.Parallel(); leshanX509(t, kit) })
	t.Run("bootstrap", func(t *testing.T) { t.Parallel(); leshanBootstrap(t, kit) })
}

// everyKind are the resources of one instance of /3442, with a value to write to
// each, and their instances in the same order.
var everyKind = []struct{ single, multiple, value string }{
	{"110", "1110/0", `"changed"`},
	{"120", "1120/0", "-1234567890123"},
	{"125", "1125/0", "9223372036854775809"}, // Leshan writes those near 2^64 in TLV like small ones
	{"130", "1130/0", "2.5"},
	{"140", "1140/0", "false"},
	{"150", "1150/0", `"AP8Q"`},
	{"160", "1160/0", `"2021-03-04T05:06:07Z"`},
	{"170", "1170/0", `"3442:1"`},
}

// leshanManaged registers without security and goes through the operations.
func leshanManaged(t *testing.T, kit leshanKit) {
	t.Helper()
	const name = "leshan-plain"
	p, uri := servePlain(t)
	p.post(t, "/api/v1/devices", map[string]any{"endpoint": name, "nosec": true})
	l := kit.start(t, name, "uri="+uri)
	l.hear(t, "registered")
	p.state(t, name, "online")

	device := p.must(t, name, map[string]any{"op": "read", "path": "/3"})
	for path, want := range map[string]string{
		"/3/0/0": `"Leshan Ltd"`, "/3/0/9": "50", "/3/0/11/0": "0", "/3/0/13": `"2023-11-14T22:13:20Z"`,
	} {
		if device.values[path] != want {
			t.Errorf("%s = %s, want %s", path, device.values[path], want)
		}
	}
	p.must(t, name, map[string]any{"op": "write", "path": "/3/0/14", "value": "+02"})
	p.reads(t, name, "/3/0/14", `"+02"`)
	p.must(t, name, map[string]any{"op": "update", "path": "/3/0", "values": []map[string]any{
		{"path": "/3/0/14", "value": "+03"}, {"path": "/3/0/15", "value": "Asia/Tokyo"},
	}})
	p.reads(t, name, "/3/0/15", `"Asia/Tokyo"`)
	p.must(t, name, map[string]any{"op": "execute", "path": "/3/0/4", "arguments": "0='now',1"})
	if got := l.hear(t, "executed /3/0/4"); !strings.HasSuffix(got, "0='now',1") {
		t.Errorf("executed with %q", got)
	}
	links := p.must(t, name, map[string]any{"op": "discover", "path": "/3/0"}).links
	if !strings.Contains(links, "</3/0/11>;dim=1") || !strings.Contains(links, "</3/0/9>") {
		t.Errorf("links = %s", links)
	}
	refused(t, p, name, map[string]any{"op": "read", "path": "/3/0/4"}, "4.05")
	refused(t, p, name, map[string]any{"op": "read", "path": "/3/0/22"}, "4.04")
	refused(t, p, name, map[string]any{"op": "read", "path": "/0"}, "4.0")
	leshanInstances(t, p, name)
	leshanReports(t, p, l)
	l.say(t, "stop")
	l.hear(t, "deregistered")
	p.state(t, name, "offline")
}

// refused demands that the device refuses with a code.
func refused(t *testing.T, p *provider, name string, op map[string]any, code string) {
	t.Helper()
	var refusal *problem
	if _, err := p.ask(t, name, op); !errors.As(err, &refusal) || !strings.HasPrefix(refusal.CoAP, code) {
		t.Errorf("%v: %v, want %s", op, err, code)
	}
}

// leshanInstances makes and removes an instance, and writes every kind of value.
func leshanInstances(t *testing.T, p *provider, name string) {
	t.Helper()
	first := p.must(t, name, map[string]any{"op": "create", "path": "/3442", "values": []map[string]any{
		{"path": "/3442/0/110", "value": "first"},
	}})
	if first.created != "/3442/1" { // the device chose
		t.Errorf("created %q, want /3442/1", first.created)
	}
	p.reads(t, name, "/3442/1/110", `"first"`)
	made := p.must(t, name, map[string]any{"op": "create", "path": "/3442/7", "values": []map[string]any{
		{"path": "/3442/7/110", "value": "made"},
	}})
	if made.created != "/3442/7" {
		t.Errorf("created %q, want /3442/7", made.created)
	}
	p.reads(t, name, "/3442/7/110", `"made"`)
	p.must(t, name, map[string]any{"op": "delete", "path": "/3442/7"})
	refused(t, p, name, map[string]any{"op": "read", "path": "/3442/7"}, "4.04")
}

// leshanReports observes, cancels, and takes what the device sends by itself.
func leshanReports(t *testing.T, p *provider, l *leshan) {
	t.Helper()
	p.must(t, l.name, map[string]any{"op": "observe", "path": "/3/0/9"})
	for _, level := range []string{"51", "52", "53"} {
		l.say(t, "level "+level)
		p.hears(t, l.name, level)
	}
	p.must(t, l.name, map[string]any{"op": "cancel_observe", "path": "/3/0/9"})
	for i, format := range []string{"110", "112"} { // the formats of Send that Leshan has
		level := fmt.Sprint(60 + i)
		l.say(t, "level "+level)
		l.say(t, "send "+format+" /3/0/9 /3/0/14")
		l.hear(t, "sent CHANGED")
		p.hears(t, l.name, level)
	}
}
