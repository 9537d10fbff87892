package devcheck_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/bundle"
	"steward/cmd/internal/devcheck"
	"steward/cmd/internal/sim"
	"steward/transfer"
)

// device runs a simulated device of the check until the test ends. change, unless nil,
// makes it another than the check takes it for.
func device(t *testing.T, c *devcheck.Check, change func(*bundle.Bundle, *sim.Options)) {
	t.Helper()
	o := sim.Options{
		StateDir: t.TempDir(), AckTimeout: 500 * time.Millisecond, HandshakeTimeout: 5 * time.Second,
		FlightInterval: 100 * time.Millisecond, RetryFirst: 50 * time.Millisecond, RetryMax: 400 * time.Millisecond,
		Tick: 50 * time.Millisecond, NoSync: true,
	}
	if change != nil {
		change(c.Bundle(), &o)
	}
	d, err := sim.New(c.Bundle(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func check(t *testing.T, o devcheck.Options) *devcheck.Check {
	t.Helper()
	o.Patience, o.Grace = time.Minute, 3*time.Second // on a slow machine under the race detector
	c, err := devcheck.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// breaches returns the rules that a run found broken.
func breaches(t *testing.T, r devcheck.Report) (rules []string) {
	t.Helper()
	for _, f := range r.Findings {
		if f.Verdict == devcheck.Breach {
			rules = append(rules, f.Rule)
		}
		if f.Verdict == devcheck.Breach || testing.Verbose() {
			t.Logf("%-8s %-11s %-12s %s: %s", f.Verdict, f.Rule, f.Section, f.What, f.Seen)
		}
	}
	return rules
}

// tried is how many tries of a whole run our own device passes, at least.
const tried = 115

// TestOwnDevice runs our own device through all checks.
func TestOwnDevice(t *testing.T) {
	t.Parallel()
	c := check(t, devcheck.Options{})
	device(t, c, nil)
	report, err := c.Run(t.Context())
	if len(breaches(t, report)) > 0 || err != nil || report.Passed < tried {
		t.Errorf("%d passed, %d breaches, %d skipped, %v", report.Passed, report.Breaches, report.Skipped, err)
	}
}

// TestOtherDevices runs devices that are not as they should be: the rule that each
// breaks is named, at once.
func TestOtherDevices(t *testing.T) {
	t.Parallel()
	for rule, change := range map[string]func(*bundle.Bundle, *sim.Options){
		"E2": func(b *bundle.Bundle, _ *sim.Options) { // takes the CA for a transfer signer
			b.Provider.Anchors[0].Purposes = append(b.Provider.Anchors[0].Purposes, transfer.TransferSigner.String())
		},
		"E6": func(_ *bundle.Bundle, o *sim.Options) { o.NoClock = true }, // the check thinks that it has one
		"E11": func(b *bundle.Bundle, _ *sim.Options) { // has forgotten the owner
			b.Provider.Anchors = b.Provider.Anchors[:len(b.Provider.Anchors)-1]
		},
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			c := check(t, devcheck.Options{First: true})
			device(t, c, change)
			report, err := c.Run(t.Context())
			if got := breaches(t, report); err != nil || len(got) != 1 || got[0] != rule {
				t.Errorf("breaches %v, %v; want %s", got, err, rule)
			}
		})
	}
}

// TestNobody: a device that does not come is told as such.
func TestNobody(t *testing.T) {
	t.Parallel()
	c, err := devcheck.New(devcheck.Options{Patience: time.Second, Grace: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	report, err := c.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "0 handshakes") || report.Breaches != 1 {
		t.Errorf("Run = %+v, %v", report, err)
	}
}

// TestOptions refuses what cannot be checked.
func TestOptions(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]devcheck.Options{
		"grace": {Grace: time.Millisecond}, "patience": {Patience: time.Millisecond},
		"endpoint": {Endpoint: strings.Repeat("x", 300)},
	} {
		if _, err := devcheck.New(o); !errors.Is(err, devcheck.ErrOptions) {
			t.Errorf("%s: New = %v, want ErrOptions", name, err)
		}
	}
}

// TestNewLeavesNothingBound: when the second address is taken, the first is free again.
func TestNewLeavesNothingBound(t *testing.T) {
	t.Parallel()
	taken, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	first, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := func(c net.PacketConn) uint16 { return netip.MustParseAddrPort(c.LocalAddr().String()).Port() }
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	o := devcheck.Options{Ports: [2]uint16{port(first), port(taken)}}
	if c, err := devcheck.New(o); err == nil || c != nil {
		t.Fatalf("New = %v, %v", c, err)
	}
	again, err := net.ListenPacket("udp4", first.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}
