package est

import "time"

// Profiles are the profiles by which a CA issues, one for each kind. A nil one
// is replaced by that of DefaultProfiles when the CA is made.
type Profiles struct {
	Issuing, Server, Peer, TransferSigner, SUITSigner, VerdictSigner, OCSPSigner, Factory, Operational *Profile
}

const (
	day             = 24 * time.Hour
	issuingValidity = 3653 * day
)

// DefaultProfiles returns the profiles of a provider that configured none: a
// year for devices, two for servers and signers, thirty days for who signs
// statuses, ten years for an issuing CA, no expiry for factory certificates.
func DefaultProfiles() Profiles {
	return Profiles{
		Issuing:        builtin(ProfileOptions{Name: "issuing", Kind: KindIssuing, Validity: issuingValidity}),
		Server:         builtin(ProfileOptions{Name: "server", Kind: KindServer, Validity: 2 * 365 * day}),
		Peer:           builtin(ProfileOptions{Name: "peer", Kind: KindPeer, Validity: 2 * 365 * day}),
		TransferSigner: builtin(ProfileOptions{Name: "transfer-signer", Kind: KindTransferSigner, Validity: 2 * 365 * day}),
		SUITSigner:     builtin(ProfileOptions{Name: "suit-signer", Kind: KindSUITSigner, Validity: 2 * 365 * day}),
		VerdictSigner:  builtin(ProfileOptions{Name: "verdict-signer", Kind: KindVerdictSigner, Validity: 2 * 365 * day}),
		OCSPSigner:     builtin(ProfileOptions{Name: "ocsp-signer", Kind: KindOCSPSigner, Validity: 30 * day}),
		Factory:        builtin(ProfileOptions{Name: "factory", Kind: KindFactory, NoExpiry: true}),
		Operational:    builtin(ProfileOptions{Name: "operational", Kind: KindOperational, Validity: 365 * day}),
	}
}

// builtin validates a profile that stands in this file.
func builtin(o ProfileOptions) *Profile {
	p, err := NewProfile(o)
	if err != nil {
		panic(err) // a mistake in this file, found by the first test
	}
	return p
}

// withDefaults fills the profiles that p lacks and checks that each is of its kind.
func (p Profiles) withDefaults() (Profiles, error) {
	d := DefaultProfiles()
	for _, f := range []struct {
		has  **Profile
		want *Profile
	}{
		{&p.Issuing, d.Issuing},
		{&p.Server, d.Server},
		{&p.Peer, d.Peer},
		{&p.TransferSigner, d.TransferSigner},
		{&p.SUITSigner, d.SUITSigner},
		{&p.VerdictSigner, d.VerdictSigner},
		{&p.OCSPSigner, d.OCSPSigner},
		{&p.Factory, d.Factory},
		{&p.Operational, d.Operational},
	} {
		if *f.has == nil {
			*f.has = f.want
		}
		if (*f.has).kind != f.want.kind {
			return Profiles{}, errKind((*f.has), f.want.kind)
		}
	}
	return p, nil
}
