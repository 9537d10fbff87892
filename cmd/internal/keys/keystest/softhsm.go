// Package keystest makes tokens of SoftHSM for tests.
package keystest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"steward/cmd/internal/keys"
)

const softHSM = "/usr/lib/softhsm/libsofthsm2.so"

// PIN is that of the tokens: nothing may show it.
const PIN = "pin-73551608"

// SoftToken makes a token of SoftHSM and returns its folder and its URI. SoftHSM
// reads its environment once for each process: one test makes one token. The test is
// skipped where SoftHSM is not installed, or PKCS#11 not built in.
func SoftToken(t *testing.T) (folder, uri string) {
	t.Helper()
	if _, err := os.Stat(softHSM); err != nil {
		t.Skip("softhsm2 is not installed")
	}
	if !keys.PKCS11 {
		t.Skip("built without PKCS#11")
	}
	dir := t.TempDir()
	folder = filepath.Join(dir, "tokens")
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", write("softhsm2.conf", "directories.tokendir = "+folder+"\n"))
	out, err := exec.CommandContext(t.Context(), "softhsm2-util", "--init-token", "--free", "--label", "steward",
		"--so-pin", "so-"+PIN, "--pin", PIN).CombinedOutput()
	if err != nil {
		t.Fatalf("softhsm2-util: %v: %s", err, out)
	}
	return folder, "pkcs11:token=steward?module-path=" + softHSM + "&pin-source=file:" + write("pin", PIN+"\n")
}
