package sbom

import (
	"fmt"
	"slices"
	"strings"
)

// An spdxDocument is what is read of SPDX 2 (ISO/IEC 5962).
type spdxDocument struct {
	Version   string        `json:"spdxVersion"`
	Describes []string      `json:"documentDescribes"`
	Packages  []spdxPackage `json:"packages"`
	Relations []struct {
		From string `json:"spdxElementId"`
		Type string `json:"relationshipType"`
		To   string `json:"relatedSpdxElement"`
	} `json:"relationships"`
}

type spdxPackage struct {
	ID        string `json:"SPDXID"`
	Name      string `json:"name"`
	Version   string `json:"versionInfo"`
	Supplier  string `json:"supplier"`
	Concluded string `json:"licenseConcluded"`
	Declared  string `json:"licenseDeclared"`
	Refs      []struct {
		Type    string `json:"referenceType"`
		Locator string `json:"referenceLocator"`
	} `json:"externalRefs"`
}

func parseSPDX(raw []byte) (Bill, error) {
	var d spdxDocument
	if err := decode(raw, &d); err != nil {
		return Bill{}, err
	}
	if len(d.Packages) > MaxParts {
		return Bill{}, fmt.Errorf("%w: %d packages", ErrLimit, len(d.Packages))
	}
	for _, r := range d.Relations {
		if r.From == "SPDXRef-DOCUMENT" && r.Type == "DESCRIBES" {
			d.Describes = append(d.Describes, r.To)
		}
	}
	b := Bill{Format: d.Version}
	for i := range d.Packages {
		p, err := d.Packages[i].part().check()
		if err != nil {
			return b, err
		}
		if b.Main.Name == "" && slices.Contains(d.Describes, p.Ref) {
			b.Main = p
			continue
		}
		b.Parts = append(b.Parts, p)
	}
	return b, nil
}

func (p *spdxPackage) part() Part {
	out := Part{Ref: p.ID, Name: p.Name, Version: said(p.Version)}
	_, supplier, _ := strings.Cut(said(p.Supplier), ":") // "Organization: ACME"
	out.Supplier = strings.TrimSpace(supplier)
	if out.License = said(p.Concluded); out.License == "" {
		out.License = said(p.Declared)
	}
	if len(out.License) > maxName {
		out.License = "several licences"
	}
	for _, r := range p.Refs {
		if r.Type == "purl" && out.PURL == "" {
			out.PURL = r.Locator
		}
	}
	return out
}

// said returns "" for the words with which SPDX says nothing.
func said(text string) string {
	if text == "NOASSERTION" || text == "NONE" {
		return ""
	}
	return text
}
