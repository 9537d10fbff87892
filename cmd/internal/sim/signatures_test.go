package sim_test

import (
	"maps"
	"os"
	"strings"
	"testing"

	"steward/cmd/internal/sim"
)

// A tally reads the file into which a crypto/ecdsa that notes who verifies writes a line
// for each check of a signature, with the functions that called it.
type tally struct {
	t    *testing.T
	path string
	seen int
}

// whose are the functions of which one stands in the stack of each check by a device, by
// what is checked; the first that fits.
var whose = []struct{ function, what string }{
	{"steward/transfer.(*Facts).checkSigned", "TransferMessage (E3)"},
	{"steward/transfer.(*Facts).checkMandate", "mandate (E11)"},
	{"crypto/x509.CreateCertificateRequest", "own request"},
	{"steward/cmd/internal/sim.vouch", "chain of a certificate"},
	{"steward/cmd/internal/sim.", "else"},
	{"github.com/pion/dtls/", "key exchange of a handshake"},
}

// since returns what devices have checked since the last call, by kind.
func (y *tally) since() map[string]int {
	y.t.Helper()
	raw, err := os.ReadFile(y.path)
	if err != nil {
		y.t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
	out := map[string]int{}
	for _, line := range lines[y.seen:] {
		for _, w := range whose {
			if strings.Contains(line, w.function) {
				out[w.what]++
				break
			}
		}
	}
	y.seen = len(lines)
	return out
}

func sum(n map[string]int) (out int) {
	for _, k := range n {
		out += k
	}
	return out
}

// TestSignatureChecks counts the checks of signatures by a device: for an enrolment and a
// registration at the provider that it was delivered to, and for a hand-over. It needs
// the crypto/ecdsa that TestT23SignatureChecks of cmd/internal/e2e gives it.
func TestSignatureChecks(t *testing.T) {
	path := os.Getenv("STEWARD_SIGNATURES")
	if path == "" {
		t.Skip("is run by TestT23SignatureChecks")
	}
	y := &tally{t: t, path: path}
	m := &move{
		t: t, alpha: newPatient(t, "alpha"), beta: newPatient(t, "beta"), f: newFactory(t), grace: 60, dir: t.TempDir(),
	}
	m.b = m.f.device(endpoint, m.alpha)
	o := options(m.dir)
	o.FlightInterval, o.AckTimeout, o.HandshakeTimeout = unhurried, unhurried, patience
	y.since()
	r := start(t, m.b, o)
	r.await(sim.Registered)
	m.alpha.read(endpoint, battery)
	plain := y.since()
	m.prepare()
	ready := y.since()
	m.open()
	m.commit()
	r.await(sim.Done)
	m.finish()
	r.await(sim.Finalised)
	m.beta.read(endpoint, battery)
	moved := y.since()
	t.Logf("enrolment and registration: %d %v", sum(plain), plain)
	t.Logf("hand-over: %d, %v until READY, %v from then on", sum(ready)+sum(moved), ready, moved)
	if want := map[string]int{"TransferMessage (E3)": 1}; !maps.Equal(ready, want) {
		t.Errorf("until READY %v, want %v", ready, want)
	}
	if len(plain) < 3 || !maps.Equal(plain, moved) {
		t.Errorf("from READY on %v, want what an enrolment and a registration take: %v", moved, plain)
	}
}
