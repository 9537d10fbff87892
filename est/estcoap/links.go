package estcoap

import (
	"maps"
	"slices"
)

// A Link is one resource for /.well-known/core (RFC 9148 §4.1).
type Link struct {
	Target  string   // path
	Type    string   // rt
	Formats []uint16 // ct; nil: of a root, which has no representation
}

// Links returns the resources that s offers: below /est, and below
// /.well-known/est/<label> for each label. The three mandatory functions stand there
// always, key generation where the profile allows it.
func (s *Server) Links() []Link {
	var out []Link
	for _, label := range slices.Sorted(maps.Keys(s.authorities)) {
		root := "/est"
		if label != "" {
			root = "/.well-known/est/" + label
		}
		out = append(out, s.links(root, s.authorities[label].GeneratesKeys())...)
	}
	return out
}

func (s *Server) links(root string, keys bool) []Link {
	const rt = "ace.est"
	answers := []uint16{FormatCertsOnly, FormatPKIXCert}
	chains := []uint16{FormatCertsOnly, FormatPKIXCert, FormatMultipart}
	attributes := []uint16{FormatCSRAttrs}
	if s.c509.Template != 0 {
		attributes = append(attributes, s.c509.Template)
	}
	if s.c509.offered() {
		answers, chains = append(answers, s.c509.Certificate), append(chains, s.c509.Chain)
	}
	out := []Link{
		{Target: root, Type: rt},
		{root + "/" + Cacerts, rt + "." + Cacerts, chains},
		{root + "/" + Enrol, rt + "." + Enrol, answers},
		{root + "/" + Reenrol, rt + "." + Reenrol, answers},
		{root + "/" + CSRAttrs, rt + "." + CSRAttrs, attributes},
	}
	if keys {
		out = append(out,
			Link{root + "/" + ServerKeys, rt + "." + ServerKeys, []uint16{FormatMultipart}},
			Link{root + "/" + ServerKey, rt + "." + ServerKey, []uint16{FormatMultipart}})
	}
	return out
}
