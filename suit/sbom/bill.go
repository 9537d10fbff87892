package sbom

import "fmt"

// A Bill is a software bill of materials.
type Bill struct {
	Format string `json:"format"` // as people call it: "CycloneDX 1.6", "SPDX-2.3"
	Main   Part   `json:"main"`   // what the bill is of, as far as it says
	Parts  []Part `json:"parts"`  // in the order of the document, without Main
}

// A Part is a component of software. Empty fields are not said.
type Part struct {
	Ref      string `json:"ref,omitempty"` // its identifier within the document
	Name     string `json:"name"`
	Version  string `json:"version,omitempty"`
	PURL     string `json:"purl,omitempty"` // package URL
	Supplier string `json:"supplier,omitempty"`
	License  string `json:"license,omitempty"` // SPDX expression or name
}

// ParseBill reads a bill in CycloneDX (JSON, 1.2 to 1.7) or SPDX (JSON, 2.2 or
// 2.3). It returns ErrFormat, ErrSyntax or ErrLimit.
func ParseBill(raw []byte) (Bill, error) {
	var head struct {
		Format string `json:"bomFormat"`
		SPDX   string `json:"spdxVersion"`
	}
	if err := decode(raw, &head); err != nil {
		return Bill{}, err
	}
	switch {
	case head.Format == cycloneFormat:
		return parseCyclone(raw)
	case head.SPDX == "SPDX-2.2" || head.SPDX == "SPDX-2.3":
		return parseSPDX(raw)
	}
	return Bill{}, fmt.Errorf("%w: neither CycloneDX nor SPDX 2", ErrFormat)
}

// check returns p with its fields checked.
func (p Part) check() (_ Part, err error) {
	for _, field := range []struct {
		what string
		text *string
	}{
		{"reference", &p.Ref},
		{"name", &p.Name},
		{"version", &p.Version},
		{"package URL", &p.PURL},
		{"supplier", &p.Supplier},
		{"licence", &p.License},
	} {
		if *field.text, err = name(field.what, *field.text); err != nil {
			return p, err
		}
	}
	if p.Name == "" {
		return p, fmt.Errorf("%w: a component without name", ErrSyntax)
	}
	if p.PURL == "" {
		return p, nil
	}
	u, err := parsePURL(p.PURL)
	if err != nil {
		return p, err
	}
	if p.Version == "" {
		p.Version = u.version
	}
	return p, nil
}
