package foreign_test

import (
	"testing"
)

// TestForeignVerifier has devices prove to the partner's own verifier what they run
// before its CA enrols them: one that the verifier distrusts returns; then it is
// affirmed, and moves. Both verdicts stand at the real provider, which has verified
// them.
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
}
