package process

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"steward/suit"
	"steward/suit/cose"
)

// A Package is an envelope that is authentic, well formed, not older than what
// is installed, and about components of this device. No command has run yet.
type Package struct {
	Envelope *suit.Envelope
	Manifest *suit.Manifest

	p       *Processor
	raw     []byte
	prefix  suit.ComponentID // of the components, if it is a dependency
	records *recorder
}

// Open takes an envelope through the stages before any command (§6.2): parse,
// authenticate, manifest, severable, precheck. It only reads from the target.
// Errors are *Error. The Package aliases raw.
func (p *Processor) Open(ctx context.Context, raw []byte) (*Package, error) {
	k, signers, err := p.read(raw)
	if err != nil {
		return nil, err
	}
	k.records = &recorder{root: k}
	if err := k.newer(ctx); err != nil {
		return nil, err
	}
	if err := k.precheck(ctx, signers); err != nil {
		return nil, err
	}
	return k, nil
}

// read parses and authenticates an envelope.
func (p *Processor) read(raw []byte) (*Package, []*anchor, error) {
	envelope, err := suit.Decode(raw, p.o.Limits)
	if err != nil {
		return nil, nil, decodeError(err)
	}
	signers, err := p.authenticate(envelope)
	if err != nil {
		return nil, nil, err
	}
	manifest, err := envelope.Manifest(p.o.Digests...)
	if err != nil {
		return nil, nil, decodeError(err)
	}
	if err := p.implements(manifest); err != nil {
		return nil, nil, refuse(StageManifest, ReasonUnsupported, err)
	}
	return &Package{Envelope: envelope, Manifest: manifest, p: p, raw: raw}, signers, nil
}

// implements refuses elements of extensions that are switched off.
func (p *Processor) implements(m *suit.Manifest) error {
	if m.Version != nil && p.o.Management == nil {
		return fmt.Errorf("%w: set-version", suit.ErrNotImplemented)
	}
	if p.o.TrustDomains {
		return nil
	}
	if m.ID != "" || len(m.Dependencies) > 0 {
		return fmt.Errorf("%w: trust domains", suit.ErrNotImplemented)
	}
	for _, s := range []suit.Section{suit.SectionDependencies, suit.SectionCandidate, suit.SectionUninstall} {
		_, present := m.Sections[s]
		if _, severed := m.Severed[s.Element()]; present || severed {
			return fmt.Errorf("%w: section %s", suit.ErrNotImplemented, s)
		}
	}
	return nil
}

// stageOf maps the layers of the decoder to stages.
var stageOf = map[suit.Layer]Stage{
	suit.LayerEnvelope:  StageParse,
	suit.LayerManifest:  StageManifest,
	suit.LayerSeverable: StageSeverable,
	suit.LayerContent:   StagePrecheck,
}

// reasons maps errors of the decoders to reasons.
var reasons = []struct {
	err    error
	reason Reason
}{
	{suit.ErrEncoding, ReasonEncoding},
	{suit.ErrStructure, ReasonStructure},
	{suit.ErrVersion, ReasonVersion},
	{suit.ErrAlgorithm, ReasonAlgorithm},
	{suit.ErrDigest, ReasonUnauthorised},
	{suit.ErrUnauthenticated, ReasonUnauthorised},
	{suit.ErrNotImplemented, ReasonUnsupported},
	{cose.ErrAlgorithm, ReasonAlgorithm},
	{cose.ErrSyntax, ReasonCOSE},
	{cose.ErrHeader, ReasonCOSE},
	{cose.ErrCritical, ReasonCOSE},
	{cose.ErrPayload, ReasonCOSE},
	{cose.ErrKey, ReasonUnauthorised},
	{cose.ErrSignature, ReasonUnauthorised},
	{cose.ErrNoRecipient, ReasonUnauthorised},
}

func reasonOf(err error) Reason {
	for _, row := range reasons {
		if errors.Is(err, row.err) {
			return row.reason
		}
	}
	return ReasonOperation
}

// decodeError turns an error of package suit into an *Error.
func decodeError(err error) *Error {
	stage := StageParse
	if d, ok := errors.AsType[*suit.DecodeError](err); ok {
		stage, err = stageOf[d.Layer], d.Err
	}
	return refuse(stage, reasonOf(err), err)
}

// newer compares the sequence number with that of what is installed (§6.2).
func (k *Package) newer(ctx context.Context) error {
	installed, ok, err := k.p.o.Target.Installed(ctx)
	if err != nil {
		return refuse(StagePrecheck, ReasonOperation, err)
	}
	// An equal number is let pass: the update may have been interrupted (§6.2).
	if ok && k.Manifest.Sequence < installed.Sequence {
		return refuse(StagePrecheck, ReasonRollback,
			fmt.Errorf("sequence number %d, installed %d", k.Manifest.Sequence, installed.Sequence))
	}
	return nil
}

// precheck compares the components of the manifest with the device and with what
// its signers may change (§6.2, §9).
func (k *Package) precheck(ctx context.Context, signers []*anchor) error {
	if n := len(k.Manifest.Components); n > k.p.o.MaxComponents {
		return refuse(StagePrecheck, ReasonComponent, fmt.Errorf("%d components, %d possible", n, k.p.o.MaxComponents))
	}
	ids := k.ids()
	if len(ids) > len(k.Manifest.Components) && !k.p.o.Interop.PrefixIdentifiers {
		return refuse(StagePrecheck, ReasonStructure, errors.New("a dependency is not among the components"))
	}
	for _, id := range ids {
		_, err := k.p.o.Target.Component(ctx, id)
		if errors.Is(err, ErrNoComponent) {
			return refuse(StagePrecheck, ReasonComponent, fmt.Errorf("%w: %v", err, id))
		}
		if err != nil {
			return refuse(StagePrecheck, ReasonOperation, err)
		}
	}
	if !slices.ContainsFunc(signers, func(a *anchor) bool { return a.permits(k.Manifest, ids) }) {
		return refuse(StagePrecheck, ReasonAccess, fmt.Errorf("components %v", ids))
	}
	return nil
}

// id returns the full identifier of the component with an index of the manifest.
func (k *Package) id(i int) suit.ComponentID {
	id, _ := k.Manifest.Component(i)
	if k.prefix != "" {
		return k.prefix.Join(id)
	}
	return id
}

// ids returns the full identifiers of all components, then of dependencies that
// are not among them.
func (k *Package) ids() []suit.ComponentID {
	ids := make([]suit.ComponentID, 0, len(k.Manifest.Components)+len(k.Manifest.Dependencies))
	for i := range k.Manifest.Components {
		ids = append(ids, k.id(i))
	}
	for _, d := range k.Manifest.Dependencies {
		if d.Index >= len(k.Manifest.Components) {
			ids = append(ids, k.id(d.Index))
		}
	}
	return ids
}
