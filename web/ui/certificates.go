package ui

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"steward/web"
)

// A certificatesPage is the inventory of the CA, with the CA itself.
type certificatesPage struct {
	Filter       web.CertificateFilter
	States       []web.CertificateState
	Authorities  []web.CertificateDetail
	Factories    []web.FactoryAuthority
	Inventory    web.Inventory
	Publication  web.Publication
	Published    bool // what stands in Publication
	Certificates []web.Certificate
	Next         string // address of the next part; "" on the last
}

// Weeks are the days of the calendar of ends, in rows of seven.
func (p certificatesPage) Weeks() [][]endingDay {
	const week = 7
	most := max(1, slices.Max(append([]int{0}, p.Inventory.Days...)))
	var days []endingDay
	for i, n := range p.Inventory.Days {
		d := endingDay{Day: p.Inventory.At.AddDate(0, 0, i).UTC().Format(time.DateOnly), Count: n, Within: i + 1}
		if n > 0 {
			d.Heat = 1 + 3*n/most // of 1 to 4
		}
		days = append(days, d)
	}
	return slices.Collect(slices.Chunk(days, week))
}

// An endingDay is a day on which certificates end.
type endingDay struct {
	Day    string
	Count  int
	Heat   int // 0 for none, 1 to 4
	Within int // days from now, for the list of what ends until then
}

// Withins are the offered numbers of days.
func (certificatesPage) Withins() []int { return []int{7, 30, 90} }

func (u *UI) certificates(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	p, err := web.ParsePage(q)
	if err != nil {
		return err
	}
	f, err := web.ParseCertificateFilter(q)
	if err != nil {
		return err
	}
	list, err := u.s.Certificates.ListCertificates(r.Context(), f, p)
	if err != nil {
		return err
	}
	page := certificatesPage{
		Filter: f, Certificates: list.Items, Next: web.NextURL(r.URL, list.Next),
		States: []web.CertificateState{web.CertificateLive, web.CertificateExpired, web.CertificateRevoked},
	}
	if page.Authorities, err = u.s.Certificates.Authorities(r.Context()); err != nil {
		return err
	}
	if page.Factories, err = u.s.Factories.FactoryAuthorities(r.Context()); err != nil {
		return err
	}
	if page.Inventory, err = u.s.Certificates.Inventory(r.Context()); err != nil {
		return err
	}
	if page.Publication, err = u.s.Publication.Publication(r.Context()); err != nil && !errors.Is(err, web.ErrNotBuilt) {
		return err
	}
	page.Published = err == nil
	return u.show(w, r, http.StatusOK, "certificates", "certificates", "Certificates", page)
}

// authoritiesPEM hands out our CA certificates, for devices and tools to trust.
func (u *UI) authoritiesPEM(w http.ResponseWriter, r *http.Request) error {
	chain, err := u.s.Certificates.Authorities(r.Context())
	if err != nil {
		return err
	}
	var text []byte
	for _, c := range chain {
		text = append(text, c.PEM...)
	}
	return web.WriteFile(w, "application/pem-certificate-chain", "ca.pem", text)
}

// A certificatePage is one certificate.
type certificatePage struct {
	web.CertificateDetail

	Reasons []string
}

// Revocable reports whether people here may revoke it: not what signs the CRL.
func (p certificatePage) Revocable() bool { return p.Kind != "root" && p.Kind != "issuing" }

func (u *UI) certificate(w http.ResponseWriter, r *http.Request) error {
	c, err := u.s.Certificates.Certificate(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	return u.show(w, r, http.StatusOK, "certificate", "certificates", "Certificate "+c.Serial,
		certificatePage{c, web.RevocationReasons()})
}

func (u *UI) revoke(w http.ResponseWriter, r *http.Request) error {
	id := web.Param(r, "id")
	page := "/certificates/" + url.PathEscape(id)
	if r.PostFormValue("confirm") != "revoke" {
		return u.done(w, r, web.Invalid("confirm", "type the word revoke"), "", "", page)
	}
	_, err := u.s.Certificates.Revoke(r.Context(), web.ActorFrom(r.Context()), id,
		web.Revocation{Reason: r.PostFormValue("reason"), Why: r.PostFormValue("comment")})
	return u.done(w, r, err, page, "Revoked. Connections that used this certificate have ended.", page)
}
