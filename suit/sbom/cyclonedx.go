package sbom

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// cycloneFormat is the value of bomFormat.
const cycloneFormat = "CycloneDX"

// cycloneVersions are the versions of CycloneDX (ECMA-424) whose JSON is read: what
// is read of them is the same.
var cycloneVersions = []string{"1.2", "1.3", "1.4", "1.5", "1.6", "1.7"}

// A cycloneDocument is a bill, a list of vulnerabilities, or both.
type cycloneDocument struct {
	Version    string             `json:"specVersion"`
	Components []cycloneComponent `json:"components"`
	Metadata   struct {
		Component *cycloneComponent `json:"component"`
	} `json:"metadata"`
	Vulnerabilities []cycloneVulnerability `json:"vulnerabilities"`
}

type cycloneComponent struct {
	Ref       string                 `json:"bom-ref"`
	Group     string                 `json:"group"`
	Name      string                 `json:"name"`
	Version   string                 `json:"version"`
	PURL      string                 `json:"purl"`
	Publisher string                 `json:"publisher"`
	Supplier  struct{ Name string }  `json:"supplier"`
	Licenses  []cycloneLicenseChoice `json:"licenses"`
	Inner     []cycloneComponent     `json:"components"`
}

type cycloneLicenseChoice struct {
	Expression string `json:"expression"`
	License    struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"license"`
}

func readCyclone(raw []byte) (d cycloneDocument, err error) {
	if err := decode(raw, &d); err != nil {
		return d, err
	}
	if !slices.Contains(cycloneVersions, d.Version) {
		return d, fmt.Errorf("%w: CycloneDX %.20q", ErrFormat, d.Version)
	}
	return d, nil
}

func parseCyclone(raw []byte) (Bill, error) {
	d, err := readCyclone(raw)
	if err != nil {
		return Bill{}, err
	}
	return d.bill()
}

func (d *cycloneDocument) bill() (b Bill, err error) {
	b.Format = cycloneFormat + " " + d.Version
	if c := d.Metadata.Component; c != nil {
		if b.Main, err = c.part().check(); err != nil {
			return b, err
		}
		if err := b.addCyclone(c.Inner, 1); err != nil {
			return b, err
		}
	}
	return b, b.addCyclone(d.Components, 1)
}

// addCyclone adds components and those within them.
func (b *Bill) addCyclone(list []cycloneComponent, depth int) error {
	if len(list) > 0 && depth > maxDepth {
		return fmt.Errorf("%w: components nested %d deep", ErrLimit, depth)
	}
	for i := range list {
		if len(b.Parts) == MaxParts {
			return fmt.Errorf("%w: more than %d components", ErrLimit, MaxParts)
		}
		p, err := list[i].part().check()
		if err != nil {
			return err
		}
		b.Parts = append(b.Parts, p)
		if err := b.addCyclone(list[i].Inner, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (c *cycloneComponent) part() Part {
	var licenses []string
	for _, l := range c.Licenses {
		if text := cmp.Or(l.Expression, l.License.ID, l.License.Name); text != "" {
			licenses = append(licenses, prose(text))
		}
	}
	full := c.Name
	if c.Group != "" && c.Name != "" {
		full = c.Group + "/" + c.Name
	}
	text := strings.Join(licenses, ", ")
	if len(text) > maxName {
		text = fmt.Sprintf("%d licences", len(licenses))
	}
	return Part{
		Ref: c.Ref, Name: full, Version: c.Version, PURL: c.PURL, Supplier: cmp.Or(c.Supplier.Name, c.Publisher),
		License: text,
	}
}
