package process_test

import (
	"errors"
	"testing"

	"steward/suit"
	"steward/suit/author"
	"steward/suit/cose"
	"steward/suit/process"
	"steward/suit/process/processtest"
)

func TestAuthentication(t *testing.T) {
	t.Parallel()
	f, stranger := newFixture(t), newFixture(t)
	e, err := author.Build(author.Options{
		Vendor: f.vendor, Class: f.class, Sequence: 1, Component: f.component, Payload: f.old, Integrated: true,
	})
	if err != nil {
		t.Fatalf("Build: %v", err)
	}
	own, err := cose.NewSigner(f.key, 0, []byte("own"))
	if err != nil {
		t.Fatalf("NewSigner: %v", err)
	}
	other, err := cose.NewSigner(stranger.key, 0, nil)
	if err != nil {
		t.Fatalf("NewSigner: %v", err)
	}
	both, err := author.Sign(e, other, own)
	if err != nil {
		t.Fatalf("Sign: %v", err)
	}
	o := cose.Options{Payload: e.RawDigest, Detached: true, Tagged: true}
	multi, err := cose.SignSign([]*cose.Signer{other, own}, o)
	if err != nil {
		t.Fatalf("SignSign: %v", err)
	}
	e.Blocks = [][]byte{multi}
	one := e.Encode()
	modem := []suit.ComponentID{suit.ComponentPath("modem")}
	tests := []struct {
		name   string
		raw    []byte
		policy process.Policy
		limit  []suit.ComponentID
		reason process.Reason // empty: accepted
	}{
		{name: "one of two is trusted", raw: both},
		{name: "all must be trusted", raw: both, policy: process.AllSigners, reason: process.ReasonUnauthorised},
		{name: "COSE_Sign", raw: one, policy: process.AllSigners},
		{name: "component allowed", raw: one, limit: []suit.ComponentID{f.component}},
		{name: "component not allowed", raw: one, limit: modem, reason: process.ReasonAccess},
	}
	for _, test := range tests {
		p, err := process.New(process.Options{
			Anchors:  []process.Anchor{{Key: f.key.Public(), KID: []byte("own"), Components: test.limit}},
			Identity: process.Identity{Vendors: [][]byte{f.vendor[:]}, Classes: [][]byte{f.class[:]}},
			Target:   processtest.Open(processtest.NewDisk(), f.components, nil), Policy: test.policy,
		})
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		err = p.Update(t.Context(), test.raw)
		e, refused := errors.AsType[*process.Error](err)
		if refused != (test.reason != "") || refused && e.Reason != test.reason {
			t.Errorf("%s: Update = %v, want %q", test.name, err, test.reason)
		}
	}
}
