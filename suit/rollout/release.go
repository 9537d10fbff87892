package rollout

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"steward/suit"
	"steward/suit/author"
	"steward/suit/cose"
)

// MaxImage is the largest image that can be released: what an envelope may hold,
// less room for the manifest.
const MaxImage = suit.MaxEnvelope - 64<<10

// An ImageSpec is an image and what devices need to know of it.
type ImageSpec struct {
	ID        string // of the release, ULID
	Name      string
	Version   string
	Vendor    author.UUID
	Class     author.UUID
	Sequence  uint64
	Component suit.ComponentID // zero: one segment "00"
	Image     []byte
	By        string
	// Secret says that the image holds secrets (Release.Sealed); Staging is then the
	// component into which devices fetch the ciphertext.
	Secret  bool
	Staging suit.ComponentID
}

// AuthorRelease makes a release of an image: two manifests with the same
// sequence number, one with the image integrated, for Push, and one that names
// payloadURI, where our endpoint has it, for Pull. It returns ErrRelease.
func AuthorRelease(s ImageSpec, payloadURI string, signer *cose.Signer, now time.Time) (Release, Content, error) {
	if len(s.Image) == 0 || len(s.Image) > MaxImage {
		return Release{}, Content{}, fmt.Errorf("%w: image of %d bytes, want 1 to %d", ErrRelease, len(s.Image), MaxImage)
	}
	if s.Component == "" {
		s.Component = suit.NewComponentID([]byte{0})
	}
	r := Release{
		ID: s.ID, Name: s.Name, Version: s.Version, Sequence: s.Sequence, Vendor: s.Vendor.String(),
		Class: s.Class.String(), Size: len(s.Image), Images: []string{s.Component.String()}, CreatedAt: now, CreatedBy: s.By,
		State: ReleaseDraft, Apart: true,
	}
	var err error
	if r.Digest, err = suit.Sum(suit.SHA256, s.Image); err != nil {
		return Release{}, Content{}, err
	}
	c := Content{Image: slices.Clone(s.Image)}
	if s.Secret {
		if err := r.seal(&c, s.Component, s.Staging); err != nil {
			return Release{}, Content{}, err
		}
	}
	for i, out := range []*[]byte{&c.Push, &c.Pull} {
		o := author.Options{
			Vendor: s.Vendor, Class: s.Class, Sequence: s.Sequence, Component: s.Component, Payload: s.Image,
			Integrated: i == 0, Text: text(s),
		}
		if !o.Integrated {
			o.URI = payloadURI
		}
		envelope, err := author.Build(o)
		if err != nil {
			return Release{}, Content{}, fmt.Errorf("%w: %w", ErrRelease, err)
		}
		if *out, err = author.Sign(envelope, signer); err != nil {
			return Release{}, Content{}, fmt.Errorf("%w: %w", ErrRelease, err)
		}
		r.Manifest[i] = envelope.Digest
	}
	r.Signer = hex.EncodeToString(signer.KeyID())
	return r, c, nil
}

// text describes the image to people; the version is where the device finds what
// it will report.
func text(s ImageSpec) []suit.Text {
	return []suit.Text{{
		Language: "en",
		Manifest: map[suit.TextKey]string{suit.TextManifestDescription: s.Name},
		Components: map[suit.ComponentID]map[suit.ComponentTextKey]string{
			s.Component: {suit.TextComponentVersion: s.Version},
		},
	}}
}

// ImportRelease checks a signed envelope that somebody else made, and makes a
// release of it: pushed if it has its payload, pulled otherwise. image is the
// payload that it names; nil if it is integrated. Whose signature counts is
// decided by verify.
func ImportRelease(id, name, by string, envelope, image []byte, verify func(*suit.Envelope) error,
	now time.Time,
) (Release, Content, error) {
	e, err := suit.Decode(envelope, suit.Limits{})
	if err != nil {
		return Release{}, Content{}, fmt.Errorf("%w: %w", ErrRelease, err)
	}
	if err := verify(e); err != nil {
		return Release{}, Content{}, fmt.Errorf("%w: %w", ErrRelease, err)
	}
	m, err := e.Manifest()
	if err != nil {
		return Release{}, Content{}, fmt.Errorf("%w: %w", ErrRelease, err)
	}
	r := Release{
		ID: id, Name: name, Sequence: m.Sequence, Manifest: [2]suit.Digest{e.Digest, e.Digest},
		CreatedAt: now, CreatedBy: by, State: ReleaseDraft,
	}
	for _, c := range m.Components {
		r.Images = append(r.Images, c.String())
	}
	describe(&r, m)
	var c Content
	switch {
	case len(e.Integrated) > 0:
		if err := checkIntegrated(e, m); err != nil {
			return Release{}, Content{}, err
		}
		c.Push = envelope
		for _, payload := range e.Integrated {
			r.Size += len(payload)
		}
	case len(image) > 0:
		if err := r.Digest.Verify(image); err != nil {
			return Release{}, Content{}, fmt.Errorf("%w: image: %w", ErrRelease, err)
		}
		c.Pull, c.Image, r.Size = envelope, image, len(image)
	default:
		return Release{}, Content{}, fmt.Errorf("%w: neither an integrated payload nor an image", ErrRelease)
	}
	if m.Version != nil {
		r.Version = m.Version.String()
		c.sever(e)
	}
	return r, c, nil
}

// checkIntegrated compares payloads in the envelope with their digests: no signature
// covers them, and every device would refuse others (§8.4.10.4). What is encrypted only
// devices can compare.
func checkIntegrated(e *suit.Envelope, m *suit.Manifest) error {
	for i := range m.Components {
		set := m.Parameters(i)
		payload, inside := e.Integrated[set[suit.ParameterURI].Text()]
		digest, named := set[suit.ParameterImageDigest]
		if _, encrypted := set[suit.ParameterEncryptionInfo]; !inside || !named || encrypted {
			continue
		}
		d := digest.Digest()
		if err := d.Verify(payload, d.Algorithm); err != nil {
			return fmt.Errorf("%w: payload of component %v: %w", ErrRelease, m.Components[i], err)
		}
	}
	return nil
}

// sever takes the texts out of the envelope (§8.6): only people read them, where the
// manifest itself says which version it installs. Devices are spared the bytes.
func (c *Content) sever(e *suit.Envelope) {
	if c.Text = e.Severable[suit.ElementText]; c.Text == nil {
		return
	}
	e.Sever(suit.ElementText)
	for _, envelope := range []*[]byte{&c.Push, &c.Pull} {
		if *envelope != nil {
			*envelope = e.Encode()
		}
	}
}

// describe takes vendor, class, digest and version from the manifest.
func describe(r *Release, m *suit.Manifest) {
	for i := range m.Components {
		for _, p := range m.Parameters(i) {
			switch p.Key {
			case suit.ParameterVendor:
				r.Vendor = uuidText(p.Bytes())
			case suit.ParameterClass:
				r.Class = uuidText(p.Bytes())
			case suit.ParameterImageDigest:
				r.Digest = p.Digest()
			default: // nothing that people choose a release by
			}
		}
	}
	for _, t := range m.Text {
		for _, about := range t.Components {
			if v := strings.TrimSpace(about[suit.TextComponentVersion]); v != "" {
				r.Version = v
			}
		}
	}
}

func uuidText(b []byte) string {
	var id author.UUID
	if copy(id[:], b) != len(id) || len(b) != len(id) {
		return hex.EncodeToString(b)
	}
	return id.String()
}
