package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"steward/cmd/internal/config"
)

func TestEST(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		labels   int
		err      error
	}{
		{"nothing", "", 0, nil},
		{"own", "[enrolment]\nlifetime = \"720h\"\n" +
			"[est]\nkeys = [\"P-384\"]\napproval = true\nkeep-keys = \"10m\"\n", 0, nil},
		{"labels", "[est]\nexpired-factory = true\n[est.labels.keys]\nserver-keys = true\n" +
			"[est.labels.bound]\nchannel-binding = true\n", 2, nil},
		{"hours", "[est.labels.short]\nlifetime = \"8h\"\nno-rev-avail = true\n" +
			"[est.labels.named]\npointers = true\n", 2, nil},
		{"a year of noRevAvail", "[est]\nno-rev-avail = true\n", 0, config.ErrConfig},
		{"both", "[est.labels.x]\nlifetime = \"8h\"\nno-rev-avail = true\npointers = true\n", 0, config.ErrConfig},
		{"unknown key", "[est]\nkeys = [\"RSA\"]\n", 0, config.ErrConfig},
		{"validity of a label", "[est.labels.x]\nlifetime = \"-1h\"\n", 0, config.ErrConfig},
		{"negative time", "[est]\nkeep-keys = \"-1h\"\n", 0, config.ErrConfig},
		{"misspelt", "[est.labels.x]\nserver-key = true\n", 0, config.ErrConfig},
	} {
		path := filepath.Join(t.TempDir(), "steward.toml")
		if err := os.WriteFile(path, []byte(tt.in), 0o600); err != nil {
			t.Fatal(err)
		}
		o := config.Default()
		err := o.Load(path)
		var c config.Config
		if err == nil {
			c, err = config.New(o)
		}
		if !errors.Is(err, tt.err) || err == nil && (len(c.Labels) != tt.labels || c.Operational == nil) {
			t.Errorf("%s: %d labels, %v, want %d, %v", tt.name, len(c.Labels), err, tt.labels, tt.err)
		}
		if tt.name == "own" && c.KeepKeys != 10*time.Minute {
			t.Errorf("keep-keys %v", c.KeepKeys)
		}
	}
}
