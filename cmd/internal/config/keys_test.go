package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"steward/cmd/internal/config"
)

func TestPassphrase(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	want := func(k config.Keys, text string) {
		t.Helper()
		if got, err := k.Passphrase(); err != nil || string(got) != text {
			t.Errorf("Passphrase = %q, %v, want %q", got, err, text)
		}
	}
	t.Setenv("STEWARD_PASSPHRASE", "")
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	want(config.Keys{}, "")
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	want(config.Keys{}, "") // it has other credentials
	write("steward-passphrase", "of the service manager\n", 0o400)
	want(config.Keys{}, "of the service manager")
	t.Setenv("STEWARD_PASSPHRASE", "of the environment")
	want(config.Keys{}, "of the environment")
	if os.Getenv("STEWARD_PASSPHRASE") != "" {
		t.Error("the variable is still there")
	}
	want(config.Keys{PassphraseFile: write("file", "of the file\r\n", 0o600)}, "of the file")
	for name, path := range map[string]string{
		"readable by others": write("open", "x", 0o644), "empty": write("empty", "\n", 0o600),
		"absent": filepath.Join(dir, "absent"),
	} {
		if _, err := (config.Keys{PassphraseFile: path}).Passphrase(); !errors.Is(err, config.ErrConfig) {
			t.Errorf("%s: %v, want ErrConfig", name, err)
		}
	}
}
