// Package author builds and signs SUIT manifests from the templates of
// draft-ietf-suit-manifest-37 §7: compatibility check, download, integrated
// payload, staging, A/B slots and secure boot; with dependencies, and encrypted to
// devices or groups. Keys stay where they are: a crypto.Signer signs.
package author

import (
	"errors"
	"fmt"
	"slices"

	"steward/suit"
	"steward/suit/cose"
)

// The errors of this package.
var (
	// ErrOptions reports a description from which no manifest can be made.
	ErrOptions = errors.New("unusable description of an update")
	// ErrEnvelope reports an envelope that must not be signed or changed.
	ErrEnvelope = errors.New("unusable envelope")
)

// Options describe an update of one component.
type Options struct {
	// Vendor and Class say for which devices the image is made. Both are
	// required: a manifest without them could be installed anywhere.
	Vendor, Class UUID
	// Device restricts the manifest to one device; zero means any.
	Device UUID
	// Sequence is the sequence number: higher than that of any manifest before.
	Sequence uint64
	// Component is what is updated. Required.
	Component suit.ComponentID
	// Payload is the image. It is required if Integrated, otherwise it may be
	// left out in favour of Digest and Size.
	Payload []byte
	Digest  suit.Digest
	Size    uint64
	// Integrated puts Payload into the envelope; URI may then be empty.
	Integrated bool
	// URI is where the device fetches the image, or "#name" if Integrated.
	URI string
	// NoBoot leaves out the sections that secure boot needs (validate, invoke),
	// for a component that is data.
	NoBoot bool
	// ReferenceURI is where the full manifest can be found; may be empty.
	ReferenceURI string
	// Text describes the update to people. It is severable.
	Text []suit.Text
}

// integratedURI names the payload inside the envelope.
const integratedURI = "#payload"

// Build returns an envelope with its digest but without a signature. It returns
// ErrOptions.
func Build(o Options) (*suit.Envelope, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	b := builder{}
	m := &suit.Manifest{
		Sequence:     o.Sequence,
		ReferenceURI: o.ReferenceURI,
		Components:   []suit.ComponentID{o.Component},
		Text:         o.Text,
		Sections: map[suit.Section]suit.Sequence{
			suit.SectionShared:  b.shared(o),
			suit.SectionInstall: b.install(o),
		},
	}
	if !o.NoBoot {
		m.Sections[suit.SectionValidate] = suit.Sequence{{Code: suit.ConditionImageMatch, Policy: report}}
		m.Sections[suit.SectionInvoke] = suit.Sequence{{Code: suit.DirectiveInvoke, Policy: reportFailure}}
	}
	if b.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, b.err)
	}
	var sever []suit.Element
	if len(o.Text) > 0 {
		sever = append(sever, suit.ElementText)
	}
	e, err := m.Envelope(suit.SHA256, sever...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrOptions, err)
	}
	if o.Integrated {
		e.Integrated[o.URI] = o.Payload
	}
	return e, nil
}

// complete checks o and fills in what follows from the rest.
func (o Options) complete() (Options, error) {
	switch {
	case o.Vendor.IsZero() || o.Class.IsZero():
		return o, fmt.Errorf("%w: no vendor or class", ErrOptions)
	case o.Component == "":
		return o, fmt.Errorf("%w: no component", ErrOptions)
	case o.Integrated && o.Payload == nil:
		return o, fmt.Errorf("%w: no payload to integrate", ErrOptions)
	case o.Payload == nil && (len(o.Digest.Value) == 0 || o.Size == 0):
		return o, fmt.Errorf("%w: neither payload nor digest and size", ErrOptions)
	}
	if o.Integrated && o.URI == "" {
		o.URI = integratedURI
	}
	if o.URI == "" || !o.Integrated && o.URI[0] == '#' {
		return o, fmt.Errorf("%w: URI %q", ErrOptions, o.URI)
	}
	if o.Payload == nil {
		return o, nil
	}
	digest, err := suit.Sum(suit.SHA256, o.Payload)
	if err != nil {
		return o, err
	}
	if len(o.Digest.Value) > 0 && !o.Digest.Equal(digest) {
		return o, fmt.Errorf("%w: payload has another digest", ErrOptions)
	}
	o.Digest, o.Size = digest, uint64(len(o.Payload))
	return o, nil
}

// The reporting policies that the examples of the draft use (§8.4.7).
const (
	report        suit.Policy = 15
	reportFailure suit.Policy = 2
)

// A builder keeps the first error.
type builder struct{ err error }

func (b *builder) parameter(key suit.Key, value any) suit.Parameter {
	p, err := suit.NewParameter(key, value)
	if b.err == nil {
		b.err = err
	}
	return p
}

// shared is the template of §7.1, with the parameters of §7.2.
func (b *builder) shared(o Options) suit.Sequence {
	parameters := []suit.Parameter{
		b.parameter(suit.ParameterVendor, o.Vendor[:]),
		b.parameter(suit.ParameterClass, o.Class[:]),
		b.parameter(suit.ParameterImageDigest, o.Digest),
		b.parameter(suit.ParameterImageSize, o.Size),
	}
	conditions := suit.Sequence{
		{Code: suit.ConditionVendor, Policy: report},
		{Code: suit.ConditionClass, Policy: report},
	}
	if !o.Device.IsZero() {
		parameters = append(parameters, b.parameter(suit.ParameterDevice, o.Device[:]))
		conditions = append(conditions, suit.Command{Code: suit.ConditionDevice, Policy: report})
	}
	return slices.Concat(
		suit.Sequence{{Code: suit.DirectiveOverrideParameters, Parameters: parameters}}, conditions)
}

// install is the template of §7.3, of which that of §7.5 is a case.
func (b *builder) install(o Options) suit.Sequence {
	uri := b.parameter(suit.ParameterURI, o.URI)
	return suit.Sequence{
		{Code: suit.DirectiveOverrideParameters, Parameters: []suit.Parameter{uri}},
		{Code: suit.DirectiveFetch, Policy: reportFailure},
		{Code: suit.ConditionImageMatch, Policy: report},
	}
}

// Sign appends an authentication block by each of signers to the envelope and
// returns its encoding. It may be called again to countersign. It returns
// ErrEnvelope if the digest is not that of the manifest (§8.3 forbids to sign
// then), or the error of the key.
func Sign(e *suit.Envelope, signers ...*cose.Signer) ([]byte, error) {
	if len(signers) == 0 {
		return nil, fmt.Errorf("%w: no signer", ErrOptions)
	}
	if err := e.VerifyDigest(e.Digest.Algorithm); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEnvelope, err)
	}
	blocks := slices.Clone(e.Blocks)
	for _, s := range signers {
		block, err := cose.SignSign1(s, cose.Options{Payload: e.RawDigest, Detached: true, Tagged: true})
		if err != nil {
			return nil, err
		}
		blocks = append(blocks, block)
	}
	e.Blocks = blocks
	return e.Encode(), nil
}

// Countersign appends authentication blocks to a signed envelope, for an operator
// who vouches for what an author made: the manifest and the blocks that are there
// stay as they are. Codes are made with keys shared with devices. It returns
// ErrEnvelope for bytes that are no envelope or whose digest is not that of the
// manifest.
func Countersign(raw []byte, signers []*cose.Signer, codes ...*cose.MACKey) ([]byte, error) {
	e, err := suit.Decode(raw, suit.Limits{})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEnvelope, err)
	}
	if len(signers) > 0 {
		if _, err := Sign(e, signers...); err != nil {
			return nil, err
		}
	}
	return Authenticate(e, codes...)
}

// Authenticate appends an authentication code made with each of keys, and returns
// the encoded envelope. Its errors are those of Sign.
func Authenticate(e *suit.Envelope, keys ...*cose.MACKey) ([]byte, error) {
	if err := e.VerifyDigest(e.Digest.Algorithm); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEnvelope, err)
	}
	blocks := slices.Clone(e.Blocks)
	for _, k := range keys {
		block, err := cose.SignMac0(k, cose.Options{Payload: e.RawDigest, Detached: true, Tagged: true})
		if err != nil {
			return nil, err
		}
		blocks = append(blocks, block)
	}
	e.Blocks = blocks
	return e.Encode(), nil
}

// AuthenticateTo appends an authentication code for recipients who share a secret
// with us (COSE_Mac), and returns the encoded envelope. It returns ErrOptions for
// a public key, to which anybody could make a code; its other errors are those of
// Sign.
func AuthenticateTo(e *suit.Envelope, recipients ...*cose.RecipientKey) ([]byte, error) {
	if slices.ContainsFunc(recipients, func(k *cose.RecipientKey) bool { return !k.Shared() }) {
		return nil, fmt.Errorf("%w: a code to a public key proves no origin", ErrOptions)
	}
	if err := e.VerifyDigest(e.Digest.Algorithm); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEnvelope, err)
	}
	block, err := cose.SignMac(recipients, cose.Options{Payload: e.RawDigest, Detached: true, Tagged: true})
	if err != nil {
		return nil, err
	}
	e.Blocks = append(slices.Clone(e.Blocks), block)
	return e.Encode(), nil
}

// Sever returns the envelope without the content of severable elements, to which
// the manifest must hold a digest (§8.6). It returns ErrEnvelope for bytes that
// are no envelope, ErrOptions for other elements.
func Sever(raw []byte, elements ...suit.Element) ([]byte, error) {
	e, err := suit.Decode(raw, suit.Limits{})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEnvelope, err)
	}
	for _, element := range elements {
		if !element.Severable() {
			return nil, fmt.Errorf("%w: element %d cannot be severed", ErrOptions, element)
		}
		e.Sever(element)
	}
	return e.Encode(), nil
}

// SeverText returns the envelope without its texts, which only people read
// (§8.6). It returns ErrEnvelope if raw is no envelope.
func SeverText(raw []byte) ([]byte, error) {
	return Sever(raw, suit.ElementText)
}
