package config_test

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/config"
)

func TestRetention(t *testing.T) {
	const day = 24 * time.Hour
	for _, row := range []struct {
		name string
		in   config.Retention
		want config.Kept
		err  error
	}{
		{"defaults", config.Retention{}, config.Kept{}, nil},
		{
			"all",
			config.Retention{Events: 1, Operations: 2, Values: 3, Trace: config.Duration(4 * time.Hour), Audit: 365},
			config.Kept{Events: day, Operations: 2 * day, ValueDays: 3, Trace: 4 * time.Hour, Audit: 365 * day},
			nil,
		},
		{"a hundred years", config.Retention{Audit: 36_500}, config.Kept{Audit: 36_500 * day}, nil},
		{"longer", config.Retention{Audit: 36_501}, config.Kept{}, config.ErrConfig},
		{"negative", config.Retention{Events: -1}, config.Kept{}, config.ErrConfig},
		{"negative operations", config.Retention{Operations: -1}, config.Kept{}, config.ErrConfig},
		{"negative values", config.Retention{Values: -1}, config.Kept{}, config.ErrConfig},
		{"traces for long", config.Retention{Trace: config.Duration(8 * day)}, config.Kept{}, config.ErrConfig},
		{"negative trace", config.Retention{Trace: -1}, config.Kept{}, config.ErrConfig},
	} {
		o := config.Default()
		o.Data, o.Retention = t.TempDir(), row.in
		c, err := config.New(o)
		if !errors.Is(err, row.err) || err == nil && c.Kept != row.want {
			t.Errorf("%s: %+v, %v; want %+v, %v", row.name, c.Kept, err, row.want, row.err)
		}
	}
}

// TestRetentionIsDescribed holds that ARCHITECTURE.md names each of the settings beside
// the tables that it is for; sqlite.TestRetention holds that all tables stand there.
func TestRetentionIsDescribed(t *testing.T) {
	text, err := os.ReadFile("../../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for field := range reflect.TypeFor[config.Retention]().Fields() {
		key := field.Tag.Get("toml")
		if !strings.Contains(string(text), "`retention."+key+"`") {
			t.Errorf("ARCHITECTURE.md does not say what retention.%s is for", key)
		}
	}
}
