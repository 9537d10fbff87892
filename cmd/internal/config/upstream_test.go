package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"steward/cmd/internal/config"
)

func TestUpstream(t *testing.T) {
	const url = "https://ca.example/.well-known/est"
	for _, tt := range []struct {
		name string
		in   config.Upstream
		err  error
	}{
		{"none", config.Upstream{}, nil},
		{"files", config.Upstream{Kind: "files", Anchors: "a.pem", Directory: "d"}, nil},
		{"files by REST only", config.Upstream{Kind: "files", Anchors: "a.pem"}, nil},
		{"by certificate", config.Upstream{Kind: "est", Anchors: "a.pem", URL: url, Certificate: "c", Key: "k"}, nil},
		{"by password", config.Upstream{Kind: "est", Anchors: "a.pem", URL: url, User: "u", PasswordFile: "p"}, nil},
		{"no kind", config.Upstream{Anchors: "a.pem"}, config.ErrConfig},
		{"another kind", config.Upstream{Kind: "cmp", Anchors: "a.pem"}, config.ErrConfig},
		{"no anchors", config.Upstream{Kind: "files"}, config.ErrConfig},
		{"plain", config.Upstream{
			Kind: "est", Anchors: "a.pem", URL: "http://ca.example", User: "u", PasswordFile: "p",
		}, config.ErrConfig},
		{"nobody", config.Upstream{Kind: "est", Anchors: "a.pem", URL: url}, config.ErrConfig},
		{"no key", config.Upstream{Kind: "est", Anchors: "a.pem", URL: url, Certificate: "c"}, config.ErrConfig},
		{"no password", config.Upstream{Kind: "est", Anchors: "a.pem", URL: url, User: "u"}, config.ErrConfig},
		{"a directory", config.Upstream{
			Kind: "est", Anchors: "a.pem", URL: url, User: "u", PasswordFile: "p", Directory: "d",
		}, config.ErrConfig},
		{"files at a URL", config.Upstream{Kind: "files", Anchors: "a.pem", URL: url}, config.ErrConfig},
	} {
		o := config.Default()
		o.Upstream = tt.in
		if _, err := config.New(o); !errors.Is(err, tt.err) {
			t.Errorf("%s: New = %v, want %v", tt.name, err, tt.err)
		}
	}
}

func TestUpstreamMakesNoKeys(t *testing.T) {
	o := config.Default()
	o.Upstream = config.Upstream{Kind: "files", Anchors: "a.pem"}
	o.EST.Labels = map[string]config.ESTLabel{"made": {ESTProfile: config.ESTProfile{ServerKeys: true}}}
	if _, err := config.New(o); !errors.Is(err, config.ErrConfig) {
		t.Errorf("New = %v, want ErrConfig", err)
	}
}

func TestUpstreamPassword(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	u := config.Upstream{PasswordFile: path}
	if got, err := u.Password(); err != nil || string(got) != "secret" {
		t.Errorf("Password = %q, %v", got, err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Password(); !errors.Is(err, config.ErrConfig) {
		t.Errorf("a file that others read = %v, want ErrConfig", err)
	}
	u.PasswordFile += "x"
	if _, err := u.Password(); !errors.Is(err, config.ErrConfig) {
		t.Errorf("no file = %v, want ErrConfig", err)
	}
	if got, err := (config.Upstream{}).Password(); got != nil || err != nil {
		t.Errorf("none = %q, %v", got, err)
	}
}
