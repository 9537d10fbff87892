package sim

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"

	"steward/est/estcoap"
	"steward/lwm2m/coap"
	"steward/suit"
	"steward/suit/process"
	"steward/transfer"
)

// The keys of an update before enrolment: the manifest on trial, and what was in
// force before, until the device belongs to the new provider or comes back.
const (
	formerPrefix = "former/"
	trialKey     = formerPrefix + "trial"
	formerImages = formerPrefix + suitPrefix
)

// withoutTransfer marks, in a simulated image, a firmware that lacks the Transfer
// object: a device that ran it could not go on.
const withoutTransfer = "without the transfer object"

// ErrImage reports an image that was installed and cannot be kept.
var ErrImage = errors.New("image cannot be kept")

// updateThere asks the update server of the effect for something newer, installs it
// and asks again, until there is nothing. An update that fails is rolled back, and the
// device falls back.
func (l *life) updateThere(ctx context.Context, e *transfer.Effect) error {
	there, err := l.factoryLink(ctx, e.URI, e.Anchors, false)
	if err != nil {
		return err
	}
	if err := l.judgeTrial(ctx, there, e.URI); err != nil {
		return l.updateRefused(err)
	}
	envelope, err := l.newer(ctx, there, e)
	status, ok := errors.AsType[*estcoap.StatusError](err)
	switch {
	case ok && transfer.PermanentRefusal(uint8(status.Code)):
		return errors.Join(err, l.with(func(tr *transfer.Device) error { return tr.Refused(int64(status.Code)) }))
	case err != nil:
		if !ok {
			l.links.drop(there, l.cl) // perhaps the server has forgotten us
		}
		return err
	case envelope == nil:
		return l.with((*transfer.Device).Updated)
	}
	report, err := l.try(ctx, envelope)
	switch {
	case err == nil:
		l.reboot()
		return nil
	case ctx.Err() != nil || l.failure() != nil:
		return err
	case errors.Is(err, process.ErrConnection): // what came is kept, and the rest fetched at the next try
		l.links.drop(there, l.cl)
		return err
	}
	l.postReport(ctx, there, e.URI, report)
	return l.updateRefused(errors.Join(err, l.rollBack()))
}

// updateRefused has the device fall back because of its update.
func (l *life) updateRefused(err error) error {
	if l.failure() != nil {
		return err
	}
	l.d.event(l.about(Event{Kind: UpdateFailed, Error: err.Error()}))
	return errors.Join(err, l.with(func(tr *transfer.Device) error { return tr.Refused(transfer.UpdateError) }))
}

// newer asks for an envelope; nil means that there is nothing to do. It names the key
// that it enrols, to which secrets may be encrypted, but to servers that know no such
// parameter.
func (l *life) newer(ctx context.Context, there *link, e *transfer.Effect) ([]byte, error) {
	u, err := url.Parse(e.URI)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrServer, err)
	}
	key, err := namedKey(e.Key)
	if err != nil {
		return nil, err
	}
	_, sequence := l.fw.running()
	r := &coap.Request{Method: coap.GET, Path: segments(u), Query: []string{
		"c=" + l.d.b.Hardware.Class, "s=" + strconv.FormatUint(sequence, 10), "k=" + key,
	}}
	envelope, err := l.envelope(ctx, there, r)
	if status, ok := errors.AsType[*estcoap.StatusError](err); ok && status.Code == coap.BadRequest {
		r.Query = r.Query[:2]
		return l.envelope(ctx, there, r)
	}
	return envelope, err
}

// envelope fetches what a request asks for, block by block; nil means that there is
// nothing.
func (l *life) envelope(ctx context.Context, there *link, r *coap.Request) (envelope []byte, err error) {
	var tag []byte
	for more := true; more; {
		var answer *coap.Response
		answer, more, err = l.engine.Block(ctx, there.conn, r, len(envelope))
		switch {
		case err != nil:
			return nil, err
		case answer.Code == coap.Valid && envelope == nil:
			return nil, nil
		case answer.Code != coap.Content:
			return nil, &estcoap.StatusError{Code: answer.Code, Diagnostic: string(answer.Payload), Retry: retryOf(answer)}
		case tag != nil && !bytes.Equal(tag, answer.ETag):
			return nil, fmt.Errorf("%w: the envelope changed on the way", process.ErrConnection)
		case len(envelope)+len(answer.Payload) > maxPackage:
			return nil, fmt.Errorf("%w: an envelope of more than %d bytes", process.ErrNoSpace, maxPackage)
		}
		envelope, tag = append(envelope, answer.Payload...), answer.ETag
	}
	return envelope, nil
}

// namedKey is how the device names the key that it enrols: what is secret is encrypted
// to it.
func namedKey(key crypto.Signer) (string, error) {
	k, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return "", fmt.Errorf("%w: key to be enrolled is not an EC key", ErrOptions)
	}
	point, err := k.PublicKey.Bytes()
	if err != nil {
		return "", fmt.Errorf("%w: key to be enrolled: %w", ErrOptions, err)
	}
	half := 1 + len(point)/2
	compressed := append([]byte{2 + point[len(point)-1]&1}, point[1:half]...) // SEC 1 §2.3.3
	return base64.RawURLEncoding.EncodeToString(compressed), nil
}

// try installs an envelope on trial: what is in force is kept aside first.
func (l *life) try(ctx context.Context, envelope []byte) (*suit.Report, error) {
	e, err := suit.Decode(envelope, suit.Limits{})
	if err != nil {
		return nil, err
	}
	changes := map[string][]byte{trialKey: []byte(e.Digest.String())}
	if l.nv.Get(trialKey) == nil && !l.hasFormer() { // else it is of this transfer already
		changes[formerPrefix] = []byte{1} // there was something, even if it was the factory's
		for _, key := range l.nv.Keys() {
			if strings.HasPrefix(key, suitPrefix) && !strings.HasPrefix(key, stagingPrefix) {
				changes[formerPrefix+key] = l.nv.Get(key)
			}
		}
	}
	if err := l.put(changes); err != nil {
		return nil, err
	}
	l.d.event(l.about(Event{Kind: Installing}))
	return l.fw.update(ctx, envelope)
}

func (l *life) hasFormer() bool { return l.nv.Get(formerPrefix) != nil }

// judgeTrial looks, after the restart, at what was installed on trial: it must be the
// manifest in force, boot, and have the Transfer object.
func (l *life) judgeTrial(ctx context.Context, there *link, uri string) error {
	trial := l.nv.Get(trialKey)
	if trial == nil {
		return nil
	}
	in, ok, err := l.fw.target.manifest()
	if err != nil {
		return err
	}
	if !ok || in.Manifest.String() != string(trial) { // power failed before it was in force
		return l.put(map[string][]byte{trialKey: nil})
	}
	report, err := l.bootTrial(ctx)
	l.postReport(ctx, there, uri, report)
	if err != nil {
		return errors.Join(err, l.rollBack())
	}
	version, sequence := l.fw.running()
	l.d.event(Event{Kind: Updated, Version: version, Sequence: sequence})
	return l.put(map[string][]byte{trialKey: nil})
}

func (l *life) bootTrial(ctx context.Context) (*suit.Report, error) {
	p, err := l.fw.processor()
	if err != nil {
		return nil, err
	}
	report, err := l.fw.boot(ctx, p)
	if err != nil {
		return report, err
	}
	for _, id := range l.fw.target.components {
		if bytes.Contains(l.nv.Get(keyOf(contentPrefix, id)), []byte(withoutTransfer)) {
			return nil, fmt.Errorf("%w: it lacks the Transfer object", ErrImage)
		}
	}
	return report, nil
}

// postReport tells the update server what came of a manifest, as far as it can be
// reached: the device goes on in any case.
func (l *life) postReport(ctx context.Context, there *link, uri string, report *suit.Report) {
	u, err := url.Parse(uri)
	if err != nil || report == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, l.o.patience())
	defer cancel()
	_, err = l.exchange(ctx, there, &coap.Request{
		Method: coap.POST, Path: append(segments(u), segmentReport), ContentFormat: coap.FormatID(formatReport),
		Payload: report.Encode(),
	}, coap.Changed)
	if err == nil {
		l.d.event(Event{Kind: Reported})
	}
}

// Where reports go, and as what (draft-ietf-suit-report §7).
const (
	segmentReport        = "r"
	formatReport  uint16 = 270
)

// rollBack puts back what was in force before the update.
func (l *life) rollBack() error { return l.put(l.rolledBack()) }

// rolledBack are the changes by which what was in force before an update comes back;
// none if there was no update.
func (l *life) rolledBack() map[string][]byte {
	changes := map[string][]byte{}
	if !l.hasFormer() {
		return changes
	}
	for _, key := range l.nv.Keys() {
		if strings.HasPrefix(key, suitPrefix) {
			changes[key] = nil
		}
	}
	for _, key := range l.nv.Keys() {
		if former, ok := strings.CutPrefix(key, formerPrefix); ok && strings.HasPrefix(key, formerImages) {
			changes[former] = l.nv.Get(key)
		}
	}
	maps.Copy(changes, l.forgotten())
	return changes
}

// forgotten are the changes by which what was in force before an update is given up.
func (l *life) forgotten() map[string][]byte {
	changes := map[string][]byte{}
	for _, key := range l.nv.Keys() {
		if strings.HasPrefix(key, formerPrefix) {
			changes[key] = nil
		}
	}
	return changes
}
