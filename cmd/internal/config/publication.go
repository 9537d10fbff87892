package config

import (
	"fmt"
	"net/url"
	"strings"
)

// Publication says where the world finds the state of our certificates.
type Publication struct {
	// URL is how relying parties reach the listener --pki: "http://ca.example". If it
	// is given, certificates of servers, peers and signers name it. "": none does.
	URL string `toml:"url"`
	// Parts divides each CRL; a certificate then names its part. It needs URL, and may
	// only be multiplied later. 0 or 1: one full CRL.
	Parts int `toml:"crl-parts"`
}

// maxParts is what the last byte of a serial number can tell apart.
const maxParts = 256

// publication takes over where we publish.
func (c *Config) publication(o Options) error {
	c.Publication = o.Publication
	p := &c.Publication
	p.URL = strings.TrimSuffix(p.URL, "/")
	u, err := url.Parse(p.URL)
	if p.URL != "" && (err != nil || u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" ||
		u.User != nil || len(p.URL) > maxURL) {
		return fmt.Errorf("%w: publication.url: %.80q; http://host[:port][/path]", ErrConfig, p.URL)
	}
	if p.Parts < 0 || p.Parts > maxParts || p.Parts&(p.Parts-1) != 0 || p.Parts > 1 && p.URL == "" {
		return fmt.Errorf("%w: publication.crl-parts: %d; a power of two up to %d, with publication.url",
			ErrConfig, p.Parts, maxParts)
	}
	return nil
}

// maxURL keeps certificates small, in bytes.
const maxURL = 100
