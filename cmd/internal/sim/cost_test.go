package sim_test

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/sim"
	"steward/transfer"
)

// Reference sizes of the transfer protocol (§2), DTLS 1.2 CCM_8 and X.509, in bytes of
// UDP payload, both directions; what is measured may be 1.3 times as much.
const (
	handshakeBytes = 2144 // with CA2, which has a sub-CA
	enrolmentBytes = 663  // /sen
	writeBytes     = 83   // around the TransferMessage, with the answer
	messageBytes   = 512  // the TransferMessage with all labels and two anchors
)

// TestT23Cost is T23 of the transfer protocol (§9): a socket that counts, in each
// encoding that a device may enrol in. The phases that have a reference size are within
// 1.3 times of it; the others are told. TestSignatureChecks counts signatures.
func TestT23Cost(t *testing.T) {
	t.Parallel()
	for _, e := range []struct {
		name   string
		change func(*sim.Options)
	}{
		{"X.509, PKCS #7 (281)", func(o *sim.Options) { o.CertsOnly = true }},
		{"X.509 (287)", func(*sim.Options) {}},
		{"C509", func(o *sim.Options) { o.C509 = c509Formats }},
		{"C509, request of type 2", func(o *sim.Options) { o.C509, o.NativeRequests = c509Formats, true }},
	} {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			spent := map[string][]sim.Count{} // of three devices
			message := 0
			for range 3 {
				m := &move{
					t: t, alpha: newPatient(t, "alpha"), beta: newPatient(t, "beta"), f: newFactory(t), grace: 60,
					dir: t.TempDir(),
				}
				m.b = m.f.device(endpoint, m.alpha)
				o := options(m.dir)
				o.FlightInterval, o.AckTimeout, o.HandshakeTimeout = unhurried, unhurried, patience
				e.change(&o)
				message = max(message, m.spend(o, spent))
			}
			withinReference(t, spent, message)
		})
	}
}

// spend hands the device over and adds what it counted, by provider and phase. It
// returns the length of the message.
func (m *move) spend(o sim.Options, spent map[string][]sim.Count) (message int) {
	m.t.Helper()
	r := start(m.t, m.b, o)
	r.await(sim.Registered)
	m.prepare()
	m.open()
	m.commit()
	r.await(sim.Done)
	m.finish()
	r.await(sim.Finalised)
	if err := r.stop(); err != nil {
		m.t.Fatal(err)
	}
	state, err := sim.Inspect(m.dir, m.b)
	if err != nil || state.State != transfer.Finalised {
		m.t.Fatalf("the device is %v, %v", state, err)
	}
	for _, c := range state.Counts {
		at := "alpha "
		if strings.HasSuffix(m.beta.addr, c.Host[strings.LastIndexByte(c.Host, ':')+1:]) {
			at = "beta "
		}
		spent[at+c.Phase] = append(spent[at+c.Phase], c)
	}
	return len(m.raw)
}

// unhurried is longer than any answer takes on a slow machine: what is repeated would be
// counted.
const unhurried = 5 * time.Second

// newPatient is newProvider of one that repeats nothing before unhurried has passed.
func newPatient(t *testing.T, name string) *provider {
	t.Helper()
	p := newProvider(t, name)
	p.stop()
	p.addr, p.patient = "", true
	p.start()
	return p
}

// withinReference compares medians with the reference sizes.
func withinReference(t *testing.T, spent map[string][]sim.Count, message int) {
	t.Helper()
	const limit = 1.3
	if message > messageBytes {
		t.Errorf("the message has %d bytes, at most %d", message, messageBytes)
	}
	reference := map[string]int{
		"beta handshake_enrolment": handshakeBytes, "beta enrolment": enrolmentBytes,
		"alpha transfer_message": message + writeBytes,
	}
	for _, phase := range slices.Sorted(maps.Keys(spent)) {
		counts := spent[phase]
		slices.SortFunc(counts, func(a, b sim.Count) int { return cmp.Compare(a.Bytes(), b.Bytes()) })
		median := counts[len(counts)/2]
		t.Logf("%-28s %5d bytes in %2d datagrams", phase, median.Bytes(), median.SentMessages+median.ReceivedMessages)
		if want, ok := reference[phase]; ok && float64(median.Bytes()) > limit*float64(want) {
			t.Errorf("%s: %d bytes, at most 1.3 times %d", phase, median.Bytes(), want)
		}
	}
	for phase := range reference {
		if len(spent[phase]) == 0 {
			t.Errorf("nothing was counted of %s", phase)
		}
	}
}
