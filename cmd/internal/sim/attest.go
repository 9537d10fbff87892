package sim

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"time"

	"steward/est/attest"
	"steward/est/estcoap"
	"steward/lwm2m/coap"
	"steward/suit"
	"steward/transfer"
)

// ErrNoAttestation reports a device that has no attestation key.
var ErrNoAttestation = errors.New("device has no attestation key")

// attestThere asks the verifier of the effect for a nonce and sends it evidence. The
// verdict is not the device's to judge: its right opens or it does not.
func (l *life) attestThere(ctx context.Context, e *transfer.Effect) error {
	there, err := l.factoryLink(ctx, e.URI, e.Anchors, false)
	if err != nil {
		return err
	}
	verdict, err := l.attest(ctx, there, e.URI)
	if err == nil {
		l.d.event(l.about(Event{Kind: Attested, Server: there.host, Detail: verdict}))
		return l.with((*transfer.Device).Attested)
	}
	status, ok := errors.AsType[*estcoap.StatusError](err)
	if !ok {
		l.links.drop(there, l.cl) // perhaps the verifier has forgotten us
	}
	if ok && transfer.PermanentRefusal(uint8(status.Code)) || errors.Is(err, ErrNoAttestation) {
		code := int64(coap.Forbidden)
		if ok {
			code = int64(status.Code)
		}
		return errors.Join(err, l.with(func(tr *transfer.Device) error { return tr.Refused(code) }))
	}
	return err
}

// attest gives evidence to the verifier at uri over an association, and returns what
// the verdict says.
func (l *life) attest(ctx context.Context, there *link, uri string) (verdict string, err error) {
	u, err := url.Parse(uri)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrServer, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*l.o.patience()) // of two requests
	defer cancel()
	answer, err := l.exchange(ctx, there, &coap.Request{Method: coap.GET, Path: segments(u)}, coap.Content)
	if err != nil {
		return "", err
	}
	challenge, err := attest.ParseChallenge(answer.Payload)
	if err != nil {
		return "", err
	}
	evidence, err := l.evidence(challenge.Nonce)
	if err != nil {
		return "", err
	}
	answer, err = l.exchange(ctx, there, &coap.Request{
		Method: coap.POST, Path: segments(u), ContentFormat: coap.FormatID(attest.FormatEvidence), Payload: evidence,
	}, coap.Changed)
	if err != nil {
		return "", err
	}
	if v, err := attest.ParseVerdict(answer.Payload); err == nil {
		verdict = v.Tier.String()
	}
	return verdict, nil
}

// exchange sends a request and expects the code want; any other is an
// *estcoap.StatusError.
func (l *life) exchange(ctx context.Context, there *link, r *coap.Request, want coap.Code) (*coap.Response, error) {
	answer, err := l.engine.Do(ctx, there.conn, r)
	switch {
	case err != nil:
		return nil, err
	case answer.Code != want:
		return nil, &estcoap.StatusError{Code: answer.Code, Diagnostic: string(answer.Payload), Retry: retryOf(answer)}
	}
	return answer, nil
}

// retryOf is when a server wants to be asked again; zero: it says nothing.
func retryOf(r *coap.Response) time.Duration {
	seconds, ok := r.MaxAge.Seconds()
	if r.Code != coap.ServiceUnavailable || !ok {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// evidence is what the device says of itself, signed by its attestation key.
func (l *life) evidence(nonce []byte) ([]byte, error) {
	key, err := l.d.b.AttestationKey()
	if err != nil {
		return nil, err
	}
	if key == nil {
		return nil, ErrNoAttestation
	}
	var claims transfer.Claims
	err = l.with(func(tr *transfer.Device) (err error) { claims, err = tr.Claims(); return err })
	if err != nil {
		return nil, err
	}
	certified, _ := claims.Key.(*ecdsa.PublicKey) // another kind is refused below
	e := attest.Evidence{
		Nonce: nonce, Device: sha256.Sum256(l.factory().chain[0]), Key: certified, OEMBoot: true, Debug: attest.DebugDisabled,
		BootCount: claims.Boots, Message: attest.Hash(claims.Message), Truststore: attest.Hash(claims.Truststore),
	}
	if e.Components, err = l.measure(); err != nil {
		return nil, err
	}
	return e.Sign(key)
}

// measure hashes what each component holds now.
func (l *life) measure() ([]attest.Component, error) {
	in, installed, err := l.fw.target.manifest()
	if err != nil {
		return nil, err
	}
	var out []attest.Component
	for i, id := range l.fw.target.components {
		content := l.nv.Get(keyOf(contentPrefix, id))
		c := attest.Component{ID: []byte(id), Sequence: l.d.b.Firmware.Sequence}
		if content == nil {
			content = l.d.b.FactoryImage(l.d.b.Hardware.Components[i])
		} else if installed {
			c.Manifest = &attest.Digest{Algorithm: int64(in.Manifest.Algorithm), Value: in.Manifest.Value}
			c.Sequence = in.Sequence
		}
		if l.o.Tamper {
			content = append([]byte("altered "), content...)
		}
		sum := sha256.Sum256(content)
		c.Digest = attest.Digest{Algorithm: int64(suit.SHA256), Value: sum[:]}
		out = append(out, c)
	}
	return out, nil
}
