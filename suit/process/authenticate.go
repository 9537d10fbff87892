package process

import (
	"bytes"
	"errors"
	"fmt"

	"steward/suit"
	"steward/suit/cose"
)

var errNoBlock = errors.New("no authentication block")

// authenticate verifies the digest of the manifest and the blocks of the
// authentication wrapper (§8.3), and returns the anchors whose signatures
// verified, at least one.
func (p *Processor) authenticate(e *suit.Envelope) ([]*anchor, error) {
	if err := e.VerifyDigest(p.o.Digests...); err != nil {
		return nil, refuse(StageAuthenticate, reasonOf(err), fmt.Errorf("manifest: %w", err))
	}
	if len(e.Blocks) == 0 {
		return nil, refuse(StageAuthenticate, ReasonUnauthorised, errNoBlock)
	}
	var signers []*anchor
	var failed error
	for i, block := range e.Blocks {
		signer, err := p.block(block, e.RawDigest)
		if err == nil {
			signers = append(signers, signer)
			continue
		}
		failed = worse(failed, fmt.Errorf("block %d: %w", i, err))
	}
	if len(signers) == 0 || failed != nil && p.o.Policy == AllSigners {
		return nil, refuse(StageAuthenticate, reasonOf(failed), failed)
	}
	return signers, nil
}

// worse keeps the error that says more: a wrong format rather than a signature
// by someone unknown.
func worse(a, b error) error {
	if a == nil || reasonOf(a) == ReasonUnauthorised {
		return b
	}
	return a
}

// block verifies one COSE message whose detached payload is the digest.
func (p *Processor) block(raw, digest []byte) (*anchor, error) {
	kind, err := cose.KindOf(raw)
	if err != nil {
		return nil, err
	}
	switch kind {
	case cose.KindSign1:
		m, err := cose.ParseSign1(raw)
		if err != nil {
			return nil, err
		}
		return p.signer(m.KeyID(), func(a *anchor) error {
			if a.verifier == nil {
				return cose.ErrKey
			}
			_, err := m.Verify(a.verifier, digest, nil)
			return err
		})
	case cose.KindMac0:
		return p.code(raw, digest)
	case cose.KindSign:
		return p.multi(raw, digest)
	case cose.KindMac:
		return p.codeTo(raw, digest)
	case cose.KindUntagged, cose.KindEncrypt:
	}
	return nil, fmt.Errorf("%w: COSE tag %d", cose.ErrSyntax, kind)
}

// code verifies a COSE_Mac0. Public keys never serve as secrets.
func (p *Processor) code(raw, digest []byte) (*anchor, error) {
	m, err := cose.ParseMac0(raw)
	if err != nil {
		return nil, err
	}
	return p.signer(m.KeyID(), func(a *anchor) error {
		if a.Secret == nil {
			return cose.ErrKey
		}
		_, err := m.Verify(a.Secret, digest, nil)
		return err
	})
}

// codeTo verifies a COSE_Mac, whose key one of our secrets opens or is.
func (p *Processor) codeTo(raw, digest []byte) (*anchor, error) {
	m, err := cose.ParseMac(raw)
	if err != nil {
		return nil, err
	}
	return p.signer(m.Recipients[0].KeyID(), func(a *anchor) error {
		var keys []*cose.RecipientKey
		if a.Secret != nil {
			keys = append(keys, a.Secret.Direct())
		}
		if a.Wrapping != nil {
			keys = append(keys, a.Wrapping)
		}
		if len(keys) == 0 {
			return cose.ErrKey
		}
		_, err := m.Verify(keys, digest, nil)
		if errors.Is(err, cose.ErrDecrypt) || errors.Is(err, cose.ErrNoRecipient) {
			return fmt.Errorf("%w: %s", cose.ErrSignature, err.Error()) // made by somebody else
		}
		return err
	})
}

// multi verifies a COSE_Sign; one of its signatures suffices.
func (p *Processor) multi(raw, digest []byte) (*anchor, error) {
	m, err := cose.ParseSign(raw)
	if err != nil {
		return nil, err
	}
	for i := range m.Signatures {
		var a *anchor
		a, err = p.signer(m.Signatures[i].KeyID(), func(a *anchor) error {
			if a.verifier == nil {
				return cose.ErrKey
			}
			_, err := m.Verify(i, a.verifier, digest, nil)
			return err
		})
		if err == nil {
			return a, nil
		}
	}
	return nil, err
}

// signer returns the anchor with which verify succeeds. Those with the key
// identifier of the message are tried first; it is a hint only.
func (p *Processor) signer(kid []byte, verify func(*anchor) error) (*anchor, error) {
	var failed error
	for _, hinted := range []bool{true, false} {
		for i := range p.anchors {
			a := &p.anchors[i]
			if hinted != (len(kid) > 0 && bytes.Equal(kid, a.KID)) {
				continue
			}
			err := verify(a)
			if err == nil {
				return a, nil
			}
			failed = worse(failed, err)
		}
	}
	return nil, failed
}
