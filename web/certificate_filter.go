package web

import (
	"net/url"
	"strconv"
)

// MaxWithin is the furthest end that a CertificateFilter looks ahead, in days.
const MaxWithin = 3650

// A CertificateFilter selects certificates. Its zero value selects all.
type CertificateFilter struct {
	State   CertificateState // "" for all
	Device  string           // id of the device; "" for all
	Text    string           // part of the subject or serial number; "" for all
	Kind    string           // what it is for; "" for all
	Profile string           // by which it was issued; "" for all
	Issuer  string           // id of the issuer's certificate; "" for all
	Key     string           // hex SHA-256 of the public key; "" for all
	// Within selects the live ones that end within so many days, the first to end
	// first; 0 for all, the newest first. Not together with Device or Key.
	Within int
}

// ParseCertificateFilter reads a filter from the query of an address: state,
// device, q, kind, profile, issuer, key and within. It returns ErrInvalid.
func ParseCertificateFilter(q url.Values) (CertificateFilter, error) {
	f := CertificateFilter{
		State: CertificateState(q.Get("state")), Device: q.Get("device"), Text: q.Get("q"), Kind: q.Get("kind"),
		Profile: q.Get("profile"), Issuer: q.Get("issuer"), Key: q.Get("key"),
	}
	text := q.Get("within")
	if text == "" {
		return f, nil
	}
	var err error
	if f.Within, err = strconv.Atoi(text); err != nil || f.Within < 1 || f.Within > MaxWithin {
		return f, Invalid("within", "a number of days from 1 to "+strconv.Itoa(MaxWithin))
	}
	if f.Device != "" || f.Key != "" {
		return f, Invalid("within", "not together with device or key")
	}
	return f, nil
}

// Narrow reports whether the filter leaves anything out.
func (f CertificateFilter) Narrow() bool { return f != CertificateFilter{} }
