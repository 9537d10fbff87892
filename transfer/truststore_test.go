package transfer_test

import (
	"errors"
	"slices"
	"testing"

	"steward/transfer"
)

func TestTruststoreRefuses(t *testing.T) {
	w := newWorld(t)
	d, _ := w.device(t)
	fresh := newParty(t, "fresh", nil).cert.Raw
	create := func(instance int, cert []byte, p transfer.Purposes) error {
		return second(d.CreateAnchor(instance, cert, p))
	}
	tests := []struct {
		name string
		got  error
		want error
	}{
		{"T15 create with signer bit", create(-1, fresh, transfer.DM|transfer.TransferSigner), transfer.ErrSignerBits},
		{"create with fallback", create(-1, fresh, transfer.Fallback), transfer.ErrSignerBits},
		{"create with a purpose that does not exist", create(-1, fresh, 1<<20), transfer.ErrSignerBits},
		{"create a certificate twice", create(-1, w.ca2.cert.Raw, transfer.DM), transfer.ErrDuplicate},
		{"create over an instance", create(0, fresh, transfer.DM), transfer.ErrDuplicate},
		{"create instance 65535", create(65535, fresh, transfer.DM), transfer.ErrDuplicate},
		{"create no certificate", create(-1, []byte{1}, transfer.DM), transfer.ErrSyntax},
		{"create too large", create(-1, make([]byte, transfer.MaxCertificate+1), transfer.DM), transfer.ErrTooLarge},
		{"write a permanent anchor", d.WritePurposes(0, transfer.Enrol), transfer.ErrNoAnchor},
		{"write nothing", d.WritePurposes(99, transfer.Enrol), transfer.ErrNoAnchor},
		{"write a signer bit", d.WritePurposes(1, transfer.DM|transfer.TransferSigner), transfer.ErrSignerBits},
		{"delete a permanent anchor", d.DeleteAnchor(0), transfer.ErrNoAnchor},
		{"delete nothing", d.DeleteAnchor(99), transfer.ErrNoAnchor},
		{"leave a signer bit", d.WritePurposes(2, transfer.TransferSigner), nil},
		{"clear a signer bit", d.WritePurposes(2, 0), nil},
		{"set it again", d.WritePurposes(2, transfer.TransferSigner), transfer.ErrSignerBits},
	}
	for _, tt := range tests {
		if !errors.Is(tt.got, tt.want) {
			t.Errorf("%s = %v, want %v", tt.name, tt.got, tt.want)
		}
	}
}

func TestTruststoreIsFull(t *testing.T) {
	w := newWorld(t)
	d, _ := w.device(t)
	for {
		_, err := d.CreateAnchor(-1, newParty(t, "x", nil).cert.Raw, transfer.DM)
		if errors.Is(err, transfer.ErrFull) {
			break
		}
		check(t, err)
	}
	if got := len(d.Truststore()); got != transfer.MaxInstances {
		t.Errorf("full at %d anchors, want %d", got, transfer.MaxInstances)
	}
}

func TestCommandAnchors(t *testing.T) {
	w := newWorld(t)
	d, _ := w.device(t)
	ref := transfer.AnchorRef{
		Thumbprint: transfer.ThumbprintOf(w.sp2.cert.Raw), Purposes: transfer.TransferSigner | transfer.SUITSigner,
	}
	command := func(counter uint64, by party, refs ...transfer.AnchorRef) []byte {
		a := transfer.Anchors{
			IssuedAt:     transfer.SecondsOf(noon),
			AnchorsTerms: transfer.AnchorsTerms{Counter: counter, Anchors: refs},
		}
		return must(a.Sign(by.signer()))(t)
	}
	forged := transfer.Anchors{IssuedAt: 1, AnchorsTerms: transfer.AnchorsTerms{
		Counter: 9,
		Anchors: []transfer.AnchorRef{ref},
	}}
	tests := []struct {
		name string
		raw  []byte
		err  error
	}{
		{"by the staged anchor itself", command(1, w.sp2, ref), transfer.ErrSigner},
		{
			"by another key", must(forged.Sign(transfer.Signer{Key: w.sp2.key, Certificate: w.sp1.cert.Raw}))(t),
			transfer.ErrSignature,
		},
		{
			"for an anchor that is not there", command(1, w.sp1, transfer.AnchorRef{Purposes: transfer.DM}),
			transfer.ErrNoAnchor,
		},
		{"for a permanent anchor", command(1, w.sp1, transfer.AnchorRef{
			Thumbprint: transfer.ThumbprintOf(w.permanent.cert.Raw), Purposes: transfer.DM,
		}), transfer.ErrNoAnchor},
		{"sound", command(1, w.sp1, ref), nil},
		{"again", command(1, w.sp1, ref), transfer.ErrCounter},
		{"malformed", []byte{0xa0}, transfer.ErrSyntax},
	}
	for _, tt := range tests {
		if err := d.CommandAnchors(tt.raw); !errors.Is(err, tt.err) {
			t.Errorf("CommandAnchors, %s: %v, want %v", tt.name, err, tt.err)
		}
	}
	if got := d.Trusted(transfer.TransferSigner); len(got) != 2 {
		t.Errorf("%d transfer signers after the command, want 2", len(got))
	}
}

func TestTrusted(t *testing.T) {
	w := newWorld(t)
	truststore := w.anchors()
	for i := range truststore {
		truststore[i].Instance = uint16(i)
	}
	truststore[2].Purposes = transfer.Fallback // an anchor reduced by the wipe
	truststore = append(truststore,
		transfer.Anchor{Certificate: w.ca2.cert.Raw, Purposes: transfer.DM | transfer.Enrol, Domain: transfer.Pending},
		transfer.Anchor{
			Certificate: w.user.cert.Raw, Purposes: transfer.DM | transfer.Enrol, Domain: transfer.Current,
			Staged: true,
		})
	tests := []struct {
		state   transfer.DeviceState
		purpose transfer.Purposes
		want    []transfer.Domain
	}{
		{transfer.Idle, transfer.Enrol, []transfer.Domain{transfer.Current}},
		{transfer.Ready, transfer.DM, []transfer.Domain{transfer.Current}},
		{transfer.Enrolling, transfer.Enrol, []transfer.Domain{transfer.Pending}},
		{transfer.Enrolling, transfer.Fallback, nil},
		{transfer.Done, transfer.DM, []transfer.Domain{transfer.Pending}},
		{transfer.InFall, transfer.Fallback, []transfer.Domain{transfer.Current}},
		{transfer.InFall, transfer.Enrol, nil},
		{transfer.InFall, transfer.DM, nil},
	}
	for _, tt := range tests {
		var got []transfer.Domain
		for _, a := range transfer.Trusted(truststore, tt.state, tt.purpose) {
			got = append(got, a.Domain)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("Trusted(%s, %s) = %v, want %v", tt.state, tt.purpose, got, tt.want)
		}
	}
}

func TestTruststoreDigest(t *testing.T) {
	w := newWorld(t)
	base := w.anchors()
	digest := transfer.TruststoreDigest(base)
	reversed := slices.Clone(base)
	slices.Reverse(reversed)
	if transfer.TruststoreDigest(reversed) != digest {
		t.Error("the order of instances changes the digest")
	}
	for name, change := range map[string]func([]transfer.Anchor) []transfer.Anchor{
		"fewer":    func(a []transfer.Anchor) []transfer.Anchor { return a[1:] },
		"purposes": func(a []transfer.Anchor) []transfer.Anchor { a[0].Purposes++; return a },
		"domain":   func(a []transfer.Anchor) []transfer.Anchor { a[0].Domain = transfer.Current; return a },
	} {
		if transfer.TruststoreDigest(change(slices.Clone(base))) == digest {
			t.Errorf("%s: same digest", name)
		}
	}
}

// TestOwnerRecovers: the transfer signer was stolen, and the thief has used up its
// counter. The service user's command, over the provider's session, makes another the
// signer, and the provider deletes the one that was stolen: what the thief signs is
// nothing any more. A mandate signer that is not the factory's commands nothing.
func TestOwnerRecovers(t *testing.T) {
	w := newWorld(t)
	w.mandateSigner = true
	d, j := w.device(t)
	next := newParty(t, "Alpha transfer 2", nil)
	must(d.CreateAnchor(-1, next.cert.Raw, transfer.DM))(t)
	ref := transfer.AnchorRef{Thumbprint: transfer.ThumbprintOf(next.cert.Raw), Purposes: transfer.TransferSigner}
	command := func(counter uint64, by party, refs ...transfer.AnchorRef) []byte {
		a := transfer.Anchors{
			IssuedAt: transfer.SecondsOf(noon), AnchorsTerms: transfer.AnchorsTerms{Counter: counter, Anchors: refs},
		}
		return must(a.Sign(by.signer()))(t)
	}
	self := transfer.AnchorRef{
		Thumbprint: transfer.ThumbprintOf(w.extra.cert.Raw), Purposes: transfer.MandateSigner | transfer.Bootstrap,
	}
	check(t, d.CommandAnchors(command(1<<64-1, w.sp1, self))) // the thief makes one of his own
	order := command(7, w.user, ref)
	for _, tt := range []struct {
		name string
		raw  []byte
		err  error
	}{
		{"a mandate signer that the factory did not set", command(8, w.extra, ref), transfer.ErrSigner},
		{"a stranger under the owner's name", must(transfer.Anchors{
			IssuedAt: 1, AnchorsTerms: transfer.AnchorsTerms{Counter: 9, Anchors: []transfer.AnchorRef{ref}},
		}.Sign(transfer.Signer{Key: next.key, Certificate: w.user.cert.Raw}))(t), transfer.ErrSignature},
		{"the owner", order, nil},
		{"the owner again", order, transfer.ErrCounter},
	} {
		if err := d.CommandAnchors(tt.raw); !errors.Is(err, tt.err) {
			t.Errorf("CommandAnchors by %s = %v, want %v", tt.name, err, tt.err)
		}
		d = must(transfer.OpenDevice(w.options(j)))(t)
	}
	for _, a := range d.Truststore() {
		if a.Thumbprint() == transfer.ThumbprintOf(w.sp1.cert.Raw) {
			check(t, d.DeleteAnchor(a.Instance))
		}
	}
	if err := d.WriteMessage(w.signed(t, w.message(t, 1)), noon); !errors.Is(err, transfer.ErrE2Signer) {
		t.Errorf("a message of the thief = %v, want ErrE2Signer", err)
	}
	if err := d.CommandAnchors(command(1<<64-1, w.sp1, self)); !errors.Is(err, transfer.ErrSigner) {
		t.Errorf("a command of the thief = %v, want ErrSigner", err)
	}
	w.sp1 = next
	if err := d.WriteMessage(w.signed(t, w.message(t, 1)), noon); !errors.Is(err, transfer.ErrE11Mandate) {
		t.Errorf("a message of the new signer without mandate = %v, want all but ErrE11Mandate to pass", err)
	}
}
