package sbom

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
)

// A vexDocument is what is read of OpenVEX (0.0.1 and 0.2.0).
type vexDocument struct {
	Statements []vexStatement `json:"statements"`
}

type vexStatement struct {
	Vulnerability vexVulnerability `json:"vulnerability"`
	Products      []vexProduct     `json:"products"`
	Status        Status           `json:"status"`
	Justification string           `json:"justification"`
	Impact        string           `json:"impact_statement"`
	Action        string           `json:"action_statement"`
	Notes         string           `json:"status_notes"`
}

// A vexVulnerability is a string in OpenVEX 0.0.1.
type vexVulnerability struct {
	Name        string   `json:"name"`
	ID          string   `json:"@id"`
	Description string   `json:"description"`
	Aliases     []string `json:"aliases"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *vexVulnerability) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '"' {
		return json.Unmarshal(raw, &v.Name)
	}
	type plain vexVulnerability
	return json.Unmarshal(raw, (*plain)(v))
}

type vexComponent struct {
	ID          string            `json:"@id"`
	Identifiers map[string]string `json:"identifiers"`
}

// A vexProduct is a string in OpenVEX 0.0.1.
type vexProduct struct {
	vexComponent

	Subcomponents []vexComponent `json:"subcomponents"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *vexProduct) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '"' {
		return json.Unmarshal(raw, &p.ID)
	}
	var plain struct {
		ID            string            `json:"@id"`
		Identifiers   map[string]string `json:"identifiers"`
		Subcomponents []vexComponent    `json:"subcomponents"`
	}
	err := json.Unmarshal(raw, &plain)
	p.ID, p.Identifiers, p.Subcomponents = plain.ID, plain.Identifiers, plain.Subcomponents
	return err
}

// purl returns the package URL of a component; other names say nothing here.
func (c *vexComponent) purl() (purl, bool) {
	text := cmp.Or(c.Identifiers["purl"], c.ID)
	if !strings.HasPrefix(text, "pkg:") {
		return purl{}, false
	}
	u, err := parsePURL(text)
	return u, err == nil
}

func parseOpenVEX(raw []byte) (List, error) {
	var d vexDocument
	if err := decode(raw, &d); err != nil {
		return List{}, err
	}
	l := List{Format: "OpenVEX"}
	for i := range d.Statements {
		s := &d.Statements[i]
		switch s.Status {
		case Affected, NotAffected, Fixed, Investigation:
		default:
			return l, fmt.Errorf("%w: status %.40q", ErrSyntax, s.Status)
		}
		if err := l.add(s.advisory()); err != nil {
			return l, err
		}
	}
	return l, nil
}

func (s *vexStatement) advisory() Advisory {
	a := Advisory{
		ID: cmp.Or(s.Vulnerability.Name, s.Vulnerability.ID), Aliases: s.Vulnerability.Aliases,
		Summary: s.Vulnerability.Description,
	}
	var words []string
	for _, text := range []string{strings.ReplaceAll(s.Justification, "_", " "), s.Impact, s.Action, s.Notes} {
		if text != "" {
			words = append(words, text)
		}
	}
	base := Statement{Status: s.Status, Analysed: true, Detail: strings.Join(words, ": ")}
	for i := range s.Products {
		a.Statements = append(a.Statements, s.Products[i].statements(base)...)
	}
	return a
}

// statements are about the product, or about parts of it.
func (p *vexProduct) statements(base Statement) (out []Statement) {
	u, ok := p.purl()
	if !ok {
		return nil
	}
	if len(p.Subcomponents) == 0 {
		// Whether it is a part of ours, or what the bill is of, shows later.
		base.Key = u.key
		if u.version != "" {
			base.Versions = []string{u.version}
		}
		return []Statement{base}
	}
	for i := range p.Subcomponents {
		part, ok := p.Subcomponents[i].purl()
		if !ok {
			continue
		}
		s := base
		s.Product, s.ProductVersion, s.Key = u.key, u.version, part.key
		if part.version != "" {
			s.Versions = []string{part.version}
		}
		out = append(out, s)
	}
	return out
}
