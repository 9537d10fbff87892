package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// A ServerCertificate is shown to clients that ask for Name.
type ServerCertificate struct {
	Name       string // a DNS name in lower case
	Chain, Key string // PEM files
}

// maxServerCertificates bounds what is loaded at the start.
const maxServerCertificates = 256

// security takes over how the server proves itself to devices, and refuses what
// is not built.
func (c *Config) security(o Options) error {
	switch {
	case o.RawPublicKeys:
		return fmt.Errorf("%w: raw-public-keys: not implemented; devices prove themselves by certificates or "+
			"pre-shared keys", ErrConfig)
	case o.OSCORE:
		return fmt.Errorf("%w: oscore: not implemented; use DTLS or TLS", ErrConfig)
	case len(o.ServerCertificates) > maxServerCertificates:
		return fmt.Errorf("%w: server-certificates: more than %d", ErrConfig, maxServerCertificates)
	}
	seen := map[string]bool{}
	for _, text := range o.ServerCertificates {
		name, files, _ := strings.Cut(text, "=")
		chain, key, _ := strings.Cut(files, ",")
		if chain == "" || key == "" {
			return fmt.Errorf("%w: server-certificates: %.80q; name=chain.pem,key.pem", ErrConfig, text)
		}
		name = strings.ToLower(name)
		if _, err := netip.ParseAddr(name); err == nil || checkHost(name) != nil {
			return fmt.Errorf("%w: server-certificates: %.80q is no DNS name", ErrConfig, name)
		}
		if seen[name] {
			return fmt.Errorf("%w: server-certificates: %s twice", ErrConfig, name)
		}
		seen[name] = true
		c.ServerCertificates = append(c.ServerCertificates, ServerCertificate{Name: name, Chain: chain, Key: key})
	}
	return nil
}
