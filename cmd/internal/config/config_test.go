package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"steward/cmd/internal/config"
	"steward/objects"
)

func TestNew(t *testing.T) {
	change := func(f func(*config.Options)) config.Options {
		o := config.Default()
		o.AllowTestRange = true
		f(&o)
		return o
	}
	certificates := func(list ...string) config.Options {
		return change(func(o *config.Options) { o.ServerCertificates = list })
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte("a b"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		in   config.Options
		err  error
	}{
		{"defaults", change(func(*config.Options) {}), nil},
		{"no listener for partners", change(func(o *config.Options) { o.Peer, o.PKI = "off", "off" }), nil},
		{"host name", change(func(o *config.Options) { o.Host = "iot.example.com" }), nil},
		{"no ids chosen", config.Default(), nil},
		{"test range chosen", func() config.Options {
			o := config.Default()
			o.Objects.Transfer = 42780
			return o
		}(), config.ErrConfig},
		{"data is a file", change(func(o *config.Options) { o.Data = file }), config.ErrConfig},
		{"no data", change(func(o *config.Options) { o.Data = "" }), config.ErrConfig},
		{"name", change(func(o *config.Options) { o.Name = "a\nb" }), config.ErrConfig},
		{"host", change(func(o *config.Options) { o.Host = "a b" }), config.ErrConfig},
		{"port", change(func(o *config.Options) { o.CoAPS = ":99999" }), config.ErrConfig},
		{"no port", change(func(o *config.Options) { o.HTTP = "localhost" }), config.ErrConfig},
		{"no coaps", change(func(o *config.Options) { o.CoAPS = "off" }), config.ErrConfig},
		{"public address", change(func(o *config.Options) { o.PublicCoAPS = "iot.example.com:5684" }), nil},
		{"public address without port", change(func(o *config.Options) { o.PublicCoAPS = "x" }), config.ErrConfig},
		{"streams", change(func(o *config.Options) { o.CoAPTCP, o.CoAPSTCP = ":5683", ":5684" }), nil},
		{"port of a stream", change(func(o *config.Options) { o.CoAPSTCP = ":x" }), config.ErrConfig},
		{"certificate by name", certificates("iot.example.com=a.pem,b.pem", "b.example=c.pem,d.pem"), nil},
		{"certificate without key", certificates("iot.example.com=a.pem"), config.ErrConfig},
		{"certificate for an address", certificates("192.0.2.1=a.pem,b.pem"), config.ErrConfig},
		{"certificate for no name", certificates("=a.pem,b.pem"), config.ErrConfig},
		{"two certificates for a name", certificates("a.example=a,b", "A.example=c,d"), config.ErrConfig},
		{"too many certificates", certificates(make([]string, 257)...), config.ErrConfig},
		{"names", change(func(o *config.Options) { o.Identity, o.IdentityTable = []string{"uri", "cn"}, file }), nil},
		{"names of no kind", change(func(o *config.Options) { o.Identity = []string{"email"} }), config.ErrConfig},
		{"no table of names", change(func(o *config.Options) { o.IdentityTable = file + "s" }), config.ErrConfig},
		{"no names in it", change(func(o *config.Options) { o.IdentityTable = broken }), config.ErrConfig},
		{"raw public keys, not built", change(func(o *config.Options) { o.RawPublicKeys = true }), config.ErrConfig},
		{"OSCORE, not built", change(func(o *config.Options) { o.OSCORE = true }), config.ErrConfig},
		{"limits", change(func(o *config.Options) { o.Limits = config.Limits{Burst: 5, PerDay: 10} }), nil},
		{"negative limit", change(func(o *config.Options) { o.Limits.PerMinute = -1 }), config.ErrConfig},
		{"certificates in a day", change(func(o *config.Options) { o.Limits.PerDay = 1001 }), config.ErrConfig},
		{"enrolment", change(func(o *config.Options) {
			o.Enrolment = config.Enrolment{
				Lifetime: config.Duration(time.Minute), Rate: 60, ExpiredGrace: config.Duration(time.Hour),
				Renewal: map[string]config.Renewal{"default": {Share: 0.5}, "operational": {Jitter: 0.2}},
			}
		}), nil},
		{"lifetime", change(func(o *config.Options) { o.Enrolment.Lifetime = -1 }), config.ErrConfig},
		{"expired grace", change(func(o *config.Options) {
			o.Enrolment.ExpiredGrace = config.Duration(91 * 24 * time.Hour)
		}), config.ErrConfig},
		{"re-key", change(func(o *config.Options) { o.Enrolment.Rekey = "never" }), nil},
		{"unknown re-key", change(func(o *config.Options) { o.Enrolment.Rekey = "always" }), config.ErrConfig},
		{"renewal rate", change(func(o *config.Options) { o.Enrolment.Rate = -1 }), config.ErrConfig},
		{"renewal policy", change(func(o *config.Options) {
			o.Enrolment.Renewal = map[string]config.Renewal{"operational": {Share: 2}}
		}), config.ErrConfig},
		{"grace", change(func(o *config.Options) { o.Timers.Grace = 0 }), config.ErrConfig},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := config.New(tt.in); !errors.Is(err, tt.err) {
				t.Errorf("New = %v, want %v", err, tt.err)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "steward.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	o := config.Default()
	err := o.Load(write("name = \"Alpha\"\nhost = \"127.0.0.11\"\nallow-test-range = true\n[timers]\ngrace = \"10s\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.New(o)
	if err != nil || c.Grace != 10*time.Second || c.CoAPS != "127.0.0.11:5684" || c.Name != "Alpha" {
		t.Errorf("New = %+v, %v", c, err)
	}
	for _, text := range []string{"naming = \"x\"\n", "name = 5\n", "[timers]\ngrace = \"soon\"\n"} {
		if err := o.Load(write(text)); !errors.Is(err, config.ErrConfig) {
			t.Errorf("Load(%q) = %v, want ErrConfig", text, err)
		}
	}
	if err := o.Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, config.ErrConfig) {
		t.Errorf("Load of no file = %v, want ErrConfig", err)
	}
}

// TestHandOver: without ids of its own a provider runs, but hands nothing over.
func TestHandOver(t *testing.T) {
	c, err := config.New(config.Default())
	if err != nil || c.HandOver || c.IDs != (objects.IDs{}) {
		t.Errorf("New(Default()) = hand-over %v with %v, %v", c.HandOver, c.IDs, err)
	}
	o := config.Default()
	o.AllowTestRange = true
	if c, err = config.New(o); err != nil || !c.HandOver || c.IDs != objects.DefaultIDs {
		t.Errorf("with --allow-test-range: hand-over %v with %v, %v", c.HandOver, c.IDs, err)
	}
}
