package foreign_test

import (
	"bytes"
	"testing"
	"time"
)

// TestForeignVerifier has devices prove to the partner's own verifier what they run
// before its CA enrols them: one that the verifier distrusts returns; then it is
// affirmed, and moves. Both verdicts stand at the real provider, which has verified
// them. On its way back the partner demands the verdict of its verifier: the real
// provider asks that for the device.
func TestForeignVerifier(t *testing.T) {
	t.Parallel()
	s, f := newPair(t)
	s.attests(t)
	s.operate(t, "partners", "verifier", "Gamma", "Gamma")
	f.mu.Lock()
	f.gates.attest, f.verifier.distrusts = true, true
	f.mu.Unlock()
	id := s.offered(t, f)
	s.returned(t, f, id)
	s.says(t, id, `"tier": "contraindicated"`, `"reason": "a fault of these images became known"`)

	f.mu.Lock()
	f.verifier.distrusts = false
	f.mu.Unlock()
	id = s.offered(t, f)
	s.toForeign(t, f, id)
	s.says(t, id, `"tier": "affirming"`)
	s.verify(t, id)

	f.mu.Lock()
	f.demands = true
	f.mu.Unlock()
	s.back(t, f, id)
}

// TestForeignUpdates has devices ask the partner's own update server before its CA
// enrols them: one for which there is nothing, and then, when it has come back, the
// same for which there is a manifest, signed by the partner's signer, with an image of
// several blocks. It moves with that, and takes it back to the real provider.
func TestForeignUpdates(t *testing.T) {
	t.Parallel()
	s, f := newPair(t)
	f.mu.Lock()
	f.gates.update = true
	f.mu.Unlock()
	id := s.offered(t, f)
	s.toForeign(t, f, id)
	s.back(t, f, id)

	image := bytes.Repeat([]byte("another image "), 300)
	f.mu.Lock()
	f.updates.sequence = 7
	f.updates.envelope, f.updates.manifest = f.signer.release(t, s.bundle(t), f.updates.sequence, image)
	f.mu.Unlock()
	id = s.offered(t, f)
	s.toForeign(t, f, id)
	s.verify(t, id)
	f.mu.Lock()
	if len(f.updates.reports) != 1 || !f.updates.reports[0] {
		t.Errorf("reports: %v, want one of success", f.updates.reports)
	}
	f.mu.Unlock()
	s.back(t, f, id)
}

// TestForeignMandate hands over, in both directions, a device that obeys its owner
// alone, who signs mandates with the real program: one that names the device, the same
// for longer, and one for all whose names begin as its.
func TestForeignMandate(t *testing.T) {
	t.Parallel()
	s, f := newPair(t, "--mandate-signer", "owner/owner.pem")
	owner, err := pin(s.read(t, "owner/identity.json"))
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	f.owner = &owner
	f.mu.Unlock()
	s.operate(t, "partners", "add", "owner/identity.json")

	id := s.draft(t)
	s.operate(t, "transfer", "mandate", id, "--request", "request.json")
	s.run(t, "mandate", "sign", "--dir", "owner", "request.json", "--out", "there.mandate")
	s.operate(t, "transfer", "mandate", id, "--give", "there.mandate")
	s.operate(t, "transfer", "submit", id)
	s.operate(t, "transfer", "wait", id, "--state", "INFO_ACCEPTED", "--timeout", "2m")
	s.offer(t, f, id)
	later := time.Now().Add(30 * 24 * time.Hour).UTC().Truncate(time.Second)
	until := later.Format(time.RFC3339)
	s.run(t, "mandate", "sign", "--dir", "owner", "request.json", "--latest", until, "--out", "longer.mandate")
	s.operate(t, "transfer", "extend", id, "--until", until, "--mandate", "longer.mandate")
	s.await(t, "the question", func() error { return f.agree(t.Context(), id) })
	s.ends(t, id, later)
	s.operate(t, "transfer", "approve", id)
	s.toForeign(t, f, id)
	s.verify(t, id)

	s.run(t, "mandate", "sign", "--dir", "owner", "--from", "Gamma", "--to", "Alpha", "--group", "dev-*",
		"--latest", time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "--out", "back.mandate")
	id, err = f.submit(t.Context(), id, s.read(t, "back.mandate"))
	if err != nil {
		t.Fatal(err)
	}
	s.given(t, f, id)
}
