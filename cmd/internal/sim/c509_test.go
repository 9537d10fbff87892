package sim_test

import (
	"crypto/x509"
	"testing"

	"steward/cmd/internal/sim"
	"steward/est/c509"
	"steward/est/estcoap"
)

// c509Formats are of the range for experiments (RFC 7252 §12.3).
var c509Formats = estcoap.C509Formats{Request: 65001, Certificate: 65002, Chain: 65003}

// TestEnrolmentBytes counts, at the device's socket, what the first enrolment costs
// in each encoding: DTLS records with CCM_8 and connection identifier, in UDP
// payload, without the handshake, where nothing has to be repeated.
func TestEnrolmentBytes(t *testing.T) {
	t.Parallel()
	encodings := []struct {
		name   string
		change func(*sim.Options)
	}{
		{"PKCS#10, 281", func(o *sim.Options) { o.CertsOnly = true }},
		{"PKCS#10, 287", func(*sim.Options) {}},
		{"C509, type 3", func(o *sim.Options) { o.C509 = c509Formats }},
		{"C509, request of type 2", func(o *sim.Options) { o.C509, o.NativeRequests = c509Formats, true }},
	}
	var before uint64
	for _, e := range encodings {
		alpha, f := newPatient(t, "alpha"), newFactory(t)
		dir := t.TempDir()
		b, o := f.device("urn:dev:1", alpha), options(dir)
		o.FlightInterval, o.AckTimeout, o.HandshakeTimeout = unhurried, unhurried, patience
		e.change(&o)
		r := start(t, b, o)
		r.await(sim.Registered)
		if err := r.stop(); err != nil {
			t.Errorf("Run = %v", err)
		}
		state, err := sim.Inspect(dir, b)
		if err != nil {
			t.Fatal(err)
		}
		counts := map[string]sim.Count{}
		for _, c := range state.Counts {
			counts[c.Phase] = c
		}
		crts, sen := counts["crts"], counts["enrolment"]
		sum := crts.Bytes() + sen.Bytes()
		t.Logf("%-24s crts %4d + %4d, sen %4d + %4d, together %4d bytes in %d datagrams", e.name, crts.SentBytes,
			crts.ReceivedBytes, sen.SentBytes, sen.ReceivedBytes, sum, crts.SentMessages+crts.ReceivedMessages+
				sen.SentMessages+sen.ReceivedMessages)
		checkOperational(t, state.Operational)
		if sen.Bytes() == 0 || before > 0 && sum >= before+8 { // signatures in DER vary by a few bytes
			t.Errorf("%s: %d bytes, after %d", e.name, sum, before)
		}
		before = sum
	}
}

// checkOperational holds that what the device stored is X.509, with the size that
// C509 has of it.
func checkOperational(t *testing.T, der []byte) {
	t.Helper()
	if _, err := x509.ParseCertificate(der); err != nil {
		t.Errorf("operational certificate: %v", err)
	}
	short, err := c509.FromDER(der)
	if err != nil {
		t.Errorf("FromDER: %v", err)
	}
	t.Logf("certificate: DER %d bytes, C509 %d", len(der), len(short))
}
