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

	p   *Processor
	raw []byte
}

// Open takes an envelope through the stages before any command (§6.2): parse,
// authenticate, manifest, severable, precheck. It only reads from the target.
// Errors are *Error. The Package aliases raw.
func (p *Processor) Open(ctx context.Context, raw []byte) (*Package, error) {
	envelope, err := suit.Decode(raw, p.o.Limits)
	if err != nil {
		return nil, decodeError(err)
	}
	signers, err := p.authenticate(envelope)
	if err != nil {
		return nil, err
	}
	manifest, err := envelope.Manifest(p.o.Digests...)
	if err != nil {
		return nil, decodeError(err)
	}
	k := &Package{Envelope: envelope, Manifest: manifest, p: p, raw: raw}
	if err := k.precheck(ctx, signers); err != nil {
		return nil, err
	}
	return k, nil
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

// precheck compares the manifest with the device (§6.2).
func (k *Package) precheck(ctx context.Context, signers []*anchor) error {
	installed, ok, err := k.p.o.Target.Installed(ctx)
	if err != nil {
		return refuse(StagePrecheck, ReasonOperation, err)
	}
	// An equal number is let pass: the update may have been interrupted (§6.2).
	if ok && k.Manifest.Sequence < installed.Sequence {
		return refuse(StagePrecheck, ReasonRollback,
			fmt.Errorf("sequence number %d, installed %d", k.Manifest.Sequence, installed.Sequence))
	}
	if n := len(k.Manifest.Components); n > k.p.o.MaxComponents {
		return refuse(StagePrecheck, ReasonComponent, fmt.Errorf("%d components, %d possible", n, k.p.o.MaxComponents))
	}
	for _, id := range k.Manifest.Components {
		_, err := k.p.o.Target.Component(ctx, id)
		if errors.Is(err, ErrNoComponent) {
			return refuse(StagePrecheck, ReasonComponent, fmt.Errorf("%w: %v", err, id))
		}
		if err != nil {
			return refuse(StagePrecheck, ReasonOperation, err)
		}
	}
	if !slices.ContainsFunc(signers, k.permits) {
		return refuse(StagePrecheck, ReasonAccess, fmt.Errorf("components %v", k.Manifest.Components))
	}
	return nil
}

// permits reports whether a may change all components of the manifest (§9).
func (k *Package) permits(a *anchor) bool {
	if len(a.Components) == 0 {
		return true
	}
	for _, id := range k.Manifest.Components {
		if !slices.ContainsFunc(a.Components, id.HasPrefix) {
			return false
		}
	}
	return true
}
