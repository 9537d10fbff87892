package author

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"steward/suit"
	"steward/suit/cose"
)

// maxDescription is the length in bytes of the longest description.
const maxDescription = 1 << 20

// A Source finds what a description names.
type Source struct {
	// File returns the content of a file: an image or the envelope of a dependency.
	File func(name string) ([]byte, error)
	// Key returns the key of a device or a group to which images are encrypted.
	Key func(name string) (*cose.RecipientKey, error)
}

// A description is the form of a Plan in JSON and YAML. Vendor is a domain name and class says
// what the vendor calls the product, unless both are UUIDs.
type description struct {
	Vendor       string                     `json:"vendor" yaml:"vendor"`
	Class        string                     `json:"class" yaml:"class"`
	Device       string                     `json:"device" yaml:"device"`
	Sequence     uint64                     `json:"sequence" yaml:"sequence"`
	ID           string                     `json:"id" yaml:"id"`
	Version      string                     `json:"version" yaml:"version"`
	UseBefore    time.Time                  `json:"use_before" yaml:"use_before"`
	ReferenceURI string                     `json:"reference_uri" yaml:"reference_uri"`
	Images       []imageDescription         `json:"images" yaml:"images"`
	Dependencies []dependencyDescription    `json:"dependencies" yaml:"dependencies"`
	Text         map[string]textDescription `json:"text" yaml:"text"`
	Sever        []suit.Section             `json:"sever" yaml:"sever"`
	MUD          *mudDescription            `json:"mud" yaml:"mud"`
}

type imageDescription struct {
	Component string            `json:"component" yaml:"component"`
	Boot      bool              `json:"boot" yaml:"boot"`
	Staging   string            `json:"staging" yaml:"staging"`
	Algorithm string            `json:"encrypt_with" yaml:"encrypt_with"`
	Keys      []string          `json:"encrypt_to" yaml:"encrypt_to"`
	Slots     []slotDescription `json:"slots" yaml:"slots"`
}

type slotDescription struct {
	Number     uint64 `json:"number" yaml:"number"`
	File       string `json:"file" yaml:"file"`
	URI        string `json:"uri" yaml:"uri"`
	Arguments  string `json:"fetch_arguments" yaml:"fetch_arguments"` // hexadecimal
	Integrated bool   `json:"integrated" yaml:"integrated"`
	Inline     bool   `json:"inline" yaml:"inline"`
}

type dependencyDescription struct {
	Component string `json:"component" yaml:"component"`
	File      string `json:"file" yaml:"file"`
	URI       string `json:"uri" yaml:"uri"`
	Prefix    string `json:"prefix" yaml:"prefix"`
}

type textDescription struct {
	Manifest   string                       `json:"manifest" yaml:"manifest"`
	Update     string                       `json:"update" yaml:"update"`
	Components map[string]map[string]string `json:"components" yaml:"components"`
}

// A mudDescription names the key by the SHA-256 thumbprint of its COSE_Key, in
// hexadecimal.
type mudDescription struct {
	URL string `json:"url" yaml:"url"`
	SKI string `json:"ski" yaml:"ski"`
}

// componentTexts are the texts about components by name. It is never changed.
var componentTexts = map[string]suit.ComponentTextKey{
	"vendor": suit.TextVendorName, "model": suit.TextModelName, "vendor_domain": suit.TextVendorDomain,
	"model_info": suit.TextModelInfo, "description": suit.TextComponentDescription, "version": suit.TextComponentVersion,
	"version_required": suit.TextVersionRequired, "current_version": suit.TextCurrentVersion,
}

// ParsePlan reads a Plan in JSON, or in YAML if it does not begin with a brace.
// Components are paths such as "fw" or "modem/main"; times are those of RFC 3339;
// texts are by language. Unknown members are refused. It returns ErrOptions, or
// the errors of s.
func ParsePlan(raw []byte, s Source) (Plan, error) {
	if len(raw) > maxDescription {
		return Plan{}, fmt.Errorf("%w: description of %d bytes", ErrOptions, len(raw))
	}
	read := readYAML
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
		read = readJSON
	}
	d, err := read(raw)
	if err != nil {
		return Plan{}, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	p := Plan{Sequence: d.Sequence, ReferenceURI: d.ReferenceURI}
	steps := []func(*Plan) error{d.identity, d.elements, d.network, d.text}
	for i := range d.Images {
		steps = append(steps, func(p *Plan) error { return d.Images[i].add(p, s) })
	}
	for _, one := range d.Dependencies {
		steps = append(steps, func(p *Plan) error { return one.add(p, s) })
	}
	for _, step := range steps {
		if err := step(&p); err != nil {
			return Plan{}, err
		}
	}
	return p, nil
}

func readJSON(raw []byte) (description, error) {
	var d description
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return d, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return d, errors.New("more than one description")
	}
	return d, nil
}

// identity reads for which devices the update is.
func (d *description) identity(p *Plan) error {
	if d.Vendor == "" || d.Class == "" {
		return fmt.Errorf("%w: no vendor or class", ErrOptions)
	}
	var err error
	if p.Vendor, err = ParseUUID(d.Vendor); err != nil {
		p.Vendor = VendorID(d.Vendor)
	}
	if p.Class, err = ParseUUID(d.Class); err != nil {
		p.Class = ClassID(p.Vendor, d.Class)
	}
	if d.Device != "" {
		p.Device, err = ParseUUID(d.Device)
		return err
	}
	return nil
}

// elements reads what belongs to the manifest as a whole.
func (d *description) elements(p *Plan) error {
	if d.ID != "" {
		p.ID = suit.ComponentPath(d.ID)
	}
	if d.Version != "" {
		v, err := suit.ParseVersion(d.Version)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrOptions, err)
		}
		p.Version = v
	}
	if !d.UseBefore.IsZero() {
		unix := max(d.UseBefore.Unix(), 0)
		if unix == 0 {
			return fmt.Errorf("%w: use before %v", ErrOptions, d.UseBefore)
		}
		p.UseBefore = uint64(unix)
	}
	for _, s := range d.Sever {
		if !s.Element().Severable() {
			return fmt.Errorf("%w: section %q cannot be severed", ErrOptions, s)
		}
		p.Sever = append(p.Sever, s.Element())
	}
	return nil
}

// network reads the reference to a manufacturer usage description.
func (d *description) network(p *Plan) error {
	if d.MUD == nil {
		return nil
	}
	ski, err := hex.DecodeString(d.MUD.SKI)
	if err != nil {
		return fmt.Errorf("%w: thumbprint: %w", ErrOptions, err)
	}
	p.MUD = &suit.MUD{URL: d.MUD.URL, SKI: suit.Digest{Algorithm: suit.SHA256, Value: ski}}
	return nil
}

func (d *description) text(p *Plan) error {
	for _, language := range slices.Sorted(maps.Keys(d.Text)) {
		one := d.Text[language]
		t := suit.Text{
			Language: language, Manifest: map[suit.TextKey]string{},
			Components: map[suit.ComponentID]map[suit.ComponentTextKey]string{},
		}
		if one.Manifest != "" {
			t.Manifest[suit.TextManifestDescription] = one.Manifest
		}
		if one.Update != "" {
			t.Manifest[suit.TextUpdateDescription] = one.Update
		}
		for component, texts := range one.Components {
			fields := map[suit.ComponentTextKey]string{}
			for name, text := range texts {
				key, ok := componentTexts[name]
				if !ok {
					return fmt.Errorf("%w: text %q of a component", ErrOptions, name)
				}
				fields[key] = text
			}
			t.Components[suit.ComponentPath(component)] = fields
		}
		p.Text = append(p.Text, t)
	}
	return nil
}

func (d *imageDescription) add(p *Plan, s Source) error {
	i := Image{Component: suit.ComponentPath(d.Component), Boot: d.Boot}
	if d.Component == "" {
		i.Component = ""
	}
	if d.Staging != "" {
		i.Staging = suit.ComponentPath(d.Staging)
	}
	if len(d.Keys) > 0 {
		alg, err := cose.ContentAlgorithm(d.Algorithm)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrOptions, err)
		}
		i.Encryption = &cose.Encryption{Algorithm: alg}
		for _, name := range d.Keys {
			key, err := s.Key(name)
			if err != nil {
				return fmt.Errorf("key %q: %w", name, err)
			}
			i.Encryption.Recipients = append(i.Encryption.Recipients, key)
		}
	}
	for _, one := range d.Slots {
		slot, err := one.read(s)
		if err != nil {
			return err
		}
		i.Slots = append(i.Slots, slot)
	}
	p.Images = append(p.Images, i)
	return nil
}

func (d slotDescription) read(s Source) (Slot, error) {
	payload, err := s.File(d.File)
	if err != nil {
		return Slot{}, fmt.Errorf("image %q: %w", d.File, err)
	}
	slot := Slot{Number: d.Number, Payload: payload, URI: d.URI, Integrated: d.Integrated, Inline: d.Inline}
	if d.Arguments == "" {
		return slot, nil
	}
	if slot.FetchArguments, err = hex.DecodeString(d.Arguments); err != nil {
		return Slot{}, fmt.Errorf("%w: fetch arguments: %w", ErrOptions, err)
	}
	return slot, nil
}

func (d dependencyDescription) add(p *Plan, s Source) error {
	envelope, err := s.File(d.File)
	if err != nil {
		return fmt.Errorf("dependency %q: %w", d.File, err)
	}
	one := Dependency{Component: suit.ComponentPath(d.Component), Envelope: envelope, URI: d.URI}
	if d.Prefix != "" {
		one.Prefix = suit.ComponentPath(d.Prefix)
	}
	p.Dependencies = append(p.Dependencies, one)
	return nil
}
